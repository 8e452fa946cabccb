// LinearTilt: the tilt of the raw value, for quality scores in [0, 1]; margins are differences.
import type { Score } from './label.js';
import { fitTilt, type TiltGrid, type TiltParameters, tilt } from './tilt.js';
import type { Scale } from './tilt-process.js';
import type { Histogram } from './window.js';

/** Shifts of the score. */
export const linearTiltGrid: TiltGrid = { shifts: [0.01, 0.02, 0.04, 0.08, 0.16, 0.32], minSd: 0.02 };

const binsPerUnit = 100;

/** Bin of a score in [0, 1], 0 to 100. Non-finite scores are no scores: the caller counts them as events. */
export function scoreBin(score: number): number {
  return Math.round(Math.min(1, Math.max(0, score)) * binsPerUnit);
}

/** For `tiltLogE` over histograms of score bins: margin -0.02 with sign -1 asks "worse by more than two points", with sign +1 proves the opposite. */
export const linearScale: Scale = { at: (bin) => bin / binsPerUnit, shift: (margin) => margin };

/** Fits on the reference histogram of score bins (at least one value). */
export function fitLinearTilt(reference: Histogram): TiltParameters {
  return fitTilt(
    [...reference].map(([bin, count]) => [linearScale.at(bin), count]),
    linearTiltGrid,
  );
}

export function linearTilt(parameters: TiltParameters): Score {
  return tilt(parameters, linearTiltGrid);
}

/** Stands in where stable was never scored: a wide guess (the better a score, the likelier). A score of the wrong place costs power, never validity. */
export const unknownQuality: Readonly<Record<string, TiltParameters>> = {
  '*': fitLinearTilt(new Map(Array.from({ length: binsPerUnit + 1 }, (_, bin) => [bin, bin + 1]))),
};
