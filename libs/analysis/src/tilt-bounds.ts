// The interval shown to people: both one-sided tests inverted in the margin, from counts, moving the candidate by whole buckets.
import { BucketCounts } from './bucket-counts.js';
import { IncrementTable } from './increment-table.js';
import type { Score, Sign } from './label.js';
import { logMeanExp } from './mixture.js';
import { accumulate, type MetricCell } from './tilt-sums.js';

export interface TiltBoundsOptions {
  readonly judgedClass: (promptClass: string) => string;
  readonly scoreOf: (judgedClass: string) => Score;
  readonly at: (index: number) => number;
  /** Least and largest move asked for, in buckets; the answer is one of them when everything between is rejected, or nothing. */
  readonly lowest: number;
  readonly highest: number;
}

/**
 * Bounds of the candidate's shift against the baseline in buckets (on the log axis one is ln gamma), valid at every look at level 1 - alpha. Interpolated
 * within the last bucket; nothing is decided by them. Cost: about 20 passes over buckets x grid x cells, half a millisecond at ten cells.
 */
export class TiltBounds {
  private readonly tables = new Map<string, readonly [IncrementTable, IncrementTable]>();
  private readonly options: TiltBoundsOptions;

  constructor(options: TiltBoundsOptions) {
    this.options = options;
  }

  of(cells: readonly MetricCell[], alpha: number): { readonly lower: number; readonly upper: number } {
    const needed = Math.log(2 / alpha);
    const { lowest, highest } = this.options;
    const merged = mergeCells(cells, this.options.judgedClass);
    const excess = (sign: Sign): ((move: number) => number) => {
      const still = this.still(merged, sign);
      return (move) => this.moved(merged, sign, still, move) - needed;
    };
    const below = excess(-1);
    return { lower: lastRejected(excess(1), lowest, highest), upper: -lastRejected((move) => below(-move), -highest, -lowest) };
  }

  /** What the baseline's answers add, whatever the candidate is moved by. */
  private still(cells: readonly MetricCell[], sign: Sign): Float64Array | null {
    let sums: Float64Array | null = null;
    for (const { promptClass, weight, baseline } of cells) {
      const table = this.tablesOf(promptClass, weight, sign)[0];
      sums ??= new Float64Array(table.points);
      accumulate(sums, baseline, table, 0);
    }
    return sums;
  }

  private moved(cells: readonly MetricCell[], sign: Sign, still: Float64Array | null, move: number): number {
    if (!still) return 0;
    const sums = still.slice();
    for (const { promptClass, weight, candidate } of cells) accumulate(sums, candidate, this.tablesOf(promptClass, weight, sign)[1], move);
    return logMeanExp([...sums]);
  }

  private tablesOf(judged: string, weight: number, sign: Sign): readonly [IncrementTable, IncrementTable] {
    const name = `${sign} ${weight} ${judged}`;
    let tables = this.tables.get(name);
    if (!tables) {
      const table = (arm: 0 | 1): IncrementTable =>
        new IncrementTable(arm, weight, this.options.scoreOf(judged), this.options.at, [{ sign, shift: 0 }]);
      tables = [table(0), table(1)];
      this.tables.set(name, tables);
    }
    return tables;
  }
}

/** The largest move at which `excess` (falling) is still positive, interpolated; `from` when it nowhere is. */
function lastRejected(excess: (move: number) => number, from: number, to: number): number {
  if (excess(from) < 0) return from;
  if (excess(to) >= 0) return to;
  let [a, b] = [from, to];
  while (b - a > 1) {
    const middle = Math.floor((a + b) / 2);
    if (excess(middle) >= 0) a = middle;
    else b = middle;
  }
  const [above, below] = [excess(a), excess(b)];
  return a + above / (above - below);
}

/** Thin classes of one pool and weight as one cell each. */
function mergeCells(cells: readonly MetricCell[], judgedClass: (promptClass: string) => string): MetricCell[] {
  const merged = new Map<string, MetricCell>();
  for (const { promptClass, weight, baseline, candidate } of cells) {
    if (baseline.total === 0 && candidate.total === 0) continue;
    const judged = judgedClass(promptClass);
    const name = `${weight} ${judged}`;
    let cell = merged.get(name);
    if (!cell) {
      cell = { promptClass: judged, weight, baseline: new BucketCounts(), candidate: new BucketCounts() };
      merged.set(name, cell);
    }
    for (const [index, count] of baseline) cell.baseline.add(index, count);
    for (const [index, count] of candidate) cell.candidate.add(index, count);
  }
  return [...merged.values()];
}
