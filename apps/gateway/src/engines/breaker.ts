// Takes a candidate that only fails out of service at the gateway itself, when no controller is there to do it. It never raises a share.

/** Consecutive failures that open it (promise P2). */
export const breakerLimit = 20;

export class Breaker {
  private failures = 0;
  private rolloutId: string | null = null;

  /** A new rollout of the version is a new chance. */
  watch(rolloutId: string): void {
    if (rolloutId === this.rolloutId) return;
    this.rolloutId = rolloutId;
    this.failures = 0;
  }

  failed(): void {
    this.failures += 1;
  }

  succeeded(): void {
    if (!this.open) this.failures = 0;
  }

  /** Stays open until another rollout: half-open trials would keep feeding users to a version that a person should look at. */
  get open(): boolean {
    return this.failures >= breakerLimit;
  }

  get reason(): string {
    return `${this.failures} requests in a row failed; this gateway sends it no more`;
  }
}
