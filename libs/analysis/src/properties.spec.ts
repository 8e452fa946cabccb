import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bucketOf,
  combine,
  countOf,
  type EpochHistograms,
  eventRatioLogE,
  fitLogTilt,
  gamma,
  type Histogram,
  histogramOf,
  labelIncrement,
  logMeanExp,
  logTilt,
  mergeHistograms,
  quantileBucket,
  rateDifferenceLogE,
  representative,
  scaleBounds,
  step,
  tiltLogE,
  twoSidedTiltLogE,
} from './index.js';

const weights = fc.double({ min: 0.01, max: 0.99, noNaN: true });
const signs = fc.constantFrom(1 as const, -1 as const);
const values = fc.double({ min: 1e-3, max: 1e4, noNaN: true });
const histograms: fc.Arbitrary<Histogram> = fc
  .array(fc.tuple(fc.integer({ min: -60, max: 60 }), fc.integer({ min: 1, max: 20 })), { maxLength: 12 })
  .map((cells) => new Map(cells));
const filled = histograms.filter((histogram) => countOf(histogram) > 0);
const score = logTilt(fitLogTilt(new Map(Array.from({ length: 81 }, (_, index) => [index - 40, 41 - Math.abs(index - 40)]))));
const scoreOf = () => score;
const cells = fc.record({ stable: histograms, candidate: histograms });
const epochs: fc.Arbitrary<EpochHistograms[]> = fc.array(
  fc.record({
    weight: weights,
    classes: fc.dictionary(fc.constantFrom('a', 'b', 'c'), cells, { minKeys: 1 }).map((all) => new Map(Object.entries(all))),
  }),
  { minLength: 1, maxLength: 4 },
);
const runs = { numRuns: 300, seed: 11 };

describe('buckets', () => {
  it('stand for their values within 1%, and keep their order', () => {
    fc.assert(
      fc.property(values, values, (a, b) => {
        expect(Math.abs(representative(bucketOf(a)) / a - 1)).toBeLessThanOrEqual(0.01 + 1e-9);
        if (a <= b) expect(bucketOf(a)).toBeLessThanOrEqual(bucketOf(b));
      }),
    );
  });

  it('take everything from nothing to the floor as one', () => {
    for (const value of [0, 1e-300, -5, 1e-4]) expect(bucketOf(value)).toBe(bucketOf(1e-4));
  });

  it('merge to the same counts in any order and grouping', () => {
    fc.assert(
      fc.property(fc.array(values, { maxLength: 200 }), fc.integer({ min: 1, max: 9 }), (all, parts) => {
        const split = Array.from({ length: parts }, (_, part) => histogramOf(all.filter((_value, index) => index % parts === part)));
        const sorted = (histogram: Histogram) => [...histogram].sort(([a], [b]) => a - b);
        const whole = sorted(histogramOf(all));
        expect(sorted(mergeHistograms(split))).toEqual(whole);
        expect(sorted(mergeHistograms(split.toReversed()))).toEqual(whole);
      }),
      runs,
    );
  });

  it('find a quantile by nearest rank', () => {
    fc.assert(
      fc.property(fc.array(values, { minLength: 1, maxLength: 100 }), fc.double({ min: 0.01, max: 1, noNaN: true }), (all, q) => {
        const nearest = all.toSorted((a, b) => a - b)[Math.max(1, Math.ceil(q * all.length)) - 1] ?? 0;
        expect(quantileBucket(histogramOf(all), q)).toBe(bucketOf(nearest));
      }),
      runs,
    );
    expect(quantileBucket(new Map(), 0.5)).toBeNull();
  });
});

