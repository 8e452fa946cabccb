// The label e-process over cumulative histograms: recomputed from counts at every look, so any replica gets the same number in any order.
import { labelIncrement, type Score, type Sign } from './label.js';
import { logMeanExp } from './mixture.js';
import { lnRepresentative } from './sketch.js';
import type { Histogram } from './window.js';

/** Counts of one epoch (constant weight) by prompt class. */
export interface EpochHistograms {
  readonly weight: number;
  readonly classes: ReadonlyMap<string, { readonly stable: Histogram; readonly candidate: Histogram }>;
}

export type ScoreOf = (promptClass: string) => Score;

/** Where the value that stands for a bucket lies on the axis of the scores, and how far a margin moves a value there. */
export interface Scale {
  at(index: number): number;
  shift(margin: number): number;
}

/** For log buckets: margins are ratios. */
export const logScale: Scale = { at: lnRepresentative, shift: Math.log1p };

/**
 * ln of the one-sided e-value that the candidate, moved back by the margin, is larger (sign +1) or smaller (sign -1) than stable within classes:
 * on the log scale, than (1 + margin) x stable. Null: the moved value is stochastically no larger (no smaller). Monotone in `margin`.
 * Epochs add in logs per grid point and are never pooled. Cost: grid x buckets x classes x epochs.
 */
export function tiltLogE(
  epochs: readonly EpochHistograms[],
  scoreOf: ScoreOf,
  sign: Sign,
  margin: number,
  scale: Scale = logScale,
): number {
  const shift = scale.shift(margin);
  const sums: number[] = [];
  for (const { weight, classes } of epochs) {
    if (weight <= 0 || weight >= 1) continue;
    for (const [promptClass, { stable, candidate }] of classes) {
      const score = scoreOf(promptClass);
      const grid = score.grid(sign);
      for (let point = 0; point < grid.length; point += 1) {
        const hypothesis = grid[point] ?? 0;
        let sum = sums[point] ?? 0;
        for (const [index, count] of stable) sum += count * labelIncrement(0, weight, score.logR(sign, hypothesis, scale.at(index)));
        for (const [index, count] of candidate)
          sum += count * labelIncrement(1, weight, score.logR(sign, hypothesis, scale.at(index) - shift));
        sums[point] = sum;
      }
    }
  }
  return sums.length === 0 ? 0 : logMeanExp(sums);
}

/** Rollback e-value: more than `up` above or more than `down` below stable, half weight each. */
export function twoSidedTiltLogE(epochs: readonly EpochHistograms[], scoreOf: ScoreOf, up: number, down: number): number {
  return logMeanExp([tiltLogE(epochs, scoreOf, 1, up), tiltLogE(epochs, scoreOf, -1, -down)]);
}

/** Bounds of the scale shift x (candidate ~ (1 + x) stable), valid at every look at level 1 - alpha, by inverting both tests in the margin. */
export function scaleBounds(
  epochs: readonly EpochHistograms[],
  scoreOf: ScoreOf,
  alpha: number,
  lowest = -0.99,
  highest = 20,
  tolerance = 1e-9,
): { readonly lower: number; readonly upper: number } {
  const needed = Math.log(2 / alpha);
  const rejects = (sign: Sign, lnScale: number): boolean => tiltLogE(epochs, scoreOf, sign, Math.exp(lnScale) - 1) >= needed;
  const from = Math.log1p(lowest);
  const to = Math.log1p(highest);
  const lower = (): number => {
    if (!rejects(1, from)) return lowest;
    let [a, b] = [from, to];
    while (b - a > tolerance) {
      const middle = (a + b) / 2;
      if (rejects(1, middle)) a = middle;
      else b = middle;
    }
    return Math.exp(a) - 1;
  };
  const upper = (): number => {
    if (!rejects(-1, to)) return highest;
    let [a, b] = [from, to];
    while (b - a > tolerance) {
      const middle = (a + b) / 2;
      if (rejects(-1, middle)) b = middle;
      else a = middle;
    }
    return Math.exp(b) - 1;
  };
  return { lower: lower(), upper: upper() };
}
