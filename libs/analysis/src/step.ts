// Step: the score for tails (latency). Weighs responses above the reference quantile by rho, the others so that the whole stays a likelihood ratio.
import type { Score } from './label.js';

/** Tail shares with a grid, and the grid: how many times more often the candidate exceeds the threshold. */
export const stepGrids = {
  0.5: [1.05, 1.1, 1.2, 1.35, 1.5, 1.7, 1.9],
  0.05: [1.25, 1.5, 2, 3, 5, 8, 15],
  0.01: [1.25, 1.5, 2, 3, 5, 10, 40],
} as const;

export type TailShare = keyof typeof stepGrids;

/** `threshold` is the reference's (1 - tailShare) quantile, in the metric's unit. For sign -1 the grid is inverted: evidence that the tail is smaller. */
export function step(threshold: number, tailShare: TailShare): Score {
  const lnThreshold = Math.log(threshold);
  return {
    grid: () => stepGrids[tailShare],
    logR: (sign, hypothesis, lnValue) => {
      const rho = sign < 0 ? 1 / hypothesis : hypothesis;
      return lnValue > lnThreshold ? Math.log(rho) : Math.log((1 - tailShare * rho) / (1 - tailShare));
    },
  };
}
