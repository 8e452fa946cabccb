// LogTilt: the tilt of ln(value), for entropy and output length; margins are ratios.
import type { Score } from './label.js';
import { lnRepresentative } from './sketch.js';
import { fitTilt, type TiltGrid, type TiltParameters, tilt } from './tilt.js';
import type { Histogram } from './window.js';

/** Shifts of ln(value). */
export const logTiltGrid: TiltGrid = { shifts: [0.03, 0.06, 0.12, 0.25, 0.5, 1, 2], minSd: 0.05 };

/** Fits on the reference histogram of log buckets (at least one value). */
export function fitLogTilt(reference: Histogram): TiltParameters {
  return fitTilt(
    [...reference].map(([index, count]) => [lnRepresentative(index), count]),
    logTiltGrid,
  );
}

export function logTilt(parameters: TiltParameters): Score {
  return tilt(parameters, logTiltGrid);
}
