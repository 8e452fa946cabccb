// LogTilt: the score for entropy and output length. An exponential tilt of the standardised, clipped logarithm, fitted on stable and frozen.
import type { Score, Sign } from './label.js';
import { lnRepresentative } from './sketch.js';
import type { Histogram } from './window.js';

/** Hypothesised shifts of ln(value) beyond the margin. */
export const logTiltDeltas: readonly number[] = [0.03, 0.06, 0.12, 0.25, 0.5, 1, 2];
const clip = 3;
const minSd = 0.05;

/** Frozen parameters as stored with a rollout: `normalisers` are c = ln E_ref[exp(theta h)] for sign +1 then -1, one per delta. */
export interface LogTiltParameters {
  readonly mean: number;
  readonly sd: number;
  readonly normalisers: { readonly up: readonly number[]; readonly down: readonly number[] };
}

/** Fits on the reference histogram (at least one value). */
export function fitLogTilt(reference: Histogram): LogTiltParameters {
  let total = 0;
  let sum = 0;
  for (const [index, count] of reference) {
    total += count;
    sum += count * lnRepresentative(index);
  }
  if (total === 0) throw new Error('a score cannot be fitted on no responses');
  const mean = sum / total;
  let squares = 0;
  for (const [index, count] of reference) squares += count * (lnRepresentative(index) - mean) ** 2;
  const sd = Math.max(minSd, Math.sqrt(squares / total));
  const normaliser = (sign: Sign, delta: number): number => {
    let expectation = 0;
    for (const [index, count] of reference)
      expectation += (count / total) * Math.exp(((sign * delta) / sd) * standardised(mean, sd, lnRepresentative(index)));
    return Math.log(expectation);
  };
  return {
    mean,
    sd,
    normalisers: {
      up: logTiltDeltas.map((delta) => normaliser(1, delta)),
      down: logTiltDeltas.map((delta) => normaliser(-1, delta)),
    },
  };
}

/** The score of frozen parameters; hypotheses are indices into the delta grid. */
export function logTilt(parameters: LogTiltParameters): Score {
  const { mean, sd, normalisers } = parameters;
  const grid = logTiltDeltas.map((_, index) => index);
  return {
    grid: () => grid,
    logR: (sign, hypothesis, lnValue) => {
      const delta = logTiltDeltas[hypothesis] ?? 0;
      const normaliser = (sign > 0 ? normalisers.up : normalisers.down)[hypothesis] ?? 0;
      return ((sign * delta) / sd) * standardised(mean, sd, lnValue) - normaliser;
    },
  };
}

function standardised(mean: number, sd: number, lnValue: number): number {
  return Math.max(-clip, Math.min(clip, (lnValue - mean) / sd));
}