describe('one bet is fair: its expectation is 1 at the boundary', () => {
  it('on a label, whatever the outcome', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.001, max: 0.99, noNaN: true }), fc.double({ min: -20, max: 20, noNaN: true }), (weight, logR) => {
        const expectation = weight * Math.exp(labelIncrement(1, weight, logR)) + (1 - weight) * Math.exp(labelIncrement(0, weight, logR));
        expect(expectation).toBeCloseTo(1, 9);
      }),
    );
  });

  it('on an event, when the candidate errs exactly `ratio` times as often', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.01, max: 0.9, noNaN: true }),
        fc.double({ min: 1, max: 3, noNaN: true }),
        signs,
        (weight, ratio, sign) => {
          const p = (ratio * weight) / (ratio * weight + 1 - weight);
          const e = (stable: number, candidate: number) => Math.exp(eventRatioLogE([{ weight, stable, candidate }], ratio, sign));
          expect(p * e(0, 1) + (1 - p) * e(1, 0)).toBeCloseTo(1, 9);
        },
      ),
    );
  });

  it('on a difference of rates, when it is exactly the margin', () => {
    const small = fc.double({ min: 0, max: 0.3, noNaN: true });
    fc.assert(
      fc.property(
        fc.double({ min: 0.02, max: 0.9, noNaN: true }),
        small,
        fc.double({ min: 0, max: 0.1, noNaN: true }),
        signs,
        (weight, p0, margin, sign) => {
          const p1 = p0 + margin;
          const e = (stable: number, stableEvents: number, candidate: number, candidateEvents: number) =>
            Math.exp(rateDifferenceLogE([{ weight, stable, stableEvents, candidate, candidateEvents }], margin, sign));
          const expectation =
            weight * (p1 * e(0, 0, 1, 1) + (1 - p1) * e(0, 0, 1, 0)) + (1 - weight) * (p0 * e(1, 1, 0, 0) + (1 - p0) * e(1, 0, 0, 0));
          expect(expectation).toBeCloseTo(1, 9);
        },
      ),
    );
  });

  it('on a tail: a step is a likelihood ratio of the reference', () => {
    for (const [share, tail] of [
      [0.5, 0.5],
      [0.05, 0.05],
      [0.01, 0.01],
    ] as const) {
      const tailScore = step(100, share);
      for (const sign of [1, -1] as const)
        for (const rho of tailScore.grid(sign)) {
          const [over, under] = [Math.exp(tailScore.logR(sign, rho, Math.log(101))), Math.exp(tailScore.logR(sign, rho, Math.log(99)))];
          expect(tail * over + (1 - tail) * under).toBeCloseTo(1, 12);
        }
    }
  });

  it('on a tilt: the reference itself is the boundary', () => {
    fc.assert(
      fc.property(filled, signs, (reference, sign) => {
        const own = logTilt(fitLogTilt(reference));
        for (const hypothesis of own.grid(sign)) {
          let expectation = 0;
          for (const [index, count] of reference)
            expectation += (count / countOf(reference)) * Math.exp(own.logR(sign, hypothesis, Math.log(representative(index))));
          expect(expectation).toBeCloseTo(1, 9);
        }
      }),
      runs,
    );
  });
});

describe('the tilt process', () => {
  it('is the same number in any order of epochs, classes and buckets', () => {
    const reversed = <K, V>(map: ReadonlyMap<K, V>): Map<K, V> => new Map([...map].reverse());
    fc.assert(
      fc.property(epochs, signs, (all, sign) => {
        const other = all.toReversed().map(({ weight, classes }) => ({
          weight,
          classes: reversed(
            new Map([...classes].map(([name, cell]) => [name, { stable: reversed(cell.stable), candidate: reversed(cell.candidate) }])),
          ),
        }));
        const logE = tiltLogE(all, scoreOf, sign, 0.05);
        expect(Math.abs(tiltLogE(other, scoreOf, sign, 0.05) - logE)).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(logE)));
      }),
      runs,
    );
  });

  it('adds over epochs of the same weight: however the counts are split, the evidence is the same', () => {
    fc.assert(
      fc.property(weights, cells, cells, signs, (weight, one, two, sign) => {
        const classOf = (cell: typeof one) => new Map([['a', cell]]);
        const merged = { stable: mergeHistograms([one.stable, two.stable]), candidate: mergeHistograms([one.candidate, two.candidate]) };
        const split = tiltLogE(
          [
            { weight, classes: classOf(one) },
            { weight, classes: classOf(two) },
          ],
          scoreOf,
          sign,
          0.1,
        );
        const whole = tiltLogE([{ weight, classes: classOf(merged) }], scoreOf, sign, 0.1);
        expect(Math.abs(split - whole)).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(whole)));
      }),
      runs,
    );
  });

  it('falls as the margin grows upwards, and rises downwards', () => {
    fc.assert(
      fc.property(epochs, fc.double({ min: -0.5, max: 2, noNaN: true }), fc.double({ min: -0.5, max: 2, noNaN: true }), (all, a, b) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)];
        expect(tiltLogE(all, scoreOf, 1, high)).toBeLessThanOrEqual(tiltLogE(all, scoreOf, 1, low) + 1e-9);
        expect(tiltLogE(all, scoreOf, -1, low)).toBeLessThanOrEqual(tiltLogE(all, scoreOf, -1, high) + 1e-9);
      }),
      runs,
    );
  });

  it('hears nothing of epochs in which no coin was drawn', () => {
    fc.assert(
      fc.property(epochs, cells, fc.constantFrom(0, 1), signs, (all, cell, weight, sign) => {
        const silent = { weight, classes: new Map([['a', cell]]) };
        expect(tiltLogE([...all, silent], scoreOf, sign, 0.1)).toBe(tiltLogE(all, scoreOf, sign, 0.1));
        expect(tiltLogE([silent], scoreOf, sign, 0.1)).toBe(0);
      }),
      runs,
    );
  });

  it('without data is 1', () => {
    expect(tiltLogE([], scoreOf, 1, 0.1)).toBe(0);
    expect(tiltLogE([{ weight: 0.5, classes: new Map() }], scoreOf, 1, 0.1)).toBe(0);
    expect(twoSidedTiltLogE([], scoreOf, 0.1, 0.1)).toBe(0);
  });

  it('gives bounds in order, which hold the margins that were not rejected', () => {
    fc.assert(
      fc.property(epochs, (all) => {
        const { lower, upper } = scaleBounds(all, scoreOf, 0.05, -0.9, 10, 1e-6);
        expect(lower).toBeGreaterThanOrEqual(-0.9);
        expect(upper).toBeLessThanOrEqual(10);
        // Where both directions reject everything the data fit no shift at all; else the interval is one.
        if (lower <= upper && lower > -0.9) expect(tiltLogE(all, scoreOf, 1, lower)).toBeGreaterThanOrEqual(Math.log(40) - 1e-3);
      }),
      { numRuns: 60, seed: 11 },
    );
  });
});

