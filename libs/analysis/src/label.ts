// The label process: the gateway draws each arm by a coin it knows, so under "no worse" the label stays that coin whatever the metric does.
// P(label | outcome) / P(label) multiplied over responses is an e-process (statistics of the label, after Lindon & Malek 2022; Podkopaev & Ramdas 2023).

/** ln of the likelihood ratio of one arm label (1 = candidate) at assignment probability `weight` and score `logR`. `weight` in (0, 1). */
export function labelIncrement(arm: 0 | 1, weight: number, logR: number): number {
  const a = Math.log(weight) + logR;
  const b = Math.log(1 - weight);
  const larger = Math.max(a, b);
  const denominator = larger + Math.log(Math.exp(a - larger) + Math.exp(b - larger));
  return (arm === 1 ? logR : 0) - denominator;
}

export type Sign = 1 | -1;

/** A frozen score of a value on its axis (its logarithm, or itself): its grid of hypotheses and the log ratio for each. */
export interface Score {
  /** Grid of hypotheses for a direction; the e-value is the average over it. */
  grid(sign: Sign): readonly number[];
  /** ln r for one hypothesis of the grid. Increasing in `x` for sign +1, decreasing for -1. */
  logR(sign: Sign, hypothesis: number, x: number): number;
}
