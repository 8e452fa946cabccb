// How many requests an endpoint holds at most right now: its limit, or less where the upstream itself says that it is full.

/** Growth per good answer: fast from nothing, then a quarter of itself per round. */
const slowStartBelow = 16;
const growth = 1 / 4;
/** What is left of a number of requests that was too many. */
const retreat = 0.9;
/** Requests that may wait inside the upstream, as part of those that run there: a batch scheduler must never find its queue empty. */
const headroom = 1 / 8;

/**
 * The upstream must not be the queue: what waits there has no priority, no fairness and no deadline. Two signs bring the ceiling down: a refusal (429, 503), and waiting requests in
 * the upstream's metrics. Good answers raise it again, up to `limit`. Pure.
 */
export class Ceiling {
  private value: number;
  /** A burst of refusals is one event: only of requests that were sent after the last retreat the next one is believed. */
  private retreatedAtMs = Number.NEGATIVE_INFINITY;

  constructor(readonly limit: number) {
    if (!(limit >= 1)) throw new RangeError(`an endpoint's limit must be 1 or more, not ${limit}`);
    this.value = limit;
  }

  /** Whole requests, 1 to `limit`. */
  get requests(): number {
    return Math.floor(this.value);
  }

  answered(): void {
    if (this.value < this.limit) this.value = Math.min(this.limit, this.value + (this.value < slowStartBelow ? 1 : growth));
  }

  /** `outstanding`: with the one that was refused. Alone it is not refused for its number, so nothing follows from it. */
  refused(outstanding: number, sentAtMs: number, nowMs: number): void {
    if (outstanding <= 1 || sentAtMs < this.retreatedAtMs) return;
    this.retreatedAtMs = nowMs;
    this.value = Math.max(1, Math.min(this.value, retreat * (outstanding - 1)));
  }

  /**
   * What the upstream's metrics say of all its clients, of whom we are perhaps one: our share of what waits is taken to be our share of what
   * runs. A little waiting is a scheduler at work.
   */
  measured(outstanding: number, running: number | null, waiting: number | null): void {
    if (running === null || waiting === null || running <= 0 || outstanding === 0) return;
    const spare = Math.max(1, running * headroom);
    if (waiting <= spare) return;
    this.value = Math.max(1, Math.min(this.value, (outstanding * (running + spare)) / (running + waiting)));
  }
}
