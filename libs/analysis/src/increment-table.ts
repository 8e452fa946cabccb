// Increments of the label process, computed once per bucket and reused at every look: a look is then multiplications and additions only.
import { labelIncrement, type Score, type Sign } from './label.js';

/** One one-sided test of a metric: a sign, and how far the candidate's values are moved back before it is asked, in units of the axis. */
export interface TiltTest {
  readonly sign: Sign;
  readonly shift: number;
}

const spareBuckets = 16;

/** Rows of increments by bucket, one value per test and grid point, filled when first asked for: 8 B per value and 4 B per bucket of the range asked for. */
export class IncrementTable {
  /** Length of a row: grid points of all tests. */
  readonly points: number;
  /** Row r begins at `offsetOf(bucket)`. Replaced when it grows: read it after `offsetOf`. */
  values: Float64Array;
  /** Offset of each bucket's row from `base` on, -1 when not filled. */
  private offsets = new Int32Array(0);
  private base = 0;
  private used = 0;

  /** `at`: the axis of a bucket. `arm` 0 is the baseline, whose values are never moved. */
  constructor(
    private readonly arm: 0 | 1,
    private readonly weight: number,
    private readonly score: Score,
    private readonly at: (index: number) => number,
    private readonly tests: readonly TiltTest[],
  ) {
    this.points = tests.reduce((sum, { sign }) => sum + score.grid(sign).length, 0);
    this.values = new Float64Array(this.points * 8);
  }

  offsetOf(index: number): number {
    const known = this.offsets[index - this.base] ?? -1;
    return known >= 0 ? known : this.fill(index);
  }

  private fill(index: number): number {
    if (index < this.base || index >= this.base + this.offsets.length) this.reach(index);
    const offset = this.used;
    if (offset + this.points > this.values.length) {
      const wider = new Float64Array(this.values.length * 2);
      wider.set(this.values);
      this.values = wider;
    }
    this.used += this.points;
    this.offsets[index - this.base] = offset;
    const x = this.at(index);
    let at = offset;
    for (const { sign, shift } of this.tests) {
      const moved = this.arm === 1 ? x - shift : x;
      for (const hypothesis of this.score.grid(sign)) {
        this.values[at] = labelIncrement(this.arm, this.weight, this.score.logR(sign, hypothesis, moved));
        at += 1;
      }
    }
    return offset;
  }

  private reach(index: number): void {
    const empty = this.offsets.length === 0;
    const from = (empty ? index : Math.min(this.base, index)) - spareBuckets;
    const to = (empty ? index : Math.max(this.base + this.offsets.length - 1, index)) + spareBuckets;
    const wider = new Int32Array(to - from + 1).fill(-1);
    wider.set(this.offsets, empty ? 0 : this.base - from);
    this.offsets = wider;
    this.base = from;
  }
}