describe('events', () => {
  it('without a coin, or without events, are no evidence', () => {
    expect(eventRatioLogE([])).toBe(0);
    expect(eventRatioLogE([{ weight: 0.2, stable: 0, candidate: 0 }])).toBe(0);
    for (const weight of [0, 1]) {
      expect(eventRatioLogE([{ weight, stable: 5, candidate: 50 }])).toBe(0);
      expect(rateDifferenceLogE([{ weight, stable: 5, stableEvents: 1, candidate: 50, candidateEvents: 50 }], 0.01, -1)).toBe(0);
    }
  });

  it('weigh as much as the published anchors say', () => {
    const events = (weight: number, stable: number, candidate: number, ratio = 1) => eventRatioLogE([{ weight, stable, candidate }], ratio);
    expect(events(0.05, 0, 3)).toBeCloseTo(7.508, 3);
    expect(events(0.5, 0, 7)).toBeCloseTo(4.09, 3);
    expect(events(0.05, 40, 12)).toBeCloseTo(8.117, 3);
    expect(events(0.05, 40, 12, 1.5)).toBeCloseTo(4.782, 3);
  });

  it('are not pooled: a rate that differs between epochs is no difference between arms', () => {
    // w = 5% while all is quiet, 50% while everything errs: pooled, the candidate would look several times worse.
    const apart = [
      { weight: 0.05, stable: 9, candidate: 1 },
      { weight: 0.5, stable: 100, candidate: 100 },
    ];
    expect(eventRatioLogE(apart, 1)).toBeLessThan(Math.log(2));
    expect(eventRatioLogE([{ weight: 0.275, stable: 109, candidate: 101 }], 1)).toBeGreaterThan(Math.log(100));
  });
});

describe('an average of e-values', () => {
  const logs = fc.dictionary(fc.constantFrom('entropy', 'errors', 'latency', 'length'), fc.double({ min: -700, max: 700, noNaN: true }), {
    minKeys: 1,
  });

  it('lies between its least and its largest, and its shares add up to one', () => {
    fc.assert(
      fc.property(logs, (named) => {
        const { logE, share } = combine(named);
        const all = Object.values(named);
        expect(logE).toBeLessThanOrEqual(Math.max(...all) + 1e-9);
        expect(logE).toBeGreaterThanOrEqual(Math.min(...all) - 1e-9);
        expect(Object.values(share).reduce<number>((sum, one) => sum + (one ?? 0), 0)).toBeCloseTo(1, 9);
      }),
    );
  });

  it('bears what cannot happen and what is certain', () => {
    expect(logMeanExp([-Infinity, -Infinity])).toBe(-Infinity);
    expect(logMeanExp([700, -700])).toBeCloseTo(700 - Math.log(2), 9);
    expect(() => logMeanExp([])).toThrow();
  });
});

describe('the gross margin', () => {
  it('is a whole number of buckets, so that the shifted candidate meets the sharp step where stable does', () => {
    const whole = Math.round(Math.log(2) / Math.log(gamma));
    const threshold = gamma ** 300;
    const tail = step(threshold, 0.01);
    const logR = (index: number, shift: number) => tail.logR(1, 2, Math.log(representative(index)) - shift);
    for (let index = 290; index <= 310; index += 1) expect(logR(index + whole, Math.log(gamma) * whole)).toBe(logR(index, 0));
  });
});
