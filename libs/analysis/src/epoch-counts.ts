// Counts of a rollout by epoch and arm, as the tests of events read them. Epochs are never pooled into one another.
export interface Epoch {
  readonly epoch: number;
  /** Probability of the candidate in this epoch. */
  readonly weight: number;
  /** Probability of the control arm (stable on fresh replicas); absent or 0: none, the candidate is compared with stable. */
  readonly controlWeight?: number | null;
  /** When it began, milliseconds since the Unix epoch. */
  readonly since: number;
}

/** Which two arms an epoch compares, and the probability of the candidate among the two. */
export interface Comparison {
  readonly epoch: number;
  readonly weight: number;
  readonly baseline: 'stable' | 'control';
}

/** Both arms were drawn: without a coin (weight 0 or 1) there is nothing to compare. */
export function isMixed({ weight }: { readonly weight: number }): boolean {
  return weight > 0 && weight < 1;
}

/** The epochs in which two arms can be compared, in order. With a control arm stable is left out: given "candidate or control", the coin shows w / (w + wc). */
export function comparisonsOf(epochs: readonly Epoch[]): Comparison[] {
  return epochs
    .map(({ epoch, weight, controlWeight }): Comparison => {
      const control = controlWeight ?? 0;
      return control > 0 ? { epoch, weight: weight / (weight + control), baseline: 'control' } : { epoch, weight, baseline: 'stable' };
    })
    .filter(isMixed)
    .sort((a, b) => a.epoch - b.epoch);
}

/** Additive counts of one arm; all but `lastAt` are sums of the windows' fields. */
export interface ArmCounts {
  responses: number;
  /** Errors, timeouts, unfinished requests, and answers with a value that was none. */
  failures: number;
  /** Of the failures. */
  unfinished: number;
  refusals: number;
  loops: number;
  clientGone: number;
  units: number;
  /** Newest assignment second with a response. */
  lastAt: number | null;
}

export const noCounts = (): ArmCounts => ({
  responses: 0,
  failures: 0,
  unfinished: 0,
  refusals: 0,
  loops: 0,
  clientGone: 0,
  units: 0,
  lastAt: null,
});

export type CountField = Exclude<keyof ArmCounts, 'lastAt'>;
