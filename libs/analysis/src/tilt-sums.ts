// The label e-process of one metric over a ledger: partial sums by cell (epoch, class, arm), recomputed only where counts changed.
import type { BucketCounts } from './bucket-counts.js';
import { IncrementTable, type TiltTest } from './increment-table.js';
import type { Score } from './label.js';
import { logMeanExp } from './mixture.js';

/** Counts of one metric in one epoch and class, both arms. */
export interface MetricCell {
  readonly promptClass: string;
  /** Probability of the candidate among the two arms that are compared, strictly between 0 and 1. */
  readonly weight: number;
  readonly baseline: BucketCounts;
  readonly candidate: BucketCounts;
}

export interface TiltSumsOptions {
  /** The class under which a prompt class is judged: thin ones share a pool. */
  readonly judgedClass: (promptClass: string) => string;
  readonly scoreOf: (judgedClass: string) => Score;
  /** Axis of a bucket. */
  readonly at: (index: number) => number;
  /** The same number of tests with the same signs for every class; margins may differ. */
  readonly testsOf: (judgedClass: string) => readonly TiltTest[];
}

/** Evidence of a judged class, or of all: one ln e-value per test. */
export interface TiltAnswer {
  readonly logE: readonly number[];
  readonly nBaseline: number;
  readonly nCandidate: number;
}

interface CachedSums {
  version: number;
  table: IncrementTable;
  readonly sums: Float64Array;
}

interface ClassSums {
  readonly sums: Float64Array;
  nBaseline: number;
  nCandidate: number;
}

/**
 * Equal to `tiltLogE` over the same counts (up to rounding), whatever the order in which they came: a dirty cell is summed anew over its buckets in
 * ascending order, and cells are added in the order given. Cost of a look: cells x points, plus buckets x points of each dirty cell.
 */
export class TiltSums {
  private readonly tables = new Map<string, Map<number, readonly [IncrementTable, IncrementTable]>>();
  private readonly cached = new WeakMap<BucketCounts, CachedSums>();
  private readonly options: TiltSumsOptions;

  constructor(options: TiltSumsOptions) {
    this.options = options;
  }

  /** `cells` in a canonical order (epoch, then class). No cells: every ln e-value is 0. */
  look(cells: readonly MetricCell[]): { readonly all: TiltAnswer; readonly classes: ReadonlyMap<string, TiltAnswer> } {
    const byClass = new Map<string, ClassSums>();
    for (const { promptClass, weight, baseline, candidate } of cells) {
      if (baseline.total === 0 && candidate.total === 0) continue;
      const judged = this.options.judgedClass(promptClass);
      const [table0, table1] = this.tablesOf(judged, weight);
      let of = byClass.get(judged);
      if (!of) {
        of = { sums: new Float64Array(table0.points), nBaseline: 0, nCandidate: 0 };
        byClass.set(judged, of);
      }
      of.nBaseline += baseline.total;
      of.nCandidate += candidate.total;
      addInto(of.sums, this.sumsOf(baseline, table0));
      addInto(of.sums, this.sumsOf(candidate, table1));
    }
    const classes = new Map<string, TiltAnswer>();
    let all: ClassSums | null = null;
    for (const [judged, of] of byClass) {
      classes.set(judged, this.answer(judged, of));
      all ??= { sums: new Float64Array(of.sums.length), nBaseline: 0, nCandidate: 0 };
      addInto(all.sums, of.sums);
      all.nBaseline += of.nBaseline;
      all.nCandidate += of.nCandidate;
    }
    const [first] = byClass.keys();
    if (!all || first === undefined) return { all: { logE: this.options.testsOf('*').map(() => 0), nBaseline: 0, nCandidate: 0 }, classes };
    return { all: this.answer(first, all), classes };
  }

  private answer(judged: string, { sums, nBaseline, nCandidate }: ClassSums): TiltAnswer {
    const score = this.options.scoreOf(judged);
    let from = 0;
    const logE = this.options.testsOf(judged).map(({ sign }) => {
      const to = from + score.grid(sign).length;
      const points = [...sums.subarray(from, to)];
      from = to;
      return logMeanExp(points);
    });
    return { logE, nBaseline, nCandidate };
  }

  private tablesOf(judged: string, weight: number): readonly [IncrementTable, IncrementTable] {
    let byWeight = this.tables.get(judged);
    if (!byWeight) {
      byWeight = new Map();
      this.tables.set(judged, byWeight);
    }
    let tables = byWeight.get(weight);
    if (!tables) {
      const { scoreOf, at, testsOf } = this.options;
      const table = (arm: 0 | 1): IncrementTable => new IncrementTable(arm, weight, scoreOf(judged), at, testsOf(judged));
      tables = [table(0), table(1)];
      byWeight.set(weight, tables);
    }
    return tables;
  }

  private sumsOf(counts: BucketCounts, table: IncrementTable): Float64Array {
    let cached = this.cached.get(counts);
    if (cached?.table !== table) {
      cached = { version: -1, table, sums: new Float64Array(table.points) };
      this.cached.set(counts, cached);
    }
    if (cached.version !== counts.version) {
      cached.sums.fill(0);
      accumulate(cached.sums, counts, table, 0);
      cached.version = counts.version;
    }
    return cached.sums;
  }
}

/** Adds count x increments of all buckets, each moved down by `move` buckets, in ascending order. */
export function accumulate(sums: Float64Array, { counts, base }: BucketCounts, table: IncrementTable, move: number): void {
  const { points } = table;
  for (let at = 0; at < counts.length; at += 1) {
    const count = counts[at] ?? 0;
    if (count === 0) continue;
    const offset = table.offsetOf(base + at - move);
    const { values } = table;
    for (let point = 0; point < points; point += 1) sums[point] = (sums[point] ?? 0) + count * (values[offset + point] ?? 0);
  }
}

function addInto(target: Float64Array, other: Float64Array): void {
  for (let point = 0; point < target.length; point += 1) target[point] = (target[point] ?? 0) + (other[point] ?? 0);
}
