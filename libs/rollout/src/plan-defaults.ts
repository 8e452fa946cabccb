// What a plan means that leaves things out: the product's defaults, and what a plan that was stored before a field existed was understood to say.
import type { GatePolicy, JudgePolicy, Plan, PlanStep, ShadowPlan } from './plan.js';

/** What a plan has that says nothing else. */
export const defaultPlan: Plan = {
  steps: [
    { weightPct: 1, minS: 300, minResponses: 50, deadlineS: 86_400, approval: false },
    { weightPct: 5, minS: 300, minResponses: 50, deadlineS: 86_400, approval: false },
    { weightPct: 25, minS: 300, minResponses: 50, deadlineS: 86_400, approval: false },
    { weightPct: 50, minS: 300, minResponses: 50, deadlineS: 86_400, approval: false },
  ],
  bakeS: 300,
  gate: null,
  shadow: null,
  control: null,
  maxExpectedShift: { lower: 0.5, upper: 2 },
  alpha: 0.01,
  checks: {
    entropy: { enabled: true, weight: 0.2, up: 0.1, down: 0.1, expect: 'evaluated' },
    shape: { enabled: true, weight: 0.05, ratio: 2 },
    length: { enabled: true, weight: 0.1, up: 0.33, down: 0.25, expect: 'evaluated' },
    errors: { enabled: true, weight: 0.2, ratio: 1.5, proofMargin: 0.01 },
    refusals: { enabled: true, weight: 0.05, ratio: 2, proofMargin: 0.01 },
    latency: {
      enabled: true,
      weight: 0.25,
      margin: 0.1,
      gross: 1,
      proofMargin: 0.25,
      proofBlocks: 20,
      blockS: 30,
      settleS: 30,
      tailsFromPct: 25,
    },
    cost: { enabled: false, weight: 0.05, up: 0.5 },
    quality: { enabled: false, weight: 0.15, down: 0.02, sampleStable: 0.05, sampleCandidate: 1, judge: null, feedback: 'shown' },
    memory: { enabled: true, maxShare: 0.95, maxRestarts: 3 },
  },
  promotion: { alpha: 0.05, gating: ['entropy', 'errors'], approval: false },
  guards: { minResponses: 8, minUnits: 3, minS: 5 },
  reference: { minResponses: 500, minPerClass: 500, maxAgeS: 604_800, waitS: 3_600 },
  noDataLimitS: 600,
  noData: 'pause',
  exposure: { maxResponses: null, maxUnits: null },
  freeze: [],
  startAt: null,
  watch: { enabled: true, rollback: false, everyS: 3_600, referenceS: 604_800 },
  stickyBy: 'request',
};

export const defaultGate: Omit<GatePolicy, 'testSet'> = { margin: 0.02, minCases: 100, maxErrorShare: 0.02 };
export const defaultShadow: Omit<ShadowPlan, 'share'> = {
  concurrentRequests: 2,
  tokensPerSecond: 200,
  scoring: true,
  minPairs: 150,
  deadlineS: 86_400,
};
/** Bounds of a judge that names none. */
export const defaultJudge: Pick<JudgePolicy, 'concurrentRequests' | 'tokensPerSecond'> = { concurrentRequests: 2, tokensPerSecond: 500 };

export const defaultStep: Omit<PlanStep, 'weightPct'> = { minS: 300, minResponses: 50, deadlineS: 86_400, approval: false };

const off = { enabled: false };
/** What a shadow was before it had a verdict. */
const mirrorsOnly: Omit<ShadowPlan, 'share'> = { ...defaultShadow, scoring: false, minPairs: 0 };

/** A stored plan whole: what it lacks, because it is older than the field, is switched off, so that the rollout goes on as it began. */
export function completePlan(stored: Plan): Plan {
  const old = stored as { readonly [K in keyof Plan]?: Plan[K] };
  const { checks } = defaultPlan;
  const given: Partial<Plan['checks']> = old.checks ?? {};
  return {
    ...defaultPlan,
    ...old,
    steps: stored.steps.map((step) => ({ ...step, approval: step.approval ?? false })),
    shadow: old.shadow ? { ...mirrorsOnly, ...old.shadow } : null,
    checks: {
      entropy: { ...checks.entropy, expect: 'stable', ...given.entropy },
      shape: { ...checks.shape, ...off, ...given.shape },
      length: { ...checks.length, expect: 'stable', ...given.length },
      errors: { ...checks.errors, ...given.errors },
      refusals: { ...checks.refusals, ...off, ...given.refusals },
      latency: { ...checks.latency, tailsFromPct: 100, ...given.latency },
      cost: { ...checks.cost, ...off, ...given.cost },
      quality: { ...checks.quality, ...off, ...given.quality },
      memory: { ...checks.memory, ...off, ...given.memory },
    },
    promotion: { ...stored.promotion, approval: stored.promotion.approval ?? false },
    watch: old.watch ?? { ...defaultPlan.watch, ...off },
  };
}
