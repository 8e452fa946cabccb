import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aWindow } from '../../../test/support/observation.js';
import { type Block, BlockCutter, blockSignLogE, centreSign, emptyHistograms, MergedCounts, type Window } from './index.js';

const second = 1_000;
const options = { metric: 'total', baseline: 'stable', blockMs: 30 * second, settleMs: 10 * second } as const;

function at(secondAt: number, arm: Window['key']['arm'], n: number, bucket = 100): Window {
  const histograms = emptyHistograms();
  histograms.total.set(bucket, n);
  return aWindow({ secondAt: secondAt * second, arm }, { responses: n, histograms });
}
const both = (secondAt: number, n = 5): Window[] => [at(secondAt, 'stable', n), at(secondAt, 'candidate', n)];

/** A rollout's counts and a cutter that looks at them again and again. */
function watched(edges: number[] = []) {
  const counts = new MergedCounts();
  let cutter: BlockCutter | null = null;
  return {
    add: (windows: readonly Window[]) => counts.add(windows),
    look: (now: number) => {
      const mark = cutter ? null : counts.watchSeconds(1);
      if (mark) cutter = new BlockCutter({ ...options, edges, tests: [(block) => centreSign(block, 0)] }, mark);
      const { blocks, signs } = cutter?.cut(counts.seconds(1), now * second) ?? { blocks: [], signs: [] };
      return { blocks: structuredClone(blocks) as Block[], signs: structuredClone(signs[0]) };
    },
  };
}
const cut = (windows: readonly Window[], now = 1_000, edges: number[] = []): Block[] => {
  const one = watched(edges);
  one.add(windows);
  return one.look(now).blocks;
};
const spans = (blocks: readonly Block[]) => blocks.map(({ startAt, endAt }) => [startAt / second, endAt / second]);

describe('blocks', () => {
  it('lie on whole multiples of their length, by assignment time', () => {
    expect(spans(cut([...both(7), ...both(29), ...both(37), ...both(60)]))).toEqual([
      [0, 30],
      [30, 60],
      [60, 90],
    ]);
  });

  it('grow by whole lengths until each arm has five answers, over silence too', () => {
    const windows = [
      at(0, 'stable', 50),
      at(1, 'candidate', 4),
      at(40, 'candidate', 1, 200),
      ...both(61),
      at(92, 'stable', 9),
      ...both(500),
    ];
    expect(cut(windows)).toEqual([
      { startAt: 0, endAt: 60 * second, n: [50, 5], indexSum: [5_000, 600], over: [] },
      expect.objectContaining({ startAt: 60 * second, endAt: 90 * second }),
      { startAt: 90 * second, endAt: 510 * second, n: [14, 5], indexSum: [1_400, 500], over: [] },
    ]);
  });

  it('count answers above each edge', () => {
    expect(cut([...both(0), at(2, 'candidate', 3, 150)], 1_000, [99, 100, 150])[0]?.over).toEqual([
      [5, 8],
      [0, 3],
      [0, 0],
    ]);
  });

  it('count only when they have settled: slow answers must have had their time', () => {
    expect(cut(both(0), 39.999)).toEqual([]);
    expect(cut(both(0), 40)).toHaveLength(1);
  });

  it('are none without five answers of each arm, or of requests for which no coin was drawn', () => {
    expect(cut([])).toEqual([]);
    expect(cut([at(0, 'stable', 500), at(1, 'candidate', 4)])).toEqual([]);
    expect(cut([...both(0), at(1, null, 100, 300)])).toEqual(cut(both(0)));
  });

  const cells = fc.array(
    fc.tuple(
      fc.integer({ min: 0, max: 400 }),
      fc.constantFrom('stable' as const, 'candidate' as const),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: -20, max: 20 }),
    ),
    { maxLength: 60 },
  );

  it('are the same whatever the order and split of windows, and however often somebody looked before', () => {
    fc.assert(
      fc.property(
        cells,
        fc.array(fc.tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 600 })), { maxLength: 12 }),
        (drawn, looks) => {
          const windows = drawn.map(([secondAt, arm, n, bucket]) => at(secondAt, arm, n, bucket));
          const live = watched([0]);
          let from = 0;
          for (const [size, now] of looks) {
            live.add(windows.slice(from, from + size));
            from += size;
            // Late windows, early looks, looks into the past: none leaves a trace.
            live.look(now);
          }
          live.add(windows.slice(from));
          const replayed = watched([0]);
          replayed.add(windows.toReversed());
          for (const now of [450, 200, 600]) expect(live.look(now)).toEqual(replayed.look(now));
          const { blocks, signs } = replayed.look(600);
          for (const { n } of blocks) expect(Math.min(...n)).toBeGreaterThanOrEqual(5);
          const slower = blocks.filter((block) => centreSign(block, 0) > 0).length;
          expect(signs?.slower ?? 0).toBe(slower);
          expect(blockSignLogE(signs ?? { slower: 0, alike: 0, faster: 0 })).toBeTypeOf('number');
        },
      ),
      { seed: 5, numRuns: 400 },
    );
  });

  it('that closed stay as they are while time goes on and nothing late comes', () => {
    fc.assert(
      fc.property(cells, fc.integer({ min: 0, max: 500 }), (drawn, early) => {
        const windows = drawn.map(([secondAt, arm, n, bucket]) => at(secondAt, arm, n, bucket));
        const before = cut(windows, early);
        expect(cut(windows, 1_000).slice(0, before.length)).toEqual(before);
      }),
      { seed: 6, numRuns: 200 },
    );
  });
});
