// A plan checked as a whole before anything starts: what cannot protect anybody, or cannot end, is refused with its field and a remedy.
import { fail, type Outcome, ok } from '#libs/base';
import { freezeOf } from './freeze.js';
import type { Plan } from './plan.js';

/** A pair's e-value is at most 2, and 2 to the 9th is the first above 1/alpha at 1%. */
const leastPairs = 9;

/** Refuses a plan that cannot protect anybody or cannot end, naming the field and the remedy. */
export function checkPlan(plan: Plan): Outcome<Plan> {
  const { checks, steps, promotion } = plan;
  // A guard on memory notices no answer.
  const { memory: _, ...tests } = checks;
  if (!Object.values(tests).some((check) => check.enabled)) {
    return fail({
      code: 'plan.no-active-check',
      message: 'Every check of the plan is switched off: nothing would notice a bad candidate.',
      field: 'plan.checks',
      remedy: 'Enable at least one of entropy, errors, latency, length, shape, refusals, quality, cost.',
    });
  }
  const gating = promotion.gating.filter((check) => checks[check].enabled);
  if (gating.length === 0) {
    return fail({
      code: 'plan.no-proof',
      message: 'No enabled check gates promotion: the candidate could never be proven.',
      field: 'plan.promotion.gating',
      remedy: 'Name at least one enabled check (entropy, length, errors, refusals, latency, quality) under plan.promotion.gating.',
    });
  }
  for (const [index, step] of steps.entries()) {
    const before = steps[index - 1];
    if (before && step.weightPct <= before.weightPct) {
      return fail({
        code: 'plan.steps-not-rising',
        message: `Step ${index + 1} has weight ${step.weightPct}%, not above the ${before.weightPct}% before it.`,
        field: `plan.steps[${index}].weightPct`,
        remedy: 'Order the steps so that each has a larger weight than the one before.',
      });
    }
    if (step.deadlineS < step.minS) {
      return fail({
        code: 'plan.deadline-too-early',
        message: `Step ${index + 1} has a deadline of ${step.deadlineS} s before its least time of ${step.minS} s.`,
        field: `plan.steps[${index}].deadlineS`,
        remedy: 'Give the step a deadline of at least its minS.',
      });
    }
  }
  if (!steps.some((step) => step.weightPct < 100)) {
    return fail({
      code: 'plan.no-comparison',
      message: 'All steps send every request to the candidate: there is no stable beside it to compare with.',
      field: 'plan.steps',
      remedy: 'Begin with at least one step below 100%.',
    });
  }
  return checkBounds(plan);
}

function checkBounds(plan: Plan): Outcome<Plan> {
  const { maxExpectedShift, freeze, shadow } = plan;
  const scorers = checkScorers(plan.checks.quality);
  if (!scorers.ok) return scorers;
  if (maxExpectedShift.lower > 1 || maxExpectedShift.upper < 1) {
    return fail({
      code: 'plan.shift-excludes-none',
      message: `maxExpectedShift from ${maxExpectedShift.lower} to ${maxExpectedShift.upper} does not contain 1: a version that changes nothing would be refused.`,
      field: 'plan.maxExpectedShift',
      remedy: 'Give a lower bound of at most 1 and an upper bound of at least 1: multiples of what stable does.',
    });
  }
  for (const [index, window] of freeze.entries()) {
    if ('start' in window && window.end <= window.start) {
      return fail({
        code: 'plan.freeze-empty',
        message: `Freeze window ${index + 1} ends before it begins.`,
        field: `plan.freeze[${index}].end`,
        remedy: 'Give an end after the start.',
      });
    }
  }
  if (freeze.length > 0 && freezeOf(freeze).always) {
    return fail({
      code: 'plan.always-frozen',
      message: 'The freeze windows cover the whole week: nothing would ever go forward.',
      field: 'plan.freeze',
      remedy: 'Leave some hours of the week out of plan.freeze.',
    });
  }
  if (shadow && shadow.minPairs > 0 && shadow.minPairs < leastPairs) {
    return fail({
      code: 'plan.too-few-pairs',
      message: `${shadow.minPairs} mirrored pairs can prove nothing: one pair counts at most twofold, so ${leastPairs} are the least.`,
      field: 'plan.shadow.minPairs',
      remedy: `Ask for at least ${leastPairs} (150 is usual), or for 0: mirrors without a verdict.`,
    });
  }
  return ok(plan);
}

/** Who scores answers: a judge or users, and then with a sampling that is known. */
function checkScorers({ enabled, judge, feedback, sampleStable, sampleCandidate }: Plan['checks']['quality']): Outcome<null> {
  if (!enabled) return ok(null);
  if (judge === null && feedback !== 'judged') {
    return fail({
      code: 'plan.nobody-scores',
      message: 'The check of quality is on and nobody scores answers.',
      field: 'plan.checks.quality.judge',
      remedy: 'Name a model that judges (judge: {model}), or say feedback: "judged" to decide by what comes to POST /v1/feedback.',
    });
  }
  if (judge !== null && feedback === 'judged') {
    return fail({
      code: 'plan.two-scorers',
      message: 'A judge and users score by different measures and sample differently: their scores cannot be one check.',
      field: 'plan.checks.quality.feedback',
      remedy: 'Leave one out: judge: null, or feedback: "shown".',
    });
  }
  if (feedback === 'judged' && sampleStable !== sampleCandidate) {
    return fail({
      code: 'plan.feedback-sampled',
      message: `Users rate both arms alike or not at all; the shares ${sampleStable} and ${sampleCandidate} would be taken for how they choose.`,
      field: 'plan.checks.quality.sampleStable',
      remedy: 'Set sampleStable and sampleCandidate to 1.',
    });
  }
  return ok(null);
}
