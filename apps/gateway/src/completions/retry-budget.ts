// How many requests may be tried a second time: a tenth of the last seconds' requests, so that an outage is not answered with twice the load.
import { breakerLimit } from '../engines/breaker.js';

const seconds = 10;
/** Part of the requests. */
const share = 0.1;
/** With little traffic too, a candidate may fail until its breaker opens without that a client sees it. */
const least = breakerLimit;

/** Sliding over the last 10 s in steps of one: constant time and memory. Times are monotonic milliseconds. */
export class RetryBudget {
  private readonly requests = new Float64Array(seconds);
  private readonly retries = new Float64Array(seconds);
  private second = 0;

  request(nowMs: number): void {
    const slot = this.slotAt(nowMs);
    this.requests[slot] = (this.requests[slot] ?? 0) + 1;
  }

  /** Takes the right to one retry; false when there is none. */
  retry(nowMs: number): boolean {
    const slot = this.slotAt(nowMs);
    if (sum(this.retries) + 1 > least + share * sum(this.requests)) return false;
    this.retries[slot] = (this.retries[slot] ?? 0) + 1;
    return true;
  }

  private slotAt(nowMs: number): number {
    const second = Math.floor(nowMs / 1_000);
    // What is older than ten seconds is forgotten, slot by slot.
    for (let gone = Math.max(this.second + 1, second - seconds + 1); gone <= second; gone += 1) {
      this.requests[gone % seconds] = 0;
      this.retries[gone % seconds] = 0;
    }
    this.second = Math.max(this.second, second);
    return this.second % seconds;
  }
}

function sum(slots: Float64Array): number {
  let total = 0;
  for (const one of slots) total += one;
  return total;
}
