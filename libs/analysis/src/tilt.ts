// The exponential tilt of a standardised, clipped value: the score behind entropy, length and quality. Fitted on stable and frozen.
import type { Score, Sign } from './label.js';

const clip = 3;

/** Frozen parameters as stored with a rollout: `normalisers` are c = ln E_ref[exp(theta h)] for sign +1 then -1, one per shift. */
export interface TiltParameters {
  readonly mean: number;
  readonly sd: number;
  readonly normalisers: { readonly up: readonly number[]; readonly down: readonly number[] };
}

/** What differs between scales: the hypothesised shifts beyond the margin, and the least standard deviation, both in the scale's unit. */
export interface TiltGrid {
  readonly shifts: readonly number[];
  readonly minSd: number;
}

/** Fits on points of the reference with their counts (at least one). `points` is walked several times. */
export function fitTilt(points: readonly (readonly [x: number, count: number])[], { shifts, minSd }: TiltGrid): TiltParameters {
  let total = 0;
  let sum = 0;
  for (const [x, count] of points) {
    total += count;
    sum += count * x;
  }
  if (total === 0) throw new Error('a score cannot be fitted on no responses');
  const mean = sum / total;
  let squares = 0;
  for (const [x, count] of points) squares += count * (x - mean) ** 2;
  const sd = Math.max(minSd, Math.sqrt(squares / total));
  const normaliser = (sign: Sign, shift: number): number => {
    let expectation = 0;
    for (const [x, count] of points) expectation += (count / total) * Math.exp(((sign * shift) / sd) * standardised(mean, sd, x));
    return Math.log(expectation);
  };
  return {
    mean,
    sd,
    normalisers: { up: shifts.map((shift) => normaliser(1, shift)), down: shifts.map((shift) => normaliser(-1, shift)) },
  };
}

/** The score of frozen parameters; hypotheses are indices into the shifts. */
export function tilt({ mean, sd, normalisers }: TiltParameters, { shifts }: TiltGrid): Score {
  const grid = shifts.map((_, index) => index);
  return {
    grid: () => grid,
    logR: (sign, hypothesis, x) => {
      const shift = shifts[hypothesis] ?? 0;
      const normaliser = (sign > 0 ? normalisers.up : normalisers.down)[hypothesis] ?? 0;
      return ((sign * shift) / sd) * standardised(mean, sd, x) - normaliser;
    },
  };
}

function standardised(mean: number, sd: number, x: number): number {
  return Math.max(-clip, Math.min(clip, (x - mean) / sd));
}
