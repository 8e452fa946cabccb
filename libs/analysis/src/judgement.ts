// What a judgement is asked with and what it answers.
import type { CheckName, Finding } from '#libs/base';
import type { AssignmentLook } from './assignment.js';
import type { LatencyOptions } from './check-latency.js';
import type { Epoch } from './epoch-counts.js';
import type { FrozenScores } from './frozen-scores.js';
import type { InputDrift } from './input-drift.js';

interface Weighted {
  readonly enabled: boolean;
  readonly weight: number;
}

interface Centred extends Weighted {
  readonly up: number;
  readonly down: number;
  readonly expect: 'evaluated' | 'stable';
}

/** What a plan says about checks; the shape of `Plan['checks']`. */
export interface CheckOptions {
  readonly entropy: Centred;
  readonly shape: Weighted & { readonly ratio: number };
  readonly length: Centred;
  readonly errors: Weighted & { readonly ratio: number; readonly proofMargin: number };
  readonly refusals: Weighted & { readonly ratio: number; readonly proofMargin: number };
  readonly latency: Weighted & LatencyOptions;
  readonly cost: Weighted & { readonly up: number };
  readonly quality: Weighted & { readonly down: number; readonly sampleStable: number; readonly sampleCandidate: number };
  readonly memory: { readonly enabled: boolean; readonly maxShare: number; readonly maxRestarts: number };
}

export interface JudgeOptions {
  readonly epochs: readonly Epoch[];
  readonly currentEpoch: number;
  /** Null until stable's reference was thick enough: what needs it stays unmeasured. Frozen before the first live response. */
  readonly scores: FrozenScores | null;
  readonly checks: CheckOptions;
  readonly promotion: { readonly alpha: number; readonly gating: readonly CheckName[] };
  readonly guards: { readonly minResponses: number; readonly minUnits: number; readonly minS: number };
  /** Bound on a false rollback over the whole rollout. */
  readonly alpha: number;
  readonly now: number;
  /** Whether to compute what is only shown, never decided by: bounds of the effects (some tenths of a millisecond per check) and drift of the input. */
  readonly interval?: boolean;
}

export interface Judgement {
  readonly findings: Finding[];
  readonly combined: { readonly logE: number; readonly threshold: number; readonly share: Partial<Record<CheckName, number>> };
  /** One proof per gating check that the plan has enabled; what cannot be measured is not proven. All must be: no multiplicity to pay for. */
  readonly promotion: { readonly check: CheckName; readonly logE: number; readonly needed: number; readonly proven: boolean }[];
  /** Checks with smoke: no step forward, no rollback. */
  readonly amber: CheckName[];
  /** Whether users ask for other things than when the scores were frozen; null without a reference, without an answer in this epoch, or without `interval`. */
  readonly drift: InputDrift | null;
  /** Whether the arms got the share of requests that the coin gave them. */
  readonly assignment: AssignmentLook;
  readonly counts: {
    readonly stable: number;
    readonly candidate: number;
    readonly candidateUnits: number;
    readonly stepCandidate: number;
    readonly stepStable: number;
    readonly lastStableAt: number | null;
    readonly lastCandidateAt: number | null;
  };
}
