// What a gateway remembers of finished requests: one window per key and second, additive, mergeable, idempotent to store.
import type { ComparedArm } from '#libs/base';

/** How a request ended, exactly one per request. `clientGone` and `shed` are never held against a version. */
export type RequestOutcome = 'ok' | 'error' | 'timeout' | 'clientGone' | 'shed';

/** One finished request, analysed as assigned: a retry or fallback stays with its first arm. Times in milliseconds, entropy in nats. */
export interface Observation {
  readonly model: string;
  readonly versionId: string;
  readonly rolloutId: string | null;
  readonly epoch: number | null;
  /** Null when no coin was drawn (no rollout, or a pinned version): such requests feed only stable's reference. */
  readonly arm: ComparedArm | null;
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
  /** It said that it cannot or will not answer. */
  readonly refused: boolean;
  /** It ended by repeating itself. */
  readonly looped: boolean;
  /** It was counted as unfinished when it had run for as long as that takes; now only its values are added. */
  readonly countedUnfinished: boolean;
  /** Tokens x price of the version, in millionths of the price's currency; null without a price. */
  readonly costMicros: number | null;
  /** Among the first answers of a replica that has just started: its times tell of an empty cache and stay out, everything else counts. */
  readonly cold?: boolean;
  /** Of a named unit that is compared: where its rollout remembers it, a whole number below 2^22. */
  readonly place?: number | undefined;
}

/** What is known of a request when it begins. */
export type ObservationStart = Pick<
  Observation,
  'model' | 'versionId' | 'rolloutId' | 'epoch' | 'arm' | 'promptClass' | 'unit' | 'assignedAt' | 'place'
>;

/**
 * Metrics kept as log-bucket histograms (gamma 1.01/0.99): nats per token (`entropy`; `nll` of the chosen tokens), tokens, milliseconds, prompt tokens
 * (`input`), millionths (`cost`).
 * `quality` alone is linear: bucket 0 to 100 is the score in percent.
 */
export type WindowMetric = 'entropy' | 'length' | 'ttft' | 'interToken' | 'total' | 'input' | 'cost' | 'quality' | 'nll';

/** Bucket index -> count. */
export type Histogram = Map<number, number>;

export interface WindowKey {
  readonly model: string;
  readonly versionId: string;
  readonly rolloutId: string | null;
  readonly epoch: number | null;
  readonly arm: ComparedArm | null;
  readonly promptClass: string;
  /** Assignment time truncated to the second, milliseconds since the epoch. Blocks are cut by assignment, never by finish. */
  readonly secondAt: number;
}

export interface WindowCounts {
  /** Requests that count, each once: ok + error + timeout + unfinished. */
  responses: number;
  errors: number;
  timeouts: number;
  /** Still running when as much time had passed since assignment as stable's slowest need (`FrozenScores.unfinishedAfterMs`). Known for both arms at the same age. */
  unfinished: number;
  /** Of the ok responses. */
  refusals: number;
  loops: number;
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
