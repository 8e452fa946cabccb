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

/** `evaluated`: held to a band that covers both "as stable" and "as measured before exposure". `stable`: to stable alone. */
export type Expectation = 'evaluated' | 'stable';

/** Tolerated relative change of the centre, both directions: 0.1 = 10%. */
export interface CentredCheck {
  readonly enabled: boolean;
  readonly weight: number;
  readonly up: number;
  readonly down: number;
}

/** Tolerated multiple of stable's rate of an event. */
export interface RatioCheck {
  readonly enabled: boolean;
  readonly weight: number;
  readonly ratio: number;
}

export interface LatencyCheck {
  readonly enabled: boolean;
  readonly weight: number;
  /** Rollback: tolerated relative growth of the centre, and of the P95 and P99 thresholds. */
  readonly margin: number;
  /** Rollback from the first response: tolerated relative growth of the tail. */
  readonly gross: number;
  /** Promotion proves less than this, over at least `proofBlocks` blocks. */
  readonly proofMargin: number;
  readonly proofBlocks: number;
  /** Length of a block, and how long after its end answers are still waited for. Seconds. */
  readonly blockS: number;
  readonly settleS: number;
  /** P95 and P99 are judged in steps of at least this weight: below it blocks hold too few tail answers. Percent. */
  readonly tailsFromPct: number;
}

/** A check that may be asked for a promotion proof. */
export type GatingCheck = 'entropy' | 'length' | 'errors' | 'refusals' | 'latency' | 'quality';

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
    /** Mean nats per token, by class. `expect`: `evaluated` holds it to what shadow or gate measured as well (the band), `stable` to stable alone. */
    readonly entropy: CentredCheck & { readonly expect: Expectation };
    /** Share of answers that loop, or whose entropy lies outside stable's P1 to P99: `ratio` is the tolerated multiple of stable's. */
    readonly shape: RatioCheck;
    readonly length: CentredCheck & { readonly expect: Expectation };
    /** Errors, timeouts and unfinished requests. `proofMargin`: promotion proves the candidate's error share below stable's plus this. */
    readonly errors: RatioCheck & { readonly proofMargin: number };
    readonly refusals: RatioCheck & { readonly proofMargin: number };
    /** Time to first token, between tokens, and whole request. `weight` is the sum over the three. */
    readonly latency: LatencyCheck;
    /** Tokens x price per request: `up` is the tolerated relative growth. Needs a price in both versions. */
    readonly cost: { readonly enabled: boolean; readonly weight: number; readonly up: number };
    /** Scores in [0, 1] of a sample of live answers. `down`: tolerated loss. `sampleStable`, `sampleCandidate`: share of each arm that is scored. */
    readonly quality: {
      readonly enabled: boolean;
      readonly weight: number;
      readonly down: number;
      readonly sampleStable: number;
      readonly sampleCandidate: number;
    };
    /** Guard on the candidate's engine, no test: share of the memory (device or process limit) it may use, and engine restarts within the rollout. */
    readonly memory: { readonly enabled: boolean; readonly maxShare: number; readonly maxRestarts: number };
  };
  readonly promotion: {
    /** Error level of each proof. */
    readonly alpha: number;
    /** Checks that must have rejected "worse than the promotion margin". */
    readonly gating: readonly GatingCheck[];
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
    quality: { enabled: false, weight: 0.15, down: 0.02, sampleStable: 0.05, sampleCandidate: 1 },
    memory: { enabled: true, maxShare: 0.95, maxRestarts: 3 },
  },
  promotion: { alpha: 0.05, gating: ['entropy', 'errors'] },
  guards: { minResponses: 8, minUnits: 3, minS: 5 },
  reference: { minResponses: 500, minPerClass: 500, maxAgeS: 604_800, waitS: 3_600 },
  noDataLimitS: 600,
  stickyBy: 'request',
};
