// Which endpoint is slow where the others are not: by the median of its last times to the first token.

const kept = 16;
/** Fewer tell nothing. */
const least = 5;
const timesTheOthers = 3;
/** Below this a factor is no matter. */
const leastExcessMs = 100;

/** The last 16 times to the first token, milliseconds. */
export class FirstTokens {
  private readonly last: number[] = [];
  private at = 0;
  private median: number | null = null;

  add(ms: number): void {
    this.last[this.at] = ms;
    this.at = (this.at + 1) % kept;
    this.median = null;
  }

  /** Null while there are fewer than five. */
  get medianMs(): number | null {
    if (this.last.length < least) return null;
    this.median ??= middle(this.last);
    return this.median;
  }

  clear(): void {
    this.last.length = 0;
    this.at = 0;
    this.median = null;
  }
}

/** More than three times the median of the others' medians, and by more than 100 ms. False where too little is known. */
export function isOutlier(ownMs: number | null, othersMs: readonly (number | null)[]): boolean {
  const known = othersMs.filter((ms) => ms !== null);
  if (ownMs === null || known.length === 0) return false;
  const usualMs = middle(known);
  return ownMs > timesTheOthers * usualMs && ownMs - usualMs > leastExcessMs;
}

function middle(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  const upper = sorted[half] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? upper) + upper) / 2;
}
