// Every family of tests has the same four properties: fair at its boundary, mergeable, additive over epochs, monotone in its margin. And none tells equal versions apart too often.
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { normals, uniforms } from '../../../test/support/random.js';
import {
  binomialLogE,
  blockLogE,
  blockSignLogE,
  countOf,
  detect,
  type EpochHistograms,
  eventRatioLogE,
  fitLinearTilt,
  fitLogTilt,
  gamma,
  type Histogram,
  linearScale,
  linearTilt,
  logMeanExp,
  logScale,
  logTilt,
  logTiltGrid,
  mergeHistograms,
  newDetector,
  pairedLogE,
  rateDifferenceLogE,
  type Scale,
  type Score,
  step,
  stepLogE,
  tiltLogE,
} from './index.js';

vi.setConfig({ testTimeout: 60_000 });

const runs = { numRuns: 150, seed: 21 };
const weights = fc.double({ min: 0.01, max: 0.9, noNaN: true });
const signs = fc.constantFrom(1 as const, -1 as const);
const bell: Histogram = new Map(Array.from({ length: 41 }, (_, at) => [at - 20, 21 - Math.abs(at - 20)]));
const scored: Histogram = new Map(Array.from({ length: 101 }, (_, at) => [at, 1 + (at % 7)]));

/** Scores over histograms: how they are asked, and which shifts of whole buckets a margin of theirs can be. */
const families: readonly {
  readonly name: string;
  readonly score: Score;
  readonly scale: Scale;
  readonly margin: (buckets: number) => number;
}[] = [
  { name: 'LogTilt', score: logTilt(fitLogTilt(bell)), scale: logScale, margin: (buckets) => gamma ** buckets - 1 },
  { name: 'Step', score: step(gamma ** 12, 0.05), scale: logScale, margin: (buckets) => gamma ** buckets - 1 },
  { name: 'LinearTilt', score: linearTilt(fitLinearTilt(scored)), scale: linearScale, margin: (buckets) => buckets / 100 },
];
const buckets = fc.integer({ min: -6, max: 6 });
const histograms: fc.Arbitrary<Histogram> = fc
  .array(fc.tuple(fc.integer({ min: 10, max: 90 }), fc.integer({ min: 1, max: 9 })), { maxLength: 10 })
  .map((cells) => new Map(cells));
const single = (weight: number, stable: Histogram, candidate: Histogram): EpochHistograms[] => [
  { weight, classes: new Map([['a', { stable, candidate }]]) },
];
const near = (a: number, b: number): void => expect(Math.abs(a - b)).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(a), Math.abs(b)));

describe.each(families)('$name', ({ score, scale, margin }) => {
  /** One hypothesis of the grid at a time: each is a bet of its own. */
  const only = (sign: 1 | -1, point: number): Score => ({ grid: () => [score.grid(sign)[point] ?? 0], logR: score.logR });
  const e = (sign: 1 | -1, point: number, epochs: EpochHistograms[], by: number): number =>
    Math.exp(tiltLogE(epochs, () => only(sign, point), sign, margin(by), scale));

  it('is fair at its boundary: one more answer of either arm changes nothing in expectation', () => {
    fc.assert(
      fc.property(
        weights,
        signs,
        buckets,
        fc.array(fc.tuple(fc.integer({ min: 20, max: 80 }), fc.integer({ min: 1, max: 9 })), { minLength: 1, maxLength: 8 }),
        (weight, sign, by, cells) => {
          const law: Histogram = new Map(cells);
          const all = countOf(law);
          for (let point = 0; point < score.grid(sign).length; point += 1) {
            let expectation = 0;
            for (const [index, count] of law) {
              // The candidate's law is stable's, moved by the margin.
              const one = new Map([[index, 1]]);
              const moved = new Map([[index + by, 1]]);
              expectation +=
                (count / all) *
                (weight * e(sign, point, single(weight, new Map(), moved), by) +
                  (1 - weight) * e(sign, point, single(weight, one, new Map()), by));
            }
            expect(expectation).toBeCloseTo(1, 9);
          }
        },
      ),
      runs,
    );
  });

  it('says the same of counts however they were split, over windows or epochs of the same weight', () => {
    fc.assert(
      fc.property(weights, signs, buckets, histograms, histograms, histograms, histograms, (weight, sign, by, s0, c0, s1, c1) => {
        const logE = (epochs: EpochHistograms[]) => tiltLogE(epochs, () => score, sign, margin(by), scale);
        near(
          logE([...single(weight, s0, c0), ...single(weight, s1, c1)]),
          logE(single(weight, mergeHistograms([s0, s1]), mergeHistograms([c0, c1]))),
        );
      }),
      runs,
    );
  });

  it('says less against a wider margin', () => {
    fc.assert(
      fc.property(weights, signs, buckets, buckets, histograms, histograms, (weight, sign, a, b, stable, candidate) => {
        const logE = (by: number) => tiltLogE(single(weight, stable, candidate), () => score, sign, margin(by), scale);
        const [narrow, wide] = sign > 0 ? [Math.min(a, b), Math.max(a, b)] : [Math.max(a, b), Math.min(a, b)];
        expect(logE(wide)).toBeLessThanOrEqual(logE(narrow) + 1e-9);
      }),
      runs,
    );
  });
});

