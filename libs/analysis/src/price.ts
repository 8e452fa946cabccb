// What a plan costs before it starts: answers and time until each check decides and proves, the least effect it can see, and what it cannot do at all.
import type { CheckName } from '#libs/base';
import { type Cost, type PricedCheck, type PricedPlan, pricedChecks, type Setting, shareSlowerThan } from './price-checks.js';
import { blockSeconds } from './price-formulas.js';

export interface PricedStep {
  readonly weightPct: number;
  readonly minS: number;
  readonly minResponses: number;
  readonly deadlineS: number;
}

export interface PriceInput extends PricedPlan {
  readonly steps: readonly PricedStep[];
  readonly promotion: { readonly alpha: number; readonly gating: readonly CheckName[] };
  readonly reference: { readonly minResponses: number };
  /** Effects to price, by check: relative changes, or differences of shares or scores. Some of each check unless given. */
  readonly effects?: Readonly<Partial<Record<CheckName, readonly number[]>>>;
}

export interface StepPrice {
  readonly weightPct: number;
  /** Answers of the candidate per second, and until the deadline. */
  readonly candidatePerS: number;
  readonly untilDeadline: number;
  /** How long a healthy candidate is expected to stay, seconds; null: the proof is not expected before the deadline. */
  readonly expectedS: number | null;
}

export interface CheckPrice {
  readonly check: CheckName;
  readonly weight: number;
  readonly unit: 'ratio' | 'points';
  /** Of a candidate that is off by `effect` from its first answer in the step on; one cost for each step, null: not expected ever. */
  readonly rollback: readonly { readonly effect: number; readonly steps: readonly Cost[] }[];
  /** From nothing, at each step's weight; null for a check that gates nothing. */
  readonly proof: readonly Cost[] | null;
  /** Least effect whose rollback is expected before the step's deadline; null: none. */
  readonly detectable: readonly (number | null)[];
}

export interface PlanProblem {
  readonly check: CheckName | null;
  /** Index; null when it is not of one step. */
  readonly step: number | null;
  readonly code: 'no-traffic' | 'reference-thin' | 'proof-late' | 'blind' | 'blocks-few' | 'tails-never' | 'settle-short';
  readonly message: string;
  readonly remedy: string;
}

export interface PlanPrice {
  readonly perS: number;
  readonly steps: readonly StepPrice[];
  readonly checks: readonly CheckPrice[];
  /** Of a healthy candidate over all steps; null when a step is not expected to end. */
  readonly total: { readonly seconds: number; readonly candidateResponses: number } | null;
  readonly problems: readonly PlanProblem[];
}

/** Larger effects than these are no rollout's fear: a check that sees only them is blind. */
const blindFrom = { ratio: 1, points: 0.5 };
/** Blocks that a sign test needs to reach 1% alone. */
const leastBlocks = 10;

/**
 * Expected medians under today's traffic (within about a quarter of simulated ones); bursts make latency slower than this. Each step is priced as if the
 * fault began in it; proofs go on from step to step. Cost: some milliseconds.
 */
