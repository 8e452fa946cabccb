import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type PairedRatio, pairedLogE, pairedStrengths } from './index.js';

const distance = fc.double({ min: -3, max: 3, noNaN: true });
const margin = fc.double({ min: -0.5, max: 1, noNaN: true });
const sign = fc.constantFrom(1 as const, -1 as const);
const ratios: fc.Arbitrary<PairedRatio[]> = fc.array(fc.tuple(distance, fc.integer({ min: 1, max: 50 })), { maxLength: 20 });

describe('pairs', () => {
  it('are a fair bet when either order of a pair is as likely, at the margin', () => {
    fc.assert(
      fc.property(distance, margin, sign, fc.constantFrom(...pairedStrengths), (away, at, side, strength) => {
        const boundary = Math.log1p(at);
        const e = (lnRatio: number): number => Math.exp(pairedLogE([[lnRatio, 1]], side, at, [strength]));
        expect((e(boundary + away) + e(boundary - away)) / 2).toBeCloseTo(1, 9);
      }),
    );
  });

  it('say less against a wider margin', () => {
    fc.assert(
      fc.property(ratios, margin, margin, (all, a, b) => {
        const [low, high] = a < b ? [a, b] : [b, a];
        expect(pairedLogE(all, 1, high)).toBeLessThanOrEqual(pairedLogE(all, 1, low) + 1e-9);
        expect(pairedLogE(all, -1, low)).toBeLessThanOrEqual(pairedLogE(all, -1, high) + 1e-9);
      }),
    );
  });

  it('count at most twice each: six never decide at 1%, whatever they show', () => {
    expect(pairedLogE([[1e6, 6]])).toBeLessThan(Math.log(100));
    expect(pairedLogE([[1e6, 7]])).toBeGreaterThan(Math.log(100));
    expect(pairedLogE([[-1e6, 1_000]])).toBeLessThan(-1e6);
  });

  it('are no evidence when there are none', () => {
    expect(pairedLogE([])).toBeCloseTo(0, 12);
  });
});