describe('counts of events', () => {
  const n = fc.integer({ min: 0, max: 50 });
  const ratio = fc.double({ min: 1, max: 3, noNaN: true });

  it('say the same however they were split, and less against a wider margin', () => {
    fc.assert(
      fc.property(weights, signs, n, n, n, n, ratio, ratio, (weight, sign, s0, c0, s1, c1, a, b) => {
        const logE = (by: number) => eventRatioLogE([{ weight, stable: s0 + s1, candidate: c0 + c1 }], by, sign);
        near(
          eventRatioLogE(
            [
              { weight, stable: s0, candidate: c0 },
              { weight, stable: s1, candidate: c1 },
            ],
            a,
            sign,
          ),
          logE(a),
        );
        const [narrow, wide] = sign > 0 ? [Math.min(a, b), Math.max(a, b)] : [Math.max(a, b), Math.min(a, b)];
        expect(logE(wide)).toBeLessThanOrEqual(logE(narrow) + 1e-9);
      }),
      runs,
    );
  });

  it('as rates say the same however they were split, and prove more against a wider margin', () => {
    fc.assert(
      fc.property(
        weights,
        n,
        n,
        n,
        n,
        fc.double({ min: 0.001, max: 0.2, noNaN: true }),
        (weight, stable, stableEvents, candidate, candidateEvents, margin) => {
          const part = { weight, stable: stable + stableEvents, stableEvents, candidate: candidate + candidateEvents, candidateEvents };
          const whole = {
            weight,
            stable: 2 * part.stable,
            stableEvents: 2 * stableEvents,
            candidate: 2 * part.candidate,
            candidateEvents: 2 * candidateEvents,
          };
          near(rateDifferenceLogE([part, part], margin, -1), rateDifferenceLogE([whole], margin, -1));
          // Without a rate's own noise: answers without events are a proof that grows with the margin.
          const quiet = { weight, stable, stableEvents: 0, candidate, candidateEvents: 0 };
          expect(rateDifferenceLogE([quiet], margin, -1)).toBeLessThanOrEqual(rateDifferenceLogE([quiet], 2 * margin, -1) + 1e-9);
        },
      ),
      runs,
    );
  });
});

describe('pairs', () => {
  it('say the same however they were split', () => {
    const pair = fc.tuple(fc.double({ min: -3, max: 3, noNaN: true }), fc.integer({ min: 1, max: 9 }));
    fc.assert(
      fc.property(fc.array(pair, { maxLength: 10 }), signs, (pairs, sign) => {
        near(
          pairedLogE([...pairs, ...pairs], sign, 0.1),
          pairedLogE(
            pairs.map(([ln, count]) => [ln, 2 * count] as const),
            sign,
            0.1,
          ),
        );
      }),
      runs,
    );
  });
});

describe('the detector', () => {
  const score = logTilt(fitLogTilt(bell));

  it('is fair at its boundary: a block of the reference has expectation 1, and R grows by one in expectation', () => {
    const all = countOf(bell);
    for (const sign of [1, -1] as const) {
      const points = logTiltGrid.shifts.length;
      const start = Array.from({ length: points }, (_, point) => Math.log(1 + point));
      const expected = new Float64Array(points);
      for (const [index, count] of bell) {
        const after = detect(
          start,
          blockLogE(new Map([['a', new Map([[index, 1]])]]), () => score, sign, 0),
        );
        after.forEach((lnR, point) => {
          expected[point] = (expected[point] ?? 0) + (count / all) * Math.exp(lnR);
        });
      }
      for (const [point, lnR] of start.entries()) expect((expected[point] ?? 0) / (Math.exp(lnR) + 1)).toBeCloseTo(1, 9);
    }
  });

  it('says the same of a block however it was split, and less against a wider margin', () => {
    fc.assert(
      fc.property(histograms, histograms, signs, (a, b, sign) => {
        const logE = (block: Histogram, margin: number) => blockLogE(new Map([['a', block]]), () => score, sign, margin);
        const [one, two, whole] = [logE(a, 0), logE(b, 0), logE(mergeHistograms([a, b]), 0)];
        for (const [point, sum] of whole.entries()) near(sum, (one[point] ?? 0) + (two[point] ?? 0));
        for (const [point, wide] of logE(a, sign * 0.1).entries()) expect(wide).toBeLessThanOrEqual((one[point] ?? 0) + 1e-9);
      }),
      runs,
    );
    expect(detect(newDetector(1), [0])).toEqual([0]);
  });
});

