import { describe, expect, it } from 'vitest';
import { normals, uniforms } from '../../../test/support/random.js';
import {
  blockLogE,
  type DetectorState,
  detect,
  detectorAlarms,
  fitLogTilt,
  histogramOf,
  logTilt,
  logTiltGrid,
  newDetector,
} from './index.js';

const normal = normals(uniforms(5));
const values = (count: number, scale: number): number[] => Array.from({ length: count }, () => scale * Math.exp(0.45 * normal()));
const score = logTilt(fitLogTilt(histogramOf(values(20_000, 0.6))));
const quiet = (): DetectorState => newDetector(logTiltGrid.shifts.length);
const runLength = 90 * 1_440;

/** Blocks of 14 responses (20,000 a day) until the alarm. */
function blocksUntilAlarm(scale: number, most: number): number | null {
  let state = quiet();
  for (let block = 1; block <= most; block += 1) {
    state = detect(
      state,
      blockLogE(new Map([['all', histogramOf(values(14, scale))]]), () => score, 1, 0.1),
    );
    if (detectorAlarms(state, runLength)) return block;
  }
  return null;
}

describe('the watch after promotion', () => {
  it('is quiet for a week of answers like the reference, and of those within the margin', () => {
    expect(blocksUntilAlarm(0.6, 7 * 1_440)).toBeNull();
    expect(blocksUntilAlarm(0.6 * 1.05, 1_440)).toBeNull();
  });

  it('notices half as much entropy again within minutes', () => {
    expect(blocksUntilAlarm(0.6 * 1.5, 60)).not.toBeNull();
  });

  it('starts from nothing, and a minute without answers adds no evidence', () => {
    expect(detectorAlarms(quiet(), runLength)).toBe(false);
    const after = detect(
      quiet(),
      blockLogE(new Map(), () => score, 1, 0.1),
    );
    expect(after.every((lnR) => lnR === 0)).toBe(true);
  });

  it('stays finite under any evidence, so that it can become quiet again', () => {
    let state = quiet();
    for (let block = 0; block < 10; block += 1)
      state = detect(
        state,
        state.map(() => 5_000),
      );
    expect(state.every((lnR) => lnR === 600)).toBe(true);
    state = detect(
      state,
      state.map(() => -5_000),
    );
    expect(detectorAlarms(state, runLength)).toBe(false);
  });
});
