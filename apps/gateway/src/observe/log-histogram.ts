// Durations in buckets of one percent, the buckets of the windows, in a flat array: an addition costs some 10 ns and allocates nothing.
import { bucketOf, representative } from '#libs/analysis';

const lowest = bucketOf(0);
/** Ten minutes: what is longer shares the last bucket. */
const highest = bucketOf(600_000);

/** Milliseconds, within 1%; null while nothing was measured. */
export interface Quantiles {
  readonly count: number;
  readonly p50: number | null;
  readonly p99: number | null;
  readonly p999: number | null;
}

export class LogHistogram {
  private readonly counts = new Float64Array(highest - lowest + 1);
  private total = 0;

  /** Not a number: not counted. */
  add(ms: number): void {
    if (Number.isNaN(ms)) return;
    const index = Math.min(bucketOf(ms), highest) - lowest;
    this.counts[index] = (this.counts[index] ?? 0) + 1;
    this.total += 1;
  }

  /** By nearest rank. */
  quantile(q: number): number | null {
    if (this.total === 0) return null;
    const rank = Math.max(1, Math.ceil(q * this.total));
    let seen = 0;
    for (let index = 0; index < this.counts.length; index += 1) {
      seen += this.counts[index] ?? 0;
      if (seen >= rank) return representative(index + lowest);
    }
    return null;
  }

  quantiles(): Quantiles {
    return { count: this.total, p50: this.quantile(0.5), p99: this.quantile(0.99), p999: this.quantile(0.999) };
  }
}
