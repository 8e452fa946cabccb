// How much of the output that requests may have they really use: what makes queued tokens mean work.

/** Observations after which an old one counts 1/e. */
const memory = 256;
/** Observations that the assumption before them is worth. */
const priorStrength = 4;

/**
 * Mean of actual/requested output of one model, exponentially weighted, by powers of two of the request: many clients ask for 4,096 tokens
 * and take 100, few ask for 64 and do not take them. A band without observations answers like all bands together.
 */
export class ExpectedOutput {
  private readonly bands: Mean[] = [];
  private readonly all: Mean = { count: 0, sum: 0 };

  /** `priorRatio`, 0 to 1, is believed before the first answers. */
  constructor(private readonly priorRatio = 0.5) {
    if (!(priorRatio >= 0 && priorRatio <= 1)) throw new RangeError(`priorRatio ${priorRatio} is not within 0 and 1`);
  }

  /** Tells how an answer ended. Cancelled ones count as well: what they did not produce was no work. */
  observe(maxOutputTokens: number, outputTokens: number): void {
    if (maxOutputTokens <= 0) return;
    const ratio = Math.min(1, outputTokens / maxOutputTokens);
    this.bands[band(maxOutputTokens)] ??= { count: 0, sum: 0 };
    for (const mean of [this.bands[band(maxOutputTokens)], this.all]) {
      if (!mean) continue;
      mean.count += 1 - mean.count / memory;
      mean.sum += ratio - mean.sum / memory;
    }
  }

  /** Whole tokens, from 1 (0 when none may be generated) to `maxOutputTokens`. */
  of(maxOutputTokens: number): number {
    return this.remaining(maxOutputTokens, 0);
  }

  /** Of a running answer, what is still expected after `producedTokens`. */
  remaining(maxOutputTokens: number, producedTokens: number): number {
    const left = Math.max(0, maxOutputTokens - producedTokens);
    return Math.min(left, Math.max(1, Math.ceil(left * this.ratio(maxOutputTokens))));
  }

  private ratio(maxOutputTokens: number): number {
    const overall = blend(this.all, this.priorRatio);
    const own = this.bands[band(maxOutputTokens)];
    return own ? blend(own, overall) : overall;
  }
}

interface Mean {
  count: number;
  sum: number;
}

function blend(mean: Mean, prior: number): number {
  return (mean.sum + prior * priorStrength) / (mean.count + priorStrength);
}

function band(maxOutputTokens: number): number {
  return Math.floor(Math.log2(Math.max(1, maxOutputTokens)));
}