export function pricePlan(input: PriceInput): PlanPrice {
  const { steps, promotion, scores, rates, reference } = input;
  const perS = Object.values(rates).reduce((sum, rate) => sum + rate, 0);
  const problems: PlanProblem[] = [];
  if (perS <= 0) {
    problems.push({
      check: null,
      step: null,
      code: 'no-traffic',
      message: 'stable answers no requests: nothing can be compared',
      remedy: 'Start when there is traffic, or rely on the gate and promote by hand.',
    });
  }
  if (scores === null) {
    const wait = perS > 0 ? `, in about ${duration(reference.minResponses / perS)} at today's traffic` : '';
    problems.push({
      check: null,
      step: null,
      code: 'reference-thin',
      message: `fewer than ${reference.minResponses} answers of stable are known: entropy, length and latency have no reference`,
      remedy: `Wait until there are enough${wait}, or lower plan.reference.minResponses.`,
    });
  }
  const settings = steps.map(({ weightPct }): Setting | null => (perS > 0 && weightPct < 100 ? { weight: weightPct / 100, perS } : null));
  const priced = perS > 0 ? pricedChecks(input) : [];
  const checks = priced.map((one): CheckPrice => {
    const detectable = steps.map(({ deadlineS }, at) => leastEffect(one, settings[at] ?? null, deadlineS));
    const limit = blindFrom[one.unit];
    if (detectable.every((effect) => effect === null || Math.abs(effect) > limit)) {
      const best = Math.min(...detectable.map((effect) => (effect === null ? Number.POSITIVE_INFINITY : Math.abs(effect))));
      problems.push({
        check: one.check,
        step: null,
        code: 'blind',
        message: `${one.check} decides in no step before its deadline, unless it is off by ${Number.isFinite(best) ? shown(best, one.unit) : 'more than anything'}`,
        remedy: 'Give the steps later deadlines or larger weights, or switch the check off.',
      });
    }
    return {
      check: one.check,
      weight: one.weight,
      unit: one.unit,
      rollback: (input.effects?.[one.check] ?? one.effects).map((effect) => ({
        effect,
        steps: settings.map((at) => at && one.decide(effect, at)),
      })),
      proof: one.prove
        ? steps.map(({ weightPct }, at) => proofOf(one, weightPct, settings[at] ?? null, input.checks.latency.tailsFromPct))
        : null,
      detectable,
    };
  });
  if (input.checks.latency.enabled && perS > 0) problems.push(...latencyProblems(input, settings));
  const walked = walk(steps, settings, priced, promotion.gating, input.checks.latency.tailsFromPct, problems);
  return { perS, steps: walked.steps, checks, total: walked.total, problems };
}

/** Centre and tails, whichever takes longer, where tails are judged. */
function proofOf({ prove, proveTails }: PricedCheck, weightPct: number, at: Setting | null, tailsFromPct: number): Cost {
  if (!at || !prove) return null;
  const centre = prove(at);
  if (!proveTails || weightPct < tailsFromPct) return centre;
  const tails = proveTails(at);
  if (!centre || !tails) return null;
  return tails.seconds > centre.seconds ? tails : centre;
}

function latencyProblems({ steps, checks, scores }: PriceInput, settings: readonly (Setting | null)[]): PlanProblem[] {
  const { tailsFromPct, blockS, settleS } = checks.latency;
  const problems: PlanProblem[] = [];
  if (!steps.some(({ weightPct }) => weightPct >= tailsFromPct && weightPct < 100)) {
    problems.push({
      check: 'latency',
      step: null,
      code: 'tails-never',
      message: `no step from ${tailsFromPct}% on has stable beside it: P95 and P99 are never judged, only what doubles them`,
      remedy: `Add a step between ${tailsFromPct}% and 99%, or lower plan.checks.latency.tailsFromPct.`,
    });
  }
  const blocks = settings.map((at, step) =>
    at ? Math.max(0, ((steps[step]?.deadlineS ?? 0) - settleS) / blockSeconds(blockS, at.weight, at.perS)) : 0,
  );
  const most = Math.floor(Math.max(0, ...blocks));
  if (most < leastBlocks) {
    problems.push({
      check: 'latency',
      step: null,
      code: 'blocks-few',
      message: `no step gives more than ${most} blocks before its deadline, and ${leastBlocks} are the least that decide: latency sees only what doubles its tail`,
      remedy: 'Give a step a later deadline or a larger weight.',
    });
  }
  const total = scores?.latency?.total;
  const late = total?.p50Ms ? shareSlowerThan(settleS * 1_000, { p50Ms: total.p50Ms, p95Ms: total.p95Ms }) : 0;
  if (late > 0.05) {
    problems.push({
      check: 'latency',
      step: null,
      code: 'settle-short',
      message: `${Math.round(100 * late)}% of stable's answers take longer than the ${settleS} s for which a block waits for them`,
      remedy: 'Raise plan.checks.latency.settleS to what stable needs for nearly all answers.',
    });
  }
  return problems;
}

