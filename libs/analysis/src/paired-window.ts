// What mirrored prompts leave behind: figures of two answers to one prompt as ratios, counted by class and second. No text of either.
import type { Histogram } from './window.js';

/**
 * `forcedNll`, `forcedEntropy`: both versions read stable's answer (one tokenizer). `entropy`, `length`: each wrote its own answer.
 * Each is a histogram of candidate / stable in log buckets (`bucketOf`).
 */
export type PairedMetric = 'forcedNll' | 'forcedEntropy' | 'entropy' | 'length';

export interface PairedCounts {
  /** Prompts that both versions answered. */
  pairs: number;
  /** Prompts whose stable answer the candidate read. */
  forced: number;
  /** Mirrors that failed or ran out of time where stable answered; not those that were cancelled or had no room. */
  failures: number;
  /** Answers that ended by repeating themselves, over `pairs`. */
  loopsStable: number;
  loopsCandidate: number;
  ratios: Record<PairedMetric, Histogram>;
}

export interface PairedWindow {
  readonly rolloutId: string;
  readonly promptClass: string;
  /** Second of stable's assignment, milliseconds since the Unix epoch. */
  readonly secondAt: number;
  readonly counts: PairedCounts;
}
