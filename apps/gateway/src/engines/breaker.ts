// Takes a candidate that only fails, or alone keeps its users waiting, out of service at the gateway itself, when no controller is there to do it. It
// never raises a share.
import { FirstTokens, judgedRequests } from './first-tokens.js';

/** Consecutive failures that open it (promise P2). */
export const breakerLimit = 20;

/** Outages that explain failures, per rollout: a version that fells its servers again and again is not excused for ever. */
const mostOutages = 3;

export class Breaker {
  /** Of both arms of the candidature. */
  firstTokens = new FirstTokens();
  private failures = 0;
  private slowAfterMs: number | null = null;
  private outages = 0;
  private out = false;
  private rolloutId: string | null = null;

  /** A new rollout of the version is a new chance. */
  watch(rolloutId: string): void {
    if (rolloutId === this.rolloutId) return;
    this.rolloutId = rolloutId;
    this.failures = 0;
    this.outages = 0;
    this.slowAfterMs = null;
    this.firstTokens = new FirstTokens();
  }

  /** Most of the newest requests had no first token after so many milliseconds, while stable's had. */
  slow(afterMs: number): void {
    this.slowAfterMs ??= afterMs;
  }

  failed(): void {
    if (!this.out) this.failures += 1;
  }

  /**
   * The version's servers cannot be reached, or can be again: what failed by that says nothing about the version. Until then it is out of service by
   * its own state.
   */
  outage(out: boolean): void {
    if (out === this.out) return;
    if (out) {
      this.outages += 1;
      if (this.outages > mostOutages) return;
      this.failures = 0;
    }
    this.out = out;
  }

  succeeded(): void {
    if (!this.open) this.failures = 0;
  }

  /** Stays open until another rollout: half-open trials would keep feeding users to a version that a person should look at. */
  get open(): boolean {
    return this.failures >= breakerLimit || this.slowAfterMs !== null;
  }

  get reason(): string {
    if (this.slowAfterMs !== null) {
      const waited = `had no first token after ${(this.slowAfterMs / 1_000).toFixed(1)} s, while those of stable had`;
      return `most of the last ${judgedRequests} requests ${waited}; this gateway sends it no more`;
    }
    return `${this.failures} requests in a row failed; this gateway sends it no more`;
  }
}
