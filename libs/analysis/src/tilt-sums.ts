// The label e-process of one metric over a ledger: partial sums by cell (epoch, class, arm), recomputed only where counts changed.
import type { BucketCounts } from './bucket-counts.js';
import { IncrementTable, type TiltTest } from './increment-table.js';
import type { Score } from './label.js';
import { logMeanExpOf } from './mixture.js';

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

export interface TiltSight {
  readonly all: TiltAnswer;
  /** Classes with an answer of either arm. */
  readonly classes: ReadonlyMap<string, TiltAnswer>;
}

/** One arm of one cell: its sums as of `version`. */
interface ArmSums {
  readonly counts: BucketCounts;
  readonly table: IncrementTable;
  readonly sums: Float64Array;
  version: number;
}

interface ClassSums {
  readonly arms: ArmSums[];
  readonly cells: MetricCell[];
  readonly sums: Float64Array;
  answer: TiltAnswer | null;
}

/**
 * Equal to `tiltLogE` over the same counts (up to rounding), whatever the order in which they came: a dirty cell is summed anew over its buckets in
 * ascending order, and cells are added in the order given. Cost of a look: points x cells of the classes that changed, and buckets x points of each
 * dirty cell. The same object is returned as long as nothing changed.
 */
export class TiltSums {
  private readonly tables = new Map<string, Map<number, readonly [IncrementTable, IncrementTable]>>();
  private readonly options: TiltSumsOptions;
  private cells: readonly MetricCell[] | null = null;
  private classes = new Map<string, ClassSums>();
  private sight: TiltSight | null = null;
  /** Where the grid of each test begins in a row of sums, and where the last one ends. */
  private bounds: readonly number[] = [];

  constructor(options: TiltSumsOptions) {
    this.options = options;
  }

  /** `cells` in a canonical order (epoch, then class). No counts: every ln e-value is 0. */
  look(cells: readonly MetricCell[]): TiltSight {
    if (cells !== this.cells) this.arrange(cells);
    let changed = this.sight === null;
    for (const of of this.classes.values()) {
      if (!refresh(of)) continue;
      of.answer = null;
      changed = true;
    }
    if (changed || !this.sight) this.sight = this.answerAll();
    return this.sight;
  }

  private answerAll(): TiltSight {
    const classes = new Map<string, TiltAnswer>();
    const total = new Float64Array(this.bounds.at(-1) ?? 0);
    let [nBaseline, nCandidate] = [0, 0];
    for (const [judged, of] of this.classes) {
      of.answer ??= this.answer(
        of.sums,
        of.cells.reduce((n, { baseline }) => n + baseline.total, 0),
        of.cells.reduce((n, { candidate }) => n + candidate.total, 0),
      );
      const { answer } = of;
      if (answer.nBaseline + answer.nCandidate === 0) continue;
      classes.set(judged, answer);
      addInto(total, of.sums);
      nBaseline += answer.nBaseline;
      nCandidate += answer.nCandidate;
    }
    return { all: this.answer(total, nBaseline, nCandidate), classes };
  }

  private answer(sums: Float64Array, nBaseline: number, nCandidate: number): TiltAnswer {
    const logE: number[] = [];
    for (let test = 0; test + 1 < this.bounds.length; test += 1) logE.push(logMeanExpOf(sums, this.bounds[test], this.bounds[test + 1]));
    return { logE, nBaseline, nCandidate };
  }

  private arrange(cells: readonly MetricCell[]): void {
    this.cells = cells;
    this.sight = null;
    this.classes = new Map();
    const score = this.options.scoreOf('*');
    const bounds = [0];
    for (const { sign } of this.options.testsOf('*')) bounds.push((bounds.at(-1) ?? 0) + score.grid(sign).length);
    this.bounds = bounds;
    for (const cell of cells) {
      const judged = this.options.judgedClass(cell.promptClass);
      let of = this.classes.get(judged);
      if (!of) {
        of = { arms: [], cells: [], sums: new Float64Array(bounds.at(-1) ?? 0), answer: null };
        this.classes.set(judged, of);
      }
      const [table0, table1] = this.tablesOf(judged, cell.weight);
      of.cells.push(cell);
      for (const [counts, table] of [[cell.baseline, table0] as const, [cell.candidate, table1] as const]) {
        of.arms.push({ counts, table, sums: new Float64Array(table.points), version: 0 });
      }
    }
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
}

/** Sums the dirty cells of a class anew; whether there was any. */
function refresh({ arms, sums }: ClassSums): boolean {
  let dirty = false;
  for (const arm of arms) {
    if (arm.version === arm.counts.version) continue;
    arm.sums.fill(0);
    accumulate(arm.sums, arm.counts, arm.table, 0);
    arm.version = arm.counts.version;
    dirty = true;
  }
  if (!dirty) return false;
  sums.fill(0);
  for (const arm of arms) if (arm.version > 0) addInto(sums, arm.sums);
  return true;
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
