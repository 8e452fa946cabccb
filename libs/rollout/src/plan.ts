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
  /** A person must say so before the step begins: the rollout pauses with code `approval`, and `resume` goes on. */
  readonly approval: boolean;
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
  /** The candidate also scores stable's answer token by token (teacher forcing), where both versions share a tokenizer. Absent: it does not. */
  readonly scoring?: boolean;
}

/** What the mirrors must have shown before any user meets the candidate. */
export interface ShadowPlan extends ShadowPolicy {
  readonly scoring: boolean;
  /** Pairs of answers to the same prompt that a pass needs. 0 = mirrors ask for no verdict: the rollout does not wait for them. */
  readonly minPairs: number;
  /** After this many seconds without a verdict the rollout pauses and asks. */
  readonly deadlineS: number;
}

/** A second arm of stable's kind: the named version on fresh replicas, with which the candidate is compared instead of stable. */
export interface ControlPolicy {
  /** Label of a registered version of the model. */
  readonly version: string;
  /** Its id, found when the rollout starts. */
  readonly versionId: string;
}

/** Most that users may meet of the candidate, over all steps. Null = no bound. */
export interface ExposureBudget {
  readonly maxResponses: number | null;
  readonly maxUnits: number | null;
}

export const weekdays = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;
export type Weekday = (typeof weekdays)[number];

/**
 * A time in which nothing goes forward; a rollback always may. Weekly: from `from` to `to` ("22:00", UTC) on each of `days`, past midnight when `to` is not
 * after `from`. Or once: from `start` up to `end`, milliseconds since the Unix epoch.
 */
export type FreezeWindow =
  | { readonly days: readonly Weekday[]; readonly from: string; readonly to: string }
  | { readonly start: number; readonly end: number };

/** What goes on after a promotion. */
export interface WatchPolicy {
  readonly enabled: boolean;
  /** An alarm that the heartbeat confirms takes the promoted version back; otherwise it only tells. */
  readonly rollback: boolean;
  /** Between two heartbeats, seconds. */
  readonly everyS: number;
  /** How much of its own past the version is held to, seconds: whole weeks have a weekend in them. */
  readonly referenceS: number;
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

/** A model of the same gateways that is asked what live answers are worth, behind everything else that its engine has to do. */
export interface JudgePolicy {
  readonly model: string;
  /** Label; null = whatever version serves the model at that time. */
  readonly version: string | null;
  /** Of the named version, found when the rollout starts; null without one. */
  readonly versionId: string | null;
  /** Answers that are judged at once, over all gateways together. */
  readonly concurrentRequests: number;
  /** Tokens of questions and verdicts, per second on average, over all gateways together. */
  readonly tokensPerSecond: number;
}

/** A check that may be asked for a promotion proof. */
export type GatingCheck = 'entropy' | 'length' | 'errors' | 'refusals' | 'latency' | 'quality';

export interface Plan {
  readonly steps: readonly PlanStep[];
  /** Time at the last step before promotion, seconds. */
  readonly bakeS: number;
  /** Null = no gate: the version goes to its first step unevaluated. */
  readonly gate: GatePolicy | null;
  /** Null = no mirroring before the first step. */
  readonly shadow: ShadowPlan | null;
  /** Null = the candidate is compared with stable itself. */
  readonly control: ControlPolicy | null;
  /** How far the evaluated entropy or length may lie from stable's, as a multiple of it, before a person must accept it. */
  readonly maxExpectedShift: { readonly lower: number; readonly upper: number };
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
      /** Null = no model is asked. */
      readonly judge: JudgePolicy | null;
      /**
       * What comes by `POST /v1/feedback`. Nobody knows how users choose what they rate, so it is shown; `judged` makes it the score of the check, which is
       * right where who rates does not know the arm and rates both alike.
       */
      readonly feedback: 'shown' | 'judged';
    };
    /** Guard on the candidate's engine, no test: share of the memory (device or process limit) it may use, and engine restarts within the rollout. */
    readonly memory: { readonly enabled: boolean; readonly maxShare: number; readonly maxRestarts: number };
  };
  readonly promotion: {
    /** Error level of each proof. */
    readonly alpha: number;
    /** Checks that must have rejected "worse than the promotion margin". */
    readonly gating: readonly GatingCheck[];
    /** A person must say so before the candidate takes stable's place, after its bake. */
    readonly approval: boolean;
  };
  /** No verdict before these are met. */
  readonly guards: { readonly minResponses: number; readonly minUnits: number; readonly minS: number };
  /** Stable's window that the scores are fitted on. Fewer responses: wait, then hold and ask. */
  readonly reference: { readonly minResponses: number; readonly minPerClass: number; readonly maxAgeS: number; readonly waitS: number };
  /** No observation of an arm for this long: `noData` says what then. */
  readonly noDataLimitS: number;
  /** `pause`: hold the weight and ask. `rollback`: take the candidate back. */
  readonly noData: 'pause' | 'rollback';
  readonly exposure: ExposureBudget;
  readonly freeze: readonly FreezeWindow[];
  /** The rollout waits as pending until then, milliseconds since the Unix epoch. Null = at once. */
  readonly startAt: number | null;
  readonly watch: WatchPolicy;
  /** Whose coin is drawn when a request names no unit: each request's own, or one for all requests of the end user that the body names. */
  readonly stickyBy: StickyBy;
}

export type StickyBy = 'request' | 'user';
