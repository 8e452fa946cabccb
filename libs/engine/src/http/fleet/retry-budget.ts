// How many requests may be sent a second time: a share of those that came, so that a failing upstream is not buried under its own failures.

/** Part of the requests. */
const share = 0.1;
/** For the first requests, and after quiet times: a death of one endpoint under a light load is within it. */
const reserve = 10;
/** Saved up at most. */
const most = 100;

/**
 * A token bucket that requests fill and retries empty. Of any n requests in a row at most `n / 10 + 100` are sent again, of the first n at most
 * `n / 10 + 10`. Pure: time does not matter.
 */
export class RetryBudget {
  private balance = reserve;

  /** Told of each request, retries not among them. */
  request(): void {
    this.balance = Math.min(most, this.balance + share);
  }

  /** Takes the right to one retry; false when there is none. */
  retry(): boolean {
    // Ten times a tenth is a little less than one.
    if (this.balance < 1 - 1e-9) return false;
    this.balance -= 1;
    return true;
  }
}
