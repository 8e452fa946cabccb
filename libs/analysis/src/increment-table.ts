// Increments of the label process, computed once per bucket and reused at every look: a look is then multiplications and additions only.
import { highestBucket, lowestBucket } from './bucket-counts.js';
import { labelIncrement, type Score, type Sign } from './label.js';

/** One one-sided test of a metric: a sign, and how far the candidate's values are moved back before it is asked, in units of the axis. */
export interface TiltTest {
  readonly sign: Sign;
  readonly shift: number;
}

/** Room for buckets that were moved by a margin. */
const margin = 600;
const least = lowestBucket - margin;
const rows = highestBucket - lowestBucket + 2 * margin + 1;

/** Rows of increments by bucket, one value per test and grid point, filled when first asked for. 12 kB and 8 B per value. */
export class IncrementTable {
  /** Length of a row: grid points of all tests. */
  readonly points: number;
  /** Row r begins at `offsetOf(bucket)`. Replaced when it grows: read it after `offsetOf`. */
  values: Float64Array;
  private readonly offsets = new Int32Array(rows).fill(-1);
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
    this.values = new Float64Array(this.points * 64);
  }

  offsetOf(index: number): number {
    const row = Math.max(0, Math.min(rows - 1, index - least));
    const known = this.offsets[row] ?? -1;
    return known >= 0 ? known : this.fill(row);
  }

  private fill(row: number): number {
    const offset = this.used;
    if (offset + this.points > this.values.length) {
      const wider = new Float64Array(this.values.length * 2);
      wider.set(this.values);
      this.values = wider;
    }
    this.used += this.points;
    this.offsets[row] = offset;
    const x = this.at(row + least);
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
}
