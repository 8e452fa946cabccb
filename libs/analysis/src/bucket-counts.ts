// A histogram that is added to for a whole rollout: dense counts over the buckets seen, so that a look walks an array and not a map.
import { bucketOf } from './sketch.js';

/** Buckets outside share the outermost: the floor of `bucketOf` below, e^40 above. No figure of an answer lies there; a corrupt one must not cost memory. */
export const lowestBucket = bucketOf(0);
export const highestBucket = 2_000;

const spareBuckets = 32;

/** Integer counts by bucket. All sums are of integers, hence exact and the same in any order of adding (up to 2^53). */
export class BucketCounts {
  /** Counts of buckets `base`, `base + 1`, ... Read only. */
  counts = new Float64Array(0);
  base = 0;
  total = 0;
  /** Sum of bucket index x count: gives the mean on the bucket's scale. */
  indexSum = 0;
  /** Grows with every change. */
  version = 0;

  add(index: number, count: number): void {
    const bucket = Math.max(lowestBucket, Math.min(highestBucket, index));
    if (bucket < this.base || bucket >= this.base + this.counts.length) this.reach(bucket);
    const at = bucket - this.base;
    this.counts[at] = (this.counts[at] ?? 0) + count;
    this.total += count;
    this.indexSum += bucket * count;
    this.version += 1;
  }

  /** Mean bucket index; NaN when empty. */
  meanIndex(): number {
    return this.indexSum / this.total;
  }

  /** Filled buckets in ascending order. */
  *[Symbol.iterator](): Generator<[index: number, count: number]> {
    for (let at = 0; at < this.counts.length; at += 1) {
      const count = this.counts[at] ?? 0;
      if (count > 0) yield [this.base + at, count];
    }
  }

  private reach(bucket: number): void {
    const empty = this.counts.length === 0;
    const from = empty ? bucket : Math.min(this.base, bucket);
    const to = empty ? bucket : Math.max(this.base + this.counts.length - 1, bucket);
    const base = from - spareBuckets;
    const wider = new Float64Array(to - base + 1 + spareBuckets);
    if (!empty) wider.set(this.counts, this.base - base);
    this.counts = wider;
    this.base = base;
  }
}
