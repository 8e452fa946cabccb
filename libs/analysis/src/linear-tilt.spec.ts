import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countOf, fitLinearTilt, type Histogram, linearScale, linearTilt, scoreBin, tiltLogE } from './index.js';

const bins: fc.Arbitrary<Histogram> = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 1, max: 20 })), { minLength: 1, maxLength: 12 })
  .map((cells) => new Map(cells));
const margins = fc.double({ min: -0.3, max: 0.3, noNaN: true });

describe('the tilt of quality', () => {
  it('is a fair bet on the reference itself', () => {
    fc.assert(
      fc.property(bins, fc.constantFrom(1 as const, -1 as const), (reference, sign) => {
        const own = linearTilt(fitLinearTilt(reference));
        for (const hypothesis of own.grid(sign)) {
          let expectation = 0;
          for (const [bin, count] of reference)
            expectation += (count / countOf(reference)) * Math.exp(own.logR(sign, hypothesis, linearScale.at(bin)));
          expect(expectation).toBeCloseTo(1, 9);
        }
      }),
    );
  });

  it('says less against a wider margin', () => {
    fc.assert(
      fc.property(bins, bins, bins, margins, margins, (reference, stable, candidate, a, b) => {
        const score = linearTilt(fitLinearTilt(reference));
        const epochs = [{ weight: 0.2, classes: new Map([['all', { stable, candidate }]]) }];
        const logE = (sign: 1 | -1, margin: number): number => tiltLogE(epochs, () => score, sign, margin, linearScale);
        const [low, high] = a < b ? [a, b] : [b, a];
        expect(logE(1, high)).toBeLessThanOrEqual(logE(1, low) + 1e-9);
        expect(logE(-1, low)).toBeLessThanOrEqual(logE(-1, high) + 1e-9);
      }),
    );
  });

  it('keeps scores in 101 bins, those out of range in the outermost', () => {
    expect([-1, 0, 0.004, 0.006, 0.5, 1, 7].map(scoreBin)).toEqual([0, 0, 0, 1, 50, 100, 100]);
  });
});
