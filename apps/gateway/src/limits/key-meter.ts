// What one key has spent, holds and runs at this gateway. Spending drains with time; what is held for running requests does not, so it is never spent twice.
import { Bucket, drainMs, type Rate } from './bucket.js';
import type { Share } from './share.js';

/** Why a request may not go on, and after how many milliseconds it may. */
export interface Excess {
  readonly of: 'requests' | 'tokens' | 'running';
  readonly waitMs: number;
}

/** What a key has left of one limit. `resetMs`: until all of it is there again, when nothing more is spent. */
export interface Remaining {
  readonly limit: number;
  readonly remaining: number;
  readonly resetMs: number;
}

/** Nobody knows when a running request ends; this is when to ask again. */
const askAgainMs = 1_000;

/** A refused call changes nothing. Callers pair every `begin` with one `end`, every `hold` with one `release` or `spend`. */
export class KeyMeter {
  private readonly requests = new Bucket();
  private readonly tokens = new Bucket();
  private heldTokens = 0;
  private runningRequests = 0;

  /** Requests that have begun and not ended. */
  get running(): number {
    return this.runningRequests;
  }

  /** Tokens held for them. */
  get held(): number {
    return this.heldTokens;
  }

  /** Counts a request in, or says what it would exceed. */
  begin(share: Share, nowMs: number): Excess | null {
    if (share.running !== null && this.runningRequests >= share.running) return { of: 'running', waitMs: askAgainMs };
    if (share.requests) {
      const waitMs = this.requests.waitMs(1, 0, share.requests, nowMs);
      if (waitMs > 0) return { of: 'requests', waitMs };
      this.requests.add(1, share.requests, nowMs);
    }
    this.runningRequests += 1;
    return null;
  }

  end(): void {
    this.runningRequests -= 1;
  }

  /**
   * Holds what a request may spend; returns how much is held, or the excess. An estimate above the brim holds all of it: a long prompt
   * waits until the key has nothing else open, instead of being refused for ever because gateways share the limit.
   */
  hold(tokens: number, share: Share, nowMs: number): { readonly held: number } | { readonly excess: Excess } {
    if (!share.tokens) return { held: 0 };
    const held = Math.min(tokens, share.tokens.brim);
    const waitMs = this.tokens.waitMs(held, this.heldTokens, share.tokens, nowMs);
    if (waitMs > 0) return { excess: { of: 'tokens', waitMs } };
    this.heldTokens += held;
    return { held };
  }

  /** Gives back what was held. */
  release(held: number): void {
    // Sums of fractions may leave a hair; with nothing running nothing is held.
    this.heldTokens = Math.max(0, this.heldTokens - held);
  }

  /** Counts what was really spent, more or less than was held. */
  spend(tokens: number, share: Share, nowMs: number): void {
    if (share.tokens) this.tokens.add(tokens, share.tokens, nowMs);
  }

  remainingRequests(rate: Rate, nowMs: number): Remaining {
    return remainingOf(rate, this.requests.levelAt(rate, nowMs));
  }

  remainingTokens(rate: Rate, nowMs: number): Remaining {
    return remainingOf(rate, this.tokens.levelAt(rate, nowMs) + this.heldTokens);
  }
}

function remainingOf(rate: Rate, used: number): Remaining {
  const limit = Math.floor(rate.brim);
  // Never a promise that the next request would break: rounded down, and the hair that sums leave away is not a whole one.
  return { limit, remaining: Math.min(limit, Math.max(0, Math.floor(rate.brim - used + 1e-9))), resetMs: drainMs(used, rate) };
}
