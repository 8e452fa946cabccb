// A plan as people write it (any part left out) laid over defaults, and checked as a whole before anything starts.
import { fail, type Outcome, ok } from '#libs/base';
import type { GatePolicy, GatingCheck, Plan, PlanStep, ShadowPolicy } from './plan.js';

type Loose<T> = T extends readonly (infer _)[] ? T : T extends object ? { readonly [K in keyof T]?: Loose<T[K]> | undefined } : T;

/** A partial plan: steps may leave out all but their weight. */
export type PlanDraft = Omit<Loose<Plan>, 'steps' | 'gate' | 'shadow' | 'promotion'> & {
  readonly steps?: readonly ({ readonly weightPct: number } & { readonly [K in keyof PlanStep]?: PlanStep[K] | undefined })[] | undefined;
  readonly gate?: ({ readonly testSet: string } & { readonly [K in keyof GatePolicy]?: GatePolicy[K] | undefined }) | null | undefined;
  readonly shadow?: ({ readonly share: number } & { readonly [K in keyof ShadowPolicy]?: ShadowPolicy[K] | undefined }) | null | undefined;
  readonly promotion?: { readonly alpha?: number | undefined; readonly gating?: readonly GatingCheck[] | undefined } | undefined;
};

const defaultGate: Omit<GatePolicy, 'testSet'> = { margin: 0.02, minCases: 100, maxErrorShare: 0.02 };
const defaultShadow: Omit<ShadowPolicy, 'share'> = { concurrentRequests: 2, tokensPerSecond: 200 };
const defaultStep: Omit<PlanStep, 'weightPct'> = { minS: 300, minResponses: 50, deadlineS: 86_400 };

function over<T extends object>(base: T, draft: { readonly [K in keyof T]?: T[K] | undefined } | undefined): T {
  const given = Object.fromEntries(Object.entries(draft ?? {}).filter(([, value]) => value !== undefined));
  return { ...base, ...given };
}

/** Fills what the draft leaves out from `base`. The result still has to pass `checkPlan`. */
export function resolvePlan(draft: PlanDraft, base: Plan): Plan {
  return {
    steps: draft.steps?.map((step) => over<PlanStep>({ ...defaultStep, weightPct: step.weightPct }, step)) ?? base.steps,
    bakeS: draft.bakeS ?? base.bakeS,
    gate:
      draft.gate === undefined
        ? base.gate
        : draft.gate === null
          ? null
          : over<GatePolicy>({ ...defaultGate, ...base.gate, testSet: draft.gate.testSet }, draft.gate),
    shadow:
      draft.shadow === undefined
        ? (base.shadow ?? null)
        : draft.shadow === null
          ? null
          : over<ShadowPolicy>({ ...defaultShadow, ...base.shadow, share: draft.shadow.share }, draft.shadow),
    alpha: draft.alpha ?? base.alpha,
    checks: {
      entropy: over(base.checks.entropy, draft.checks?.entropy),
      shape: over(base.checks.shape, draft.checks?.shape),
      length: over(base.checks.length, draft.checks?.length),
      errors: over(base.checks.errors, draft.checks?.errors),
      refusals: over(base.checks.refusals, draft.checks?.refusals),
      latency: over(base.checks.latency, draft.checks?.latency),
      cost: over(base.checks.cost, draft.checks?.cost),
      quality: over(base.checks.quality, draft.checks?.quality),
      memory: over(base.checks.memory, draft.checks?.memory),
    },
    promotion: over(base.promotion, draft.promotion),
    guards: over(base.guards, draft.guards),
    reference: over(base.reference, draft.reference),
    noDataLimitS: draft.noDataLimitS ?? base.noDataLimitS,
    stickyBy: draft.stickyBy ?? base.stickyBy,
  };
}

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
  return ok(plan);
}
