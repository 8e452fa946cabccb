import { describe, expect, it } from 'vitest';
import { normals, uniforms } from '../../../test/support/random.js';
import {
  bucketOf,
  combine,
  fitLogTilt,
  histogramOf,
  labelIncrement,
  lnRepresentative,
  logMeanExp,
  logTilt,
  logTiltGrid,
  type Sign,
} from './index.js';

const runs = 400;
const responses = 1_500;
const alpha = 0.05;

/** Increments by bucket, arm, and point of both directions' grids: what the tilt process adds up. */
function increments(weight: number, margin: number, normal: () => number): Float64Array[][] {
  const score = logTilt(fitLogTilt(histogramOf(Array.from({ length: 4_000 }, () => Math.exp(0.5 * normal())))));
  return Array.from({ length: 800 }, (_, bucket) =>
    ([0, 1] as const).map((arm) =>
      Float64Array.from(
        ([1, -1] as Sign[]).flatMap((sign) => {
          const shift = arm === 1 ? Math.log1p(sign * margin) : 0;
          return score
            .grid(sign)
            .map((point) => labelIncrement(arm, weight, score.logR(sign, point, lnRepresentative(bucket - 400) - shift)));
        }),
      ),
    ),
  );
}

/** Share of runs in which two equal versions (or one at `ratio` times the other) are told apart at any of the looks after each response. */
function falseAlarms({ weight, margin, ratio, seed }: { weight: number; margin: number; ratio: number; seed: number }): number {
  const uniform = uniforms(seed);
  const normal = normals(uniform);
  const table = increments(weight, margin, normal);
  const points = 2 * logTiltGrid.shifts.length;
  let alarms = 0;
  for (let run = 0; run < runs; run += 1) {
    const sums = new Float64Array(points);
    let burst = 1;
    for (let response = 0; response < responses; response += 1) {
      // A burst that both arms meet: everything is three times as large for a while.
      if (uniform() < 0.01) burst = burst === 1 ? 3 : 1;
      const arm = uniform() < weight ? 1 : 0;
      const value = burst * Math.exp(0.5 * normal()) * (arm === 1 ? ratio : 1);
      const add = table[bucketOf(value) + 400]?.[arm];
      let largest = -Infinity;
      for (let point = 0; point < points; point += 1) {
        sums[point] = (sums[point] ?? 0) + (add?.[point] ?? Number.NaN);
        largest = Math.max(largest, sums[point] ?? 0);
      }
      if (largest >= Math.log(1 / alpha) && logMeanExp([...sums]) >= Math.log(1 / alpha)) {
        alarms += 1;
        break;
      }
    }
  }
  return alarms / runs;
}

describe('looking after every response', () => {
  it.each([
    { weight: 0.05, margin: 0, ratio: 1, seed: 1 },
    { weight: 0.5, margin: 0, ratio: 1, seed: 2 },
    { weight: 0.1, margin: 0.1, ratio: 1.1, seed: 3 },
    { weight: 0.1, margin: 0.1, ratio: 0.9, seed: 4 },
  ])('tells versions within the margin apart in at most the promised share of runs: %j', (setting) => {
    expect(falseAlarms(setting)).toBeLessThanOrEqual(alpha);
  });

  it('finds a version that is worse in nearly every run, so the bound above is not that of a blind test', () => {
    expect(falseAlarms({ weight: 0.5, margin: 0.1, ratio: 1.6, seed: 5 })).toBeGreaterThan(0.95);
  });

  it('over several checks at once keeps the same promise: their average spends one alpha', () => {
    const uniform = uniforms(6);
    let alarms = 0;
    for (let run = 0; run < 2_000; run += 1) {
      const odds = [0, 0, 0, 0];
      for (let look = 0; look < 300; look += 1) {
        // Four fair games with the same coin: as dependent as checks can be.
        const won = uniform() < 0.5;
        for (const [game, bet] of [0.1, 0.2, 0.4, 0.8].entries()) odds[game] = (odds[game] ?? 0) + Math.log(won ? 1 + bet : 1 - bet);
        const named = { a: odds[0] ?? 0, b: odds[1] ?? 0, c: odds[2] ?? 0, d: odds[3] ?? 0 };
        if (combine(named, { a: 0.25, b: 0.25, c: 0.4, d: 0.1 }).logE >= Math.log(1 / alpha)) {
          alarms += 1;
          break;
        }
      }
    }
    expect(alarms / 2_000).toBeLessThanOrEqual(alpha);
    expect(alarms).toBeGreaterThan(0);
  });
});
