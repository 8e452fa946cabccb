import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { latencyWindow } from '../../../test/support/observation.js';
import { type Block, blockSignLogE, cutBlocks, type Window } from './index.js';

const options = { blockMs: 30_000, settleMs: 10_000, now: 1_000_000 };
const at = (second: number, arm: 'stable' | 'candidate', n: number, totalMs = 100): Window =>
  latencyWindow({ secondAt: second * 1_000, arm }, n, totalMs);
const both = (second: number, n = 5): Window[] => [at(second, 'stable', n), at(second, 'candidate', n)];
const spans = (blocks: Block[]) => blocks.map(({ startAt, endAt }) => [startAt / 1_000, endAt / 1_000]);

describe('blocks', () => {
  it('begin with the first answer and last their length, by assignment time', () => {
    expect(spans(cutBlocks([...both(7), ...both(36), ...both(37)], options))).toEqual([
      [7, 37],
      [37, 67],
    ]);
  });

  it('grow by whole lengths until each arm has five answers', () => {
    const windows = [at(0, 'stable', 50), at(1, 'candidate', 4), at(40, 'candidate', 1), ...both(61)];
    expect(cutBlocks(windows, options)).toEqual([
      { startAt: 0, endAt: 60_000, nStable: 50, nCandidate: 5, lnStable: Math.log(100), lnCandidate: Math.log(100) },
      expect.objectContaining({ startAt: 60_000, endAt: 90_000 }),
    ]);
  });

  it('count only when they have settled: slow answers must have had their time', () => {
    const windows = both(0);
    expect(cutBlocks(windows, { ...options, now: 39_999 })).toEqual([]);
    expect(cutBlocks(windows, { ...options, now: 40_000 })).toHaveLength(1);
  });

  it('are none without five answers of each arm', () => {
    expect(cutBlocks([], options)).toEqual([]);
    expect(cutBlocks([at(0, 'stable', 500), at(1, 'candidate', 4)], options)).toEqual([]);
  });

  it('ignore requests for which no coin was drawn', () => {
    expect(cutBlocks([...both(0), latencyWindow({ secondAt: 1_000, arm: null }, 100, 9_999)], options)).toEqual(
      cutBlocks(both(0), options),
    );
  });

  it('are the same in any order of windows, and those that closed never change as time goes on', () => {
    const windows = fc.array(
      fc.tuple(fc.integer({ min: 0, max: 400 }), fc.constantFrom('stable' as const, 'candidate' as const), fc.integer({ min: 1, max: 9 })),
      { maxLength: 80 },
    );
    fc.assert(
      fc.property(windows, fc.integer({ min: 0, max: 500 }), (cells, cut) => {
        const all = cells.map(([second, arm, n]) => at(second, arm, n));
        const later = cutBlocks(all, options);
        const near = (blocks: Block[]) =>
          blocks.map((block) => ({ ...block, lnStable: block.lnStable.toFixed(9), lnCandidate: block.lnCandidate.toFixed(9) }));
        expect(near(cutBlocks(all.toReversed(), options))).toEqual(near(later));
        const earlier = cutBlocks(all, { ...options, now: cut * 1_000 });
        expect(near(earlier)).toEqual(near(later).slice(0, earlier.length));
        for (const block of later) expect(Math.min(block.nStable, block.nCandidate)).toBeGreaterThanOrEqual(5);
      }),
      { seed: 5, numRuns: 300 },
    );
  });
});

describe('the sign of blocks', () => {
  const block = (lnStable: number, lnCandidate: number): Block => ({
    startAt: 0,
    endAt: 1,
    nStable: 5,
    nCandidate: 5,
    lnStable,
    lnCandidate,
  });
  const slower = (n: number) => Array.from({ length: n }, () => block(1, 1.2));

  it('is the average over bets of the product of 1 + bet x sign', () => {
    const bets = [0.05, 0.1, 0.2, 0.4, 0.7, 0.95];
    const signs = [1, 1, -1, 0, 1];
    const blocks = signs.map((sign) => block(1, 1 + sign * 0.01));
    const expected = bets.reduce((sum, bet) => sum + signs.reduce((product, sign) => product * (1 + bet * sign), 1), 0) / bets.length;
    expect(blockSignLogE(blocks, 0)).toBeCloseTo(Math.log(expected), 9);
  });

  it('needs at least ten blocks for 1%, as designed', () => {
    expect(blockSignLogE(slower(9), 0.1)).toBeLessThan(Math.log(100));
    expect(blockSignLogE(slower(10), 0.1)).toBeGreaterThan(Math.log(100));
  });

  it('is fair: each further block has expectation 1 when both signs are equally likely', () => {
    for (const before of [[], slower(3)]) {
      const withNext = (lnCandidate: number) => Math.exp(blockSignLogE([...before, block(1, lnCandidate)], 0));
      expect((withNext(2) + withNext(0)) / 2).toBeCloseTo(Math.exp(blockSignLogE(before, 0)), 12);
      expect(withNext(1)).toBeCloseTo(Math.exp(blockSignLogE(before, 0)), 12);
    }
  });

  it('without blocks is no evidence, and mirrors with the direction', () => {
    expect(blockSignLogE([], 0.1)).toBe(0);
    expect(blockSignLogE(slower(10), 0, -1)).toBeLessThan(0);
    expect(blockSignLogE(slower(10), 0.25, -1)).toBeGreaterThan(Math.log(20));
  });
});
