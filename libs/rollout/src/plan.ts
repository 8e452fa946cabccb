// A rollout plan is data: which steps, which checks, which margins. What it means is `decide`.

export interface PlanStep {
  /** Share of traffic to the candidate, percent, 0 < w <= 100. At 100 nothing can be learned (no concurrent stable): it only bakes. */
  readonly weightPct: number;
  /** Least time on the step, seconds. */
  readonly minS: number;
  /** Least candidate responses in the step. */
  readonly minResponses: number;
  /** After this many seconds without the promotion proof the rollout holds and asks (pauses). */
  readonly deadlineS: number;
}

export interface GatePolicy {
  /** Name of the test set; its newest frozen version at rollout start is pinned. */
  readonly testSet: string;
  /** Largest tolerated loss of the pass rate, as a share (0.02 = 2 points). */
  readonly margin: number;
  /** Fewer complete pairs than this is never a pass. */
  readonly minCases: number;
  /** Share of cases that may end in a transport error before the run cannot pass. */
  readonly maxErrorShare: number;
}

/** Mirroring of stable's requests to a candidate that nobody sees yet. Bounds hold over all gateways together. */
export interface ShadowPolicy {
  /** Part of stable's requests, 0 < share <= 1. */
  readonly share: number;
  /** Mirrors at once. */
  readonly concurrentRequests: number;
  /** Prompt and answer tokens of all mirrors, per second on average. */
  readonly tokensPerSecond: number;
}

export interface Plan {
  readonly steps: readonly PlanStep[];
  /** Time at the last step before promotion, seconds. */
  readonly bakeS: number;
  /** Null = no gate: the version goes to its first step unevaluated. */
  readonly gate: GatePolicy | null;
  /** Null = no mirroring before the first step. Plans that were stored before there was any lack it. */
  readonly shadow?: ShadowPolicy | null;
  /** Bound on a false rollback over the whole rollout, all checks, classes, steps and looks. */
  readonly alpha: number;
  readonly checks: {
    readonly entropy: { readonly enabled: boolean; readonly weight: number; readonly up: number; readonly down: number };
    readonly length: { readonly enabled: boolean; readonly weight: number; readonly up: number; readonly down: number };
    /** `ratio`: tolerated multiple of stable's event rate. `proofMargin`: promotion proves the candidate's error share is below stable's plus this. */
    readonly errors: { readonly enabled: boolean; readonly weight: number; readonly ratio: number; readonly proofMargin: number };
    /** `margin`: block sign, whole request. `gross`: immediate step test at the reference P99. `blockS` and `settleS` in seconds. */
    readonly latency: {
      readonly enabled: boolean;
      readonly weight: number;
      readonly margin: number;
      readonly gross: number;
      readonly blockS: number;
      readonly settleS: number;
    };
  };
  readonly promotion: {
    /** Error level of each proof. */
    readonly alpha: number;
    /** Checks that must have rejected "worse than the promotion margin". */
    readonly gating: readonly ('entropy' | 'errors')[];
  };
  /** No verdict before these are met. */
  readonly guards: { readonly minResponses: number; readonly minUnits: number; readonly minS: number };
  /** Stable's window that the scores are fitted on. Fewer responses: wait, then hold and ask. */
  readonly reference: { readonly minResponses: number; readonly minPerClass: number; readonly maxAgeS: number; readonly waitS: number };
  /** No observation of an arm for this long: pause and alert. */
  readonly noDataLimitS: number;
  /** Whose coin is drawn when a request names no unit: each request's own, or one for all requests of the end user that the body names. */
  readonly stickyBy: StickyBy;
}

export type StickyBy = 'request' | 'user';

/** Defaults of `design/statistics.md` sections 2 and 5. */
export const defaultPlan: Plan = {
  steps: [
    { weightPct: 1, minS: 300, minResponses: 50, deadlineS: 86_400 },
    { weightPct: 5, minS: 300, minResponses: 50, deadlineS: 86_400 },
    { weightPct: 25, minS: 300, minResponses: 50, deadlineS: 86_400 },
    { weightPct: 50, minS: 300, minResponses: 50, deadlineS: 86_400 },
  ],
  bakeS: 300,
  gate: null,
  shadow: null,
  alpha: 0.01,
  checks: {
    entropy: { enabled: true, weight: 0.25, up: 0.1, down: 0.1 },
    length: { enabled: true, weight: 0.1, up: 0.33, down: 0.25 },
    errors: { enabled: true, weight: 0.25, ratio: 1.5, proofMargin: 0.01 },
    latency: { enabled: true, weight: 0.25, margin: 0.1, gross: 1, blockS: 30, settleS: 30 },
  },
  promotion: { alpha: 0.05, gating: ['entropy', 'errors'] },
  guards: { minResponses: 8, minUnits: 3, minS: 5 },
  reference: { minResponses: 500, minPerClass: 500, maxAgeS: 604_800, waitS: 3_600 },
  noDataLimitS: 600,
  stickyBy: 'request',
};
