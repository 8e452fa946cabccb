// The words in which every check answers: shared by analysis, rollout, scoring and the evaluator.

/** `inconclusive`: too little evidence either way. `unmeasured`: could not look. No data is never evidence. */
export type Verdict = 'pass' | 'fail' | 'inconclusive' | 'unmeasured';

export type Arm = 'stable' | 'candidate';

/** `control`: stable on fresh replicas at the candidate's weight, when the plan asks for one. */
export type ComparedArm = Arm | 'control';

/** The closed set of questions a rollout asks about two arms. */
export type CheckName =
  | 'engine'
  | 'memory'
  | 'errors'
  | 'refusals'
  | 'entropy'
  | 'shape'
  | 'length'
  | 'quality'
  | 'ttft'
  | 'interToken'
  | 'latency'
  | 'cost';

/** A check's answer at one instant. Serialisable as JSON: infinities are never stored. */
export interface Finding {
  readonly check: CheckName;
  readonly verdict: Verdict;
  /** ln of the e-value against "no worse than the margin"; the rollback bound holds for the weighted average over checks. */
  readonly logE: number;
  /** The direction or sub-test that carries most of the evidence: `up`, `down`, `gross`, `block`, `events` ... */
  readonly direction?: string;
  /** Candidate relative to stable, minus one (0.07 = +7%), or a difference for rates. Null when it cannot be told. */
  readonly effect: number | null;
  /** Bounds of `effect`, valid at every look; null when not computed. */
  readonly lower: number | null;
  readonly upper: number | null;
  readonly marginUp: number | null;
  readonly marginDown: number | null;
  /** Unit of effect and margins: `ratio` (relative change) or `points` (difference of shares). */
  readonly unit: 'ratio' | 'points';
  /** Responses of each arm that the finding rests on. */
  readonly nStable: number;
  readonly nCandidate: number;
  /** Evidence by prompt class, strongest first: which class moved. */
  readonly classes?: readonly { readonly promptClass: string; readonly logE: number; readonly nCandidate: number }[];
  /** Smoke: enough to stop going forward and to tell somebody, never enough to roll back. */
  readonly amber?: boolean;
  /** What the metric was held to where its band was evaluated before exposure: extremes over the classes, relative to stable (1 = as stable). */
  readonly band?: { readonly lower: number; readonly upper: number; readonly source: 'shadow' | 'gate' };
  /** Plain-language detail for people; never parsed. */
  readonly note?: string;
}
