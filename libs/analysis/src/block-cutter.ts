// Cuts one epoch's latencies into blocks for the sign test, and keeps what is cut: a look costs what has settled or changed since the last one.
import type { ComparedArm } from '#libs/base';
import { type Block, type BlockTest, leastPerArm, type SignCounts } from './block-sign.js';
import { type ChangeMark, firstFrom, type LatencyMetric, type LatencySlice } from './latency-slices.js';
import type { Histogram } from './window.js';

export interface CutOptions {
  readonly metric: LatencyMetric;
  readonly baseline: Exclude<ComparedArm, 'candidate'>;
  /** Length of a block, milliseconds: a multiple of the slices' length. Blocks begin at whole multiples of it since the Unix epoch. */
  readonly blockMs: number;
  /** A block counts when this much time has passed since its end: answers that still run then are outliers, not the rule. */
  readonly settleMs: number;
  /** Bucket indices above which answers are counted, each its own column of `over`. */
  readonly edges: readonly number[];
  /** What is asked of each block. */
  readonly tests: readonly BlockTest[];
}

type Counted = { -readonly [Name in keyof SignCounts]: number };

export interface CutBlocks {
  /** Closed blocks in order of time. Read at once: the next look changes them. */
  readonly blocks: readonly Block[];
  /** One for each test, over all blocks. */
  readonly signs: readonly SignCounts[];
}

interface OpenBlock {
  readonly startAt: number;
  readonly n: [number, number];
  readonly indexSum: [number, number];
  readonly over: [number, number][];
}

/**
 * Blocks of one metric, epoch and pair of arms: by *assignment* time, never across a change of weight, and grown by whole lengths until each arm has 5
 * finished answers.
 *
 * What is cut depends on two things alone: which windows have come, and `now`. An answer that comes after its block has settled (it ran for very long, or its
 * gateway was cut off from the database) is not thrown away: the block is cut again with it, and so are those behind where it moves an end. So a look
 * live and a look in a replay agree as long as both see the same windows: the controller stores with each decision which windows had committed (a
 * snapshot of the database) and the time it was made at. Throwing late answers away would favour the slower arm, whose slow answers are the late ones; what
 * it costs that a sign may still turn once is measured in the specs (false alarms stay below alpha).
 *
 * An answer without this latency is in no block. Gateways leave the first answers of a fresh replica out of latencies (cold caches) in this way.
 */
export class BlockCutter {
  private readonly blocks: Block[] = [];
  /** Sums of what was read since the last block closed; null: nothing was. */
  private open: OpenBlock | null = null;
  /** Everything that was assigned before it is in `blocks` or `open`. */
  private readTo = -Infinity;
  private seenNow = -Infinity;
  private readonly signs: Counted[];

  constructor(
    private readonly options: CutOptions,
    private readonly mark: ChangeMark,
  ) {
    this.signs = options.tests.map(() => ({ slower: 0, alike: 0, faster: 0 }));
  }

  /** `slices`: all of the epoch. Cost: slices that settled since the last look. */
  cut(slices: readonly LatencySlice[], now: number): CutBlocks {
    if (now < this.seenNow) this.reopen(-Infinity);
    else if (this.mark.at < this.readTo) this.reopen(this.mark.at);
    this.mark.at = Infinity;
    this.seenNow = now;
    const { blockMs, settleMs, edges } = this.options;
    let position = firstFrom(slices, this.readTo);
    for (let next = slices[position]; next !== undefined; next = slices[position]) {
      const startAt = Math.floor(next.at / blockMs) * blockMs;
      const endAt = startAt + blockMs;
      // Read nothing of a length before it settled: until then it changes with each second.
      if (endAt + settleMs > now) break;
      this.open ??= { startAt, n: [0, 0], indexSum: [0, 0], over: edges.map(() => [0, 0]) };
      for (let slice: LatencySlice | undefined = next; slice !== undefined && slice.at < endAt; slice = slices[position]) {
        this.read(this.open, slice);
        position += 1;
      }
      this.readTo = endAt;
      const { n } = this.open;
      if (n[0] < leastPerArm || n[1] < leastPerArm) continue;
      const block = { ...this.open, endAt };
      this.blocks.push(block);
      this.count(block, 1);
      this.open = null;
    }
    return { blocks: this.blocks, signs: this.signs };
  }

  /** Forgets every block that reaches behind `at`, and begins anew where the last one that stays ends. */
  private reopen(at: number): void {
    for (let last = this.blocks.at(-1); last !== undefined && last.endAt > at; last = this.blocks.at(-1)) {
      this.count(last, -1);
      this.blocks.pop();
    }
    this.open = null;
    this.readTo = this.blocks.at(-1)?.endAt ?? -Infinity;
  }

  private count(block: Block, times: 1 | -1): void {
    for (const [at, test] of this.options.tests.entries()) {
      const counts = this.signs[at];
      if (counts) counts[namesOfSigns[test(block)]] += times;
    }
  }

  private read(open: OpenBlock, { arms }: LatencySlice): void {
    const { metric, baseline, edges } = this.options;
    for (const [side, cell] of [arms[baseline][metric], arms.candidate[metric]].entries()) {
      if (cell.n === 0) continue;
      open.n[side as 0 | 1] += cell.n;
      open.indexSum[side as 0 | 1] += cell.indexSum;
      if (edges.length > 0) countOver(open.over, side as 0 | 1, cell.tail, edges);
    }
  }
}

const namesOfSigns = { [-1]: 'faster', 0: 'alike', 1: 'slower' } as const;

function countOver(over: [number, number][], side: 0 | 1, tail: Histogram, edges: readonly number[]): void {
  for (const [index, count] of tail) {
    edges.forEach((edge, column) => {
      const cell = over[column];
      if (cell && index > edge) cell[side] += count;
    });
  }
}