/** Goes through the steps with a healthy candidate: what is proven in one step is proven in the next. */
function walk(
  steps: readonly PricedStep[],
  settings: readonly (Setting | null)[],
  priced: readonly PricedCheck[],
  gating: readonly CheckName[],
  tailsFromPct: number,
  problems: PlanProblem[],
): { readonly steps: StepPrice[]; readonly total: PlanPrice['total'] } {
  // The proof of `latency` stands for all three latencies.
  const asked = priced.filter(
    ({ check }) => gating.includes(check) || (gating.includes('latency') && (check === 'ttft' || check === 'interToken')),
  );
  const left = new Map<string, number>();
  let total: { seconds: number; candidateResponses: number } | null = { seconds: 0, candidateResponses: 0 };
  const walked = steps.map(({ weightPct, minS, minResponses, deadlineS }, number): StepPrice => {
    const at = settings[number] ?? null;
    const candidatePerS = at ? at.weight * at.perS : 0;
    let [stay, unproven] = [Math.max(minS, candidatePerS > 0 ? minResponses / candidatePerS : minS), false];
    if (at) {
      const proofs = asked.flatMap(({ check, prove, proveTails }) => [
        ...(prove ? [{ check, what: check as string, cost: prove(at) }] : []),
        ...(proveTails && weightPct >= tailsFromPct ? [{ check, what: `the tails of ${check}`, cost: proveTails(at) }] : []),
      ]);
      for (const { check, what, cost } of proofs) {
        const wait = (left.get(what) ?? 1) * (cost?.seconds ?? Number.POSITIVE_INFINITY);
        if (wait <= deadlineS) stay = Math.max(stay, wait);
        else {
          unproven = true;
          problems.push({
            check,
            step: number,
            code: 'proof-late',
            message: `step ${number + 1} (${weightPct}%): ${what} of a healthy candidate is proven ${Number.isFinite(wait) ? `after about ${duration(wait)}` : 'never'}, the deadline is ${duration(deadlineS)}`,
            remedy: Number.isFinite(wait)
              ? `Set steps[${number}].deadlineS to ${Math.ceil((1.5 * wait) / 60) * 60} or more, begin with a larger weight, or widen the margin.`
              : 'Widen the margin, begin with a larger weight, or take the check out of plan.promotion.gating.',
          });
        }
      }
      if (stay > deadlineS) unproven = true;
      const spent = unproven ? deadlineS : stay;
      for (const { what, cost } of proofs)
        left.set(what, cost ? Math.max(0, (left.get(what) ?? 1) - spent / cost.seconds) : (left.get(what) ?? 1));
    }
    if (total && !unproven) total = { seconds: total.seconds + stay, candidateResponses: total.candidateResponses + stay * candidatePerS };
    else total = null;
    return { weightPct, candidatePerS, untilDeadline: candidatePerS * deadlineS, expectedS: unproven ? null : stay };
  });
  return { steps: walked, total: settings.some((at) => at !== null) ? total : null };
}

/** The least effect, in the direction of harm, whose decision is expected within `withinS`. */
function leastEffect({ decide, farthest }: PricedCheck, at: Setting | null, withinS: number): number | null {
  if (!at) return null;
  const inTime = (effect: number): boolean => (decide(effect, at)?.seconds ?? Number.POSITIVE_INFINITY) <= withinS;
  if (!inTime(farthest)) return null;
  let [blind, seen] = [0, farthest];
  for (let halving = 0; halving < 40; halving += 1) {
    const middle = (blind + seen) / 2;
    if (inTime(middle)) seen = middle;
    else blind = middle;
  }
  return seen;
}

function shown(effect: number, unit: 'ratio' | 'points'): string {
  return unit === 'ratio' ? `${Math.round(100 * effect)}%` : `${(100 * effect).toFixed(1)} points`;
}

function duration(seconds: number): string {
  if (seconds < 120) return `${Math.ceil(seconds)} s`;
  if (seconds < 7_200) return `${Math.ceil(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.ceil(seconds / 3_600)} h` : `${Math.ceil(seconds / 86_400)} days`;
}
