// Of one request of a rollout: whether its client has seen a byte when it is as old as a slow one, and what that says of the candidate.
import type { Attempt } from '../completions/attempt.js';
import type { Breaker } from '../engines/breaker.js';
import { lookAfterMs } from '../engines/first-tokens.js';
import type { Client } from '../relay/client.js';

export class FirstTokenWatch {
  /** When to call `due`, on the monotonic clock; infinity: never. */
  dueAtMs = Number.POSITIVE_INFINITY;
  /** The request was slow, and its candidate is still to be looked at. */
  looksLater = false;
  private readonly slowMs: number | null;

  constructor(
    private readonly breaker: Breaker,
    private readonly arm: 'candidate' | 'stable',
    private readonly stream: boolean,
    private readonly begunAtMs: number,
    private readonly client: Client,
  ) {
    this.slowMs = breaker.firstTokens.begun(arm, stream, begunAtMs);
    if (this.slowMs !== null) this.dueAtMs = begunAtMs + this.slowMs;
  }

  due(nowMs: number): void {
    this.dueAtMs = Number.POSITIVE_INFINITY;
    const { breaker, arm, stream, begunAtMs, slowMs, client } = this;
    if (this.looksLater) {
      this.looksLater = false;
      if (slowMs !== null && breaker.firstTokens.candidateAlone(stream, slowMs, nowMs)) breaker.slow(slowMs);
      return;
    }
    // The head of an answer leaves with its first bytes. A client that left is no reason.
    if (client.begun || client.left !== null) return;
    breaker.firstTokens.slow(arm, stream, begunAtMs);
    if (arm !== 'candidate') return;
    this.looksLater = true;
    this.dueAtMs = nowMs + lookAfterMs;
  }

  end({ outcome, ttftMs }: Attempt, totalMs: number): void {
    if (!this.looksLater) this.dueAtMs = Number.POSITIVE_INFINITY;
    if (this.arm !== 'stable' || outcome !== 'ok') return;
    const ms = this.stream ? ttftMs : totalMs;
    if (ms !== null) this.breaker.firstTokens.stableTook(this.stream, ms);
  }
}
