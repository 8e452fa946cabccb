// What the admission queue is asked and what it answers.
import type { Priority } from '../engine.js';

/** Highest first. */
export const classes: readonly Priority[] = ['live', 'evaluation', 'shadow'];

export interface Ask {
  /** Unique among what is queued. */
  readonly id: string | number;
  readonly tenant: string;
  readonly priority: Priority;
  /** To evaluate: exact inside an engine child, an estimate in the gateway. */
  readonly inputTokens: number;
  /** Per choice. */
  readonly maxOutputTokens: number;
  /** Answers to one prompt, each a sequence of its own. Default 1. */
  readonly choices?: number;
  /** Milliseconds from the offer within which the answer must be whole. Null: no deadline. */
  readonly deadlineMs: number | null;
}

/** Tokens to evaluate and to generate, and over how many sequences. Sums and shares of work may be fractions. */
export interface Work {
  readonly sequences: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** What the engine holds at this moment. */
export interface EngineLoad {
  /** What is left of each running sequence, one entry each: `ExpectedOutput.remaining` estimates its output. */
  readonly running: readonly Work[];
  /** Sequences that can run at once. */
  readonly slots: number;
}

/**
 * `queue-full`: the queue's tokens or items, and nothing of a lower class to displace. `tenant-share`: the tenant's own part of them.
 * `deadline`: it could not be whole in time.
 */
export type RefusalReason = 'queue-full' | 'tenant-share' | 'deadline';

export interface Refusal {
  readonly reason: RefusalReason;
  /** When the same ask would be accepted if nothing else came, by the queue ahead and the measured speed; >= 0, not rounded. */
  readonly retryAfterMs: number;
  /** With `deadline`: milliseconds within which it would be whole if it were accepted now. */
  readonly needMs?: number;
  /** With `deadline`: even an idle engine would be too late, so trying again is in vain. */
  readonly hopeless?: boolean;
}
