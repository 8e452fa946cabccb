import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Block, blockBets, blockSignLogE, centreSign, gamma, tailSign } from './index.js';

const block = (more: Partial<Block> = {}): Block => ({ startAt: 0, endAt: 1, n: [5, 5], indexSum: [500, 500], over: [], ...more });
const signs = (slower: number, faster = 0, alike = 0) => ({ slower, faster, alike });

describe('the sign of a block', () => {
  it('compares mean ln of the arms, at the margin', () => {
    expect(centreSign(block(), 0)).toBe(0);
    expect(centreSign(block({ indexSum: [500, 501] }), 0)).toBe(1);
    expect(centreSign(block({ indexSum: [500, 499] }), 0)).toBe(-1);
    // Five buckets are 10.5%.
    expect(centreSign(block({ indexSum: [500, 525] }), 0.1)).toBe(1);
    expect(centreSign(block({ indexSum: [500, 525] }), 0.11)).toBe(-1);
    expect(centreSign(block({ n: [5, 10], indexSum: [500, 1_000] }), 0)).toBe(0);
  });

  it('falls as the margin grows', () => {
    const sum = fc.integer({ min: -2_000, max: 2_000 });
    const n = fc.integer({ min: 5, max: 500 });
    fc.assert(
      fc.property(
        sum,
        sum,
        n,
        n,
        fc.double({ min: -0.5, max: 2, noNaN: true }),
        fc.double({ min: -0.5, max: 2, noNaN: true }),
        (a, b, n0, n1, x, y) => {
          const one = block({ n: [n0, n1], indexSum: [a, b] });
          expect(centreSign(one, Math.max(x, y))).toBeLessThanOrEqual(centreSign(one, Math.min(x, y)));
        },
      ),
    );
  });

  it('compares shares above a threshold, each arm with its own', () => {
    const one = block({
      n: [100, 10],
      over: [
        [5, 2],
        [3, 0],
      ],
    });
    expect(tailSign(one, 0, 0)).toBe(1);
    expect(tailSign(one, 0, 1)).toBe(-1);
    expect(tailSign(block({ n: [100, 20], over: [[5, 1]] }), 0, 0)).toBe(0);
  });
});

describe('signs of blocks', () => {
  it('are the average over bets of the product of 1 + bet x sign', () => {
    const expected = blockBets.reduce((sum, bet) => sum + (1 + bet) ** 3 * (1 - bet), 0) / blockBets.length;
    expect(blockSignLogE(signs(3, 1, 7))).toBeCloseTo(Math.log(expected), 9);
  });

  it('need at least ten blocks for 1%, as designed', () => {
    expect(blockSignLogE(signs(9))).toBeLessThan(Math.log(100));
    expect(blockSignLogE(signs(10))).toBeGreaterThan(Math.log(100));
  });

  it('are fair: each further block has expectation 1 when both signs are equally likely', () => {
    const count = fc.integer({ min: 0, max: 60 });
    fc.assert(
      fc.property(
        count,
        count,
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.constantFrom(1 as const, -1 as const),
        (slower, faster, alike, sign) => {
          const e = (more: number, less: number) => Math.exp(blockSignLogE(signs(slower + more, faster + less), sign));
          const next = (1 - alike) * 0.5 * (e(1, 0) + e(0, 1)) + alike * e(0, 0);
          expect(next / e(0, 0)).toBeCloseTo(1, 9);
        },
      ),
    );
  });

  it('never favour rejection when slower is the less likely sign', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 0.5, noNaN: true }), fc.integer({ min: 0, max: 40 }), (slower, before) => {
        const e = (more: number, less: number) => Math.exp(blockSignLogE(signs(before + more, less)));
        expect(slower * e(1, 0) + (1 - slower) * e(0, 1)).toBeLessThanOrEqual(e(0, 0) * (1 + 1e-9));
      }),
    );
  });

  it('without blocks are no evidence, and mirror with the direction', () => {
    expect(blockSignLogE(signs(0, 0, 9))).toBe(0);
    expect(blockSignLogE(signs(10), -1)).toBeLessThan(0);
    expect(blockSignLogE(signs(0, 10), -1)).toBe(blockSignLogE(signs(10)));
    expect(gamma).toBeGreaterThan(1);
  });
});
