// A leaky bucket used as a meter, the rule of GCRA: what is spent fills it, time empties it, and above the brim nothing more may be spent.

/** How fast a bucket empties and how much it holds. Holding a minute's worth lets a client that was quiet send a burst. */
export interface Rate {
  readonly perMinute: number;
  readonly brim: number;
}

const minuteMs = 60_000;
/** Sums of fractions miss whole numbers by a hair; a client that waited as told must not be refused for a hair. */
const hair = 1e-9;

/**
 * In any span of `t` ms at most `brim + perMinute * t / 60000` is spent, as long as callers ask `waitMs` first. Time is an argument,
 * on one monotonic clock; constant time and memory whatever the limit.
 */
export class Bucket {
  private filled = 0;
  private atMs = 0;

  /** What is in it. */
  levelAt(rate: Rate, nowMs: number): number {
    if (nowMs > this.atMs) {
      this.filled = Math.max(0, this.filled - ((nowMs - this.atMs) * rate.perMinute) / minuteMs);
      this.atMs = nowMs;
    }
    return this.filled;
  }

  /** Puts in what was spent. Above the brim it is a debt that later callers wait for. */
  add(amount: number, rate: Rate, nowMs: number): void {
    this.filled = this.levelAt(rate, nowMs) + amount;
  }

  /** Milliseconds until `amount` fits, 0 when it fits now. `held` is promised to others and counts as spent. */
  waitMs(amount: number, held: number, rate: Rate, nowMs: number): number {
    const over = this.levelAt(rate, nowMs) + held + amount - rate.brim * (1 + hair);
    return over <= 0 ? 0 : drainMs(over, rate);
  }
}

/** Milliseconds in which `amount` runs out. */
export function drainMs(amount: number, rate: Rate): number {
  return (amount * minuteMs) / rate.perMinute;
}