describe('equal versions', () => {
  const alpha = 0.05;
  const [rollouts, answers] = [300, 400];

  /** Share of rollouts in which a test, asked after every answer, ever reaches 1 / alpha. */
  function toldApart(seed: number, start: () => (weight: number, uniform: () => number, normal: () => number) => number): number {
    const uniform = uniforms(seed);
    const normal = normals(uniform);
    let alarms = 0;
    for (let rollout = 0; rollout < rollouts; rollout += 1) {
      const next = start();
      for (let answer = 0; answer < answers; answer += 1) {
        if (next(0.2, uniform, normal) < Math.log(1 / alpha)) continue;
        alarms += 1;
        break;
      }
    }
    return alarms / rollouts;
  }

  /** Sums of a score's increments, as the tilt process adds them up; answers are in bursts that both arms meet. */
  function tilted(score: Score, scale: Scale, sign: 1 | -1, draw: (normal: () => number, burst: boolean) => number) {
    return () => {
      const sums = score.grid(sign).map(() => 0);
      let burst = false;
      return (weight: number, uniform: () => number, normal: () => number): number => {
        if (uniform() < 0.02) burst = !burst;
        const candidate = uniform() < weight;
        const x = scale.at(draw(normal, burst));
        score.grid(sign).forEach((hypothesis, point) => {
          const logR = score.logR(sign, hypothesis, x);
          sums[point] = (sums[point] ?? 0) + (candidate ? logR : 0) - Math.log(weight * Math.exp(logR) + 1 - weight);
        });
        return logMeanExp(sums);
      };
    };
  }
  const log = (normal: () => number, burst: boolean): number => Math.round(8 * normal()) + (burst ? 20 : 0);
  const share = (normal: () => number, burst: boolean): number =>
    Math.max(0, Math.min(100, Math.round(50 + 15 * normal() - (burst ? 20 : 0))));

  it.each<[string, () => (weight: number, uniform: () => number, normal: () => number) => number]>([
    ['LogTilt', tilted(logTilt(fitLogTilt(bell)), logScale, 1, log)],
    ['LinearTilt', tilted(linearTilt(fitLinearTilt(scored)), linearScale, -1, share)],
    ['Step', tilted(step(gamma ** 12, 0.05), logScale, 1, log)],
    [
      'Step from counts',
      () => {
        const counts = { baseline: 0, baselineOver: 0, candidate: 0, candidateOver: 0 };
        return (weight, uniform) => {
          const over = uniform() < 0.08;
          if (uniform() < weight) {
            counts.candidate += 1;
            if (over) counts.candidateOver += 1;
          } else {
            counts.baseline += 1;
            if (over) counts.baselineOver += 1;
          }
          return stepLogE([{ weight, ...counts }], 0.05);
        };
      },
    ],
    [
      'event ratio, at its ratio',
      () => {
        let [stable, candidate] = [0, 0];
        return (weight, uniform) => {
          const arm = uniform() < weight;
          const event = uniform() < (arm ? 0.3 : 0.2);
          if (event && arm) candidate += 1;
          if (event && !arm) stable += 1;
          return eventRatioLogE([{ weight, stable, candidate }], 1.5);
        };
      },
    ],
    [
      'rate difference, at its margin',
      () => {
        const counts = { stable: 0, stableEvents: 0, candidate: 0, candidateEvents: 0 };
        return (weight, uniform) => {
          const arm = uniform() < weight ? 'candidate' : 'stable';
          counts[arm] += 1;
          if (uniform() < (arm === 'candidate' ? 0.15 : 0.05)) counts[`${arm}Events`] += 1;
          return rateDifferenceLogE([{ weight, ...counts }], 0.1, -1);
        };
      },
    ],
    [
      'pairs, at their margin',
      () => {
        const pairs: [number, number][] = [];
        return (_weight, _uniform, normal) => {
          if (pairs.length === 50) return -Infinity;
          pairs.push([Math.log(1.1) + 0.4 * normal(), 1]);
          return pairedLogE(pairs, 1, 0.1);
        };
      },
    ],
    [
      'block signs',
      () => {
        let [slower, alike, faster] = [0, 0, 0];
        return (_weight, uniform) => {
          const sign = uniform();
          if (sign < 0.45) slower += 1;
          else if (sign < 0.9) faster += 1;
          else alike += 1;
          return blockSignLogE({ slower, alike, faster });
        };
      },
    ],
    [
      'a share against its bound',
      () => {
        let [events, all] = [0, 0];
        return (_weight, uniform) => {
          all += 1;
          if (uniform() < 0.05) events += 1;
          return binomialLogE(events, all, 0.05);
        };
      },
    ],
  ])('are told apart by %s in no more than the promised share of rollouts', (name, start) => {
    // Three standard errors of so many rollouts.
    expect(toldApart(name.length, start)).toBeLessThanOrEqual(alpha + 3 * Math.sqrt((alpha * (1 - alpha)) / rollouts));
  });
});
