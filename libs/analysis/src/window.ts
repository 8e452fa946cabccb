// What a gateway remembers of finished requests: one window per key and second, additive, mergeable, idempotent to store.
import type { Arm } from '#libs/base';

/** How a request ended, exactly one per request. `clientGone` and `shed` are never held against a version. */
export type RequestOutcome = 'ok' | 'error' | 'timeout' | 'clientGone' | 'shed';

/** One finished request, analysed as assigned: a retry or fallback stays with its first arm. Times in milliseconds, entropy in nats. */
export interface Observation {
  readonly model: string;
  readonly versionId: string;
  readonly rolloutId: string | null;
  readonly epoch: number | null;
  /** Null when no coin was drawn (no rollout, or a pinned version): such requests feed only stable's reference. */
  readonly arm: Arm | null;
  readonly promptClass: string;
  /** Assignment unit; a fresh random value per request by default. */
  readonly unit: string;
  readonly assignedAt: number;
  readonly outcome: RequestOutcome;
  readonly finishReason: string | null;
  readonly queueWaitMs: number | null;
  readonly ttftMs: number | null;
  readonly interTokenMs: number | null;
  readonly totalMs: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly entropyMeanNats: number | null;
  readonly entropyMaxNats: number | null;
  readonly nllMeanNats: number | null;
}

/** Metrics kept as log-bucket histograms (gamma 1.01/0.99). */
export type WindowMetric = 'entropy' | 'length' | 'ttft' | 'interToken' | 'total';

/** Bucket index -> count. */
export type Histogram = Map<number, number>;

export interface WindowKey {
  readonly model: string;
  readonly versionId: string;
  readonly rolloutId: string | null;
  readonly epoch: number | null;
  readonly arm: Arm | null;
  readonly promptClass: string;
  /** Assignment time truncated to the second, milliseconds since the epoch. Blocks are cut by assignment, never by finish. */
  readonly secondAt: number;
}

export interface WindowCounts {
  /** Requests that count: ok + error + timeout. */
  responses: number;
  errors: number;
  timeouts: number;
  clientGone: number;
  /** Ok responses with a value that was NaN or infinite: counted, never dropped silently. */
  nonFinite: number;
  /** Distinct units, as far as this window saw. */
  units: number;
  /** For the block test: finished ok responses and the sum of ln(total ms). */
  lnTotalCount: number;
  lnTotalSum: number;
  histograms: Record<WindowMetric, Histogram>;
}

export interface Window {
  readonly key: WindowKey;
  readonly counts: WindowCounts;
}
