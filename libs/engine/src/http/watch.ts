// Three of a request's four deadlines (the fourth, connecting, is the pool's): first token, between tokens, total.
import type { Clock } from '#libs/base';
import { EngineError } from '../engine.js';
import { faultOf } from './faults.js';

/** Milliseconds. */
export interface HttpDeadlines {
  readonly connectMs: number;
  /** From sending the request to the first token; headers and empty chunks are none. */
  readonly firstTokenMs: number;
  /** Between tokens, and from the last to the end of the answer. Time in which our own reader does not read does not count. */
  readonly betweenTokensMs: number;
  readonly totalMs: number;
  /** The capability probe as a whole: an upstream may load the model on its first request. */
  readonly probeMs: number;
}

export const defaultDeadlines: HttpDeadlines = {
  connectMs: 5_000,
  firstTokenMs: 120_000,
  betweenTokensMs: 30_000,
  totalMs: 900_000,
  probeMs: 60_000,
};

const longestSleepMs = 1_000;

/** One timer per request: the deadline moves with each token instead of a new timer for each. */
export class Watch {
  private readonly expired = new AbortController();
  private readonly ended = new AbortController();
  private readonly totalDueMs: number;
  private dueMs: number;
  private why: string;

  constructor(
    private readonly clock: Clock,
    private readonly deadlines: HttpDeadlines,
  ) {
    const now = clock.monotonicMs();
    this.totalDueMs = now + deadlines.totalMs;
    this.dueMs = now + deadlines.firstTokenMs;
    this.why = `the upstream sent no token within ${deadlines.firstTokenMs} ms`;
    void this.run();
  }

  /** Aborts when a deadline has passed, with an EngineError as its reason. */
  get signal(): AbortSignal {
    return this.expired.signal;
  }

  /** The upstream gave something, and our reader has it now. */
  pause(): void {
    this.dueMs = Number.POSITIVE_INFINITY;
  }

  /** Our reader is back: the upstream's turn. */
  resume(): void {
    this.dueMs = this.clock.monotonicMs() + this.deadlines.betweenTokensMs;
    this.why = `the upstream fell silent for ${this.deadlines.betweenTokensMs} ms in its answer`;
  }

  /** Call once, however the request ended. */
  done(): void {
    this.ended.abort();
  }

  private async run(): Promise<void> {
    while (!this.ended.signal.aborted) {
      const now = this.clock.monotonicMs();
      if (now >= this.totalDueMs) return this.expire(`the upstream took longer than ${this.deadlines.totalMs} ms for its answer`);
      if (now >= this.dueMs) return this.expire(this.why);
      const leftMs = Math.min(this.dueMs, this.totalDueMs) - now;
      // An aborted sleep is the end of the request.
      await this.clock.sleep(Math.min(leftMs, longestSleepMs), this.ended.signal).catch(() => undefined);
    }
  }

  private expire(message: string): void {
    this.expired.abort(new EngineError(faultOf('engine.timeout', message, { retryable: true })));
  }
}
