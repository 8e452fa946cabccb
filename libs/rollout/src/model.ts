// The life of a rollout as data: phases, evidence, transitions. Illegal combinations cannot be written.
import type { Arm, CheckName, Finding, Verdict } from '#libs/base';
import type { Plan } from './plan.js';

export type ActivePhase =
  | { readonly phase: 'pending'; readonly since: number }
  | { readonly phase: 'gating'; readonly since: number }
  | { readonly phase: 'shadowing'; readonly since: number }
  | { readonly phase: 'progressing'; readonly since: number; readonly step: number; readonly spent?: Spent }
  | { readonly phase: 'baking'; readonly since: number; readonly step: number; readonly spent?: Spent };

/** What had been spent of the exposure budget when a person let the rollout go on past it: the budget runs anew from there. */
export interface Spent {
  readonly responses: number;
  readonly units: number;
}

export type TerminalPhase =
  | { readonly phase: 'promoted'; readonly at: number }
  | { readonly phase: 'rolledBack'; readonly at: number; readonly reason: Reason }
  | { readonly phase: 'aborted'; readonly at: number; readonly reason: Reason };

/** `paused` remembers where it was and why; the weight stays where it was. */
export type Phase =
  | ActivePhase
  | { readonly phase: 'paused'; readonly since: number; readonly reason: Reason; readonly from: ActivePhase }
  | TerminalPhase;

export type PhaseName = Phase['phase'];

/** All times are milliseconds since the Unix epoch, by the database's clock. */
export interface Rollout {
  readonly id: string;
  readonly model: string;
  readonly stableVersionId: string;
  readonly candidateVersionId: string;
  readonly plan: Plan;
  readonly phase: Phase;
  /** Grows with every change of weight; counts of different epochs are never pooled. */
  readonly epoch: number;
  /** When the current epoch began. */
  readonly epochSince: number;
  readonly createdAt: number;
}

/** Can this version answer now? `unreachable`: its servers cannot, which tells nothing about the version. `unknown`: no live gateway reported. */
export interface ArmHealth {
  readonly state: 'ready' | 'loading' | 'unreachable' | 'failed' | 'unknown';
  readonly reason?: string;
  /** With `unreachable`: seconds since. */
  readonly forS?: number;
  /** Largest share, over the gateways, of the memory its engine may use (device or process limit). Absent: not reported. */
  readonly memoryShare?: number;
  /** Starts of its engines beyond the first within this rollout, over all gateways. Absent: not reported. */
  readonly restarts?: number;
}

export interface OperatorCommand {
  readonly kind: 'pause' | 'resume' | 'promote' | 'rollback' | 'abort';
  readonly reason: string;
  readonly actor: string;
}

export interface PromotionProof {
  readonly check: CheckName;
  /** ln of the e-value against "worse than the promotion margin". */
  readonly logE: number;
  /** ln(1 / alpha) it must reach. */
  readonly needed: number;
  readonly proven: boolean;
}

/** The shadow phase's answer. */
export interface ShadowEvidence {
  readonly verdict: Verdict;
  /** Pairs of answers to the same prompt, and how many of them were forced (the candidate scored stable's own text). */
  readonly pairs: number;
  readonly forced: number;
  readonly findings: readonly Finding[];
  readonly note: string;
}

/** A metric's 95% interval as it was evaluated, over all classes, as a multiple of stable's. */
export interface ExpectedShift {
  readonly metric: 'entropy' | 'length';
  readonly lower: number;
  readonly upper: number;
  readonly source: 'shadow' | 'gate';
}

/** Distances of this epoch's prompts from the reference's, with what chance would show; `moved`: beyond both that and what matters. */
export interface InputDrift {
  readonly responses: number;
  /** Total variation of the mix of prompt classes, 0 to 1, and the classes that moved most. */
  readonly mix: {
    readonly distance: number;
    readonly noise: number;
    readonly moved: boolean;
    readonly classes: readonly { readonly promptClass: string; readonly share: number; readonly reference: number }[];
  };
  /** Prompt tokens within classes, relative to the reference minus one. */
  readonly length: { readonly effect: number; readonly noise: number; readonly moved: boolean } | null;
}

/** Everything `decide` may know, at one instant. Stored whole with the decision, so that the decision can be replayed. */
export interface Evidence {
  readonly at: number;
  /** Which windows had committed: a snapshot of the database, opaque here. Absent in evidence of before; a replay then cannot judge again. */
  readonly watermark?: string;
  readonly epoch: number;
  readonly arms: Readonly<Record<Arm, ArmHealth>>;
  /** Live gateways, and how many of them serve by the rollout's newest generation. */
  readonly gateways: { readonly live: number; readonly applied: number };
  /** The gate's answer; null while no evaluation has finished (or the plan has no gate). */
  readonly gate: {
    readonly verdict: Verdict;
    readonly note: string;
    readonly effect: number | null;
    readonly lower: number | null;
    readonly upper: number | null;
    readonly evaluationId: string;
  } | null;
  /** What mirrors have shown so far; null or absent while there is nothing (or the plan has no shadow). */
  readonly shadow?: ShadowEvidence | null;
  /** Where entropy and length were before exposure, relative to stable (1 = as stable): the bands to be held to. Absent: not measured. */
  readonly expected?: readonly ExpectedShift[];
  /** Responses of stable that the scores were fitted on; `fitted` when the scores are frozen. */
  readonly reference: { readonly responses: number; readonly fitted: boolean };
  readonly findings: readonly Finding[];
  /** Weighted average of the checks' e-values over the whole rollout, and each check's share of it. */
  readonly combined: { readonly logE: number; readonly threshold: number; readonly share: Readonly<Partial<Record<CheckName, number>>> };
  readonly promotion: readonly PromotionProof[];
  readonly counts: {
    /** Over the whole rollout. */
    readonly stable: number;
    readonly candidate: number;
    readonly candidateUnits: number;
    /** Within the current epoch. */
    readonly stepCandidate: number;
    readonly stepStable: number;
    /** Newest observation of each arm, null when none. */
    readonly lastStableAt: number | null;
    readonly lastCandidateAt: number | null;
  };
  /** What users ask now against what they asked when the scores were frozen: of no version's doing. Null or absent where nothing can be told. */
  readonly drift?: InputDrift | null;
  readonly command: OperatorCommand | null;
}

/** Why, as data; words are made at the edge. */
export interface Reason {
  /** Stable code: `check.failed`, `gate.failed`, `engine.failed`, `operator`, `no-data`, `deadline`, `reference.thin` ... */
  readonly code: string;
  readonly check?: CheckName;
  readonly direction?: string;
  readonly actor?: string;
  readonly text?: string;
  readonly numbers?: Readonly<Record<string, number>>;
}

export type Transition = 'hold' | 'gate' | 'shadow' | 'start' | 'advance' | 'bake' | 'pause' | 'resume' | 'promote' | 'rollback' | 'abort';

/** `next` is the phase after the transition (the same object on `hold`); `nextLookAt` tells the scheduler when to ask again. */
export interface Decision {
  readonly transition: Transition;
  readonly reason: Reason;
  readonly next: Phase;
  readonly nextLookAt: number;
}
