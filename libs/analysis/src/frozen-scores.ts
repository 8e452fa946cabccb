// Scores fitted on stable's reference window before the first live response and frozen for the rollout. They drive power only; a stale reference never breaks the bound.

import type { Band } from './bands.js';
import type { Score } from './label.js';
import { type LatencyMetric, latencyMetrics } from './latency-slices.js';
import { fitLinearTilt } from './linear-tilt.js';
import { fitLogTilt, logTilt } from './log-tilt.js';
import { countOf, gamma, mergeInto, quantileBucket } from './sketch.js';
import type { TiltParameters } from './tilt.js';
import type { Histogram, Window, WindowMetric } from './window.js';

/** Stands for every class without a fit of its own. */
export const pooledClass = '*';

/** Outside of it an answer's entropy counts as an event of its class: bucket edges around stable's P1 and P99, nats per token. */
export interface ShapeBounds {
  readonly p1Nats: number;
  readonly p99Nats: number;
}

/** Tail thresholds of one latency: upper edges of the buckets that hold stable's quantiles, milliseconds. */
export interface TailThresholds {
  /** Stable's middle; rows of older versions lack it. */
  readonly p50Ms?: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

/** What users asked when the scores were frozen. */
export interface InputReference {
  /** Share of each prompt class, adding up to 1. */
  readonly shares: Readonly<Record<string, number>>;
  /** Prompt tokens by class, `*` for all. */
  readonly length: Readonly<Record<string, TiltParameters>>;
}

/** Stored as JSON with the rollout. What rows of older versions lack is optional: a check without its part is unmeasured. */
export interface FrozenScores {
  /** Responses of stable that the fit rests on. */
  readonly responses: number;
  readonly entropy: Readonly<Record<string, TiltParameters>>;
  readonly length: Readonly<Record<string, TiltParameters>>;
  /** Upper edge of the bucket that holds the reference's P99 of the whole request, milliseconds; null when no latency was seen. */
  readonly totalP99Ms: number | null;
  /** Mean surprise at the chosen tokens: what entropy is judged by where stable's engine tells no exact entropy. */
  readonly nll?: Readonly<Record<string, TiltParameters>>;
  readonly cost?: Readonly<Record<string, TiltParameters>>;
  readonly quality?: Readonly<Record<string, TiltParameters>>;
  readonly shape?: Readonly<Record<string, ShapeBounds>>;
  readonly latency?: Readonly<Record<LatencyMetric, TailThresholds | null>>;
  /**
   * A request that has run for longer counts as unfinished: twice the upper edge of the bucket of stable's P99.5 of the whole request, for a version that is
   * merely slower has tests of its own, with margins of their own and proof against bursts of one arm. Null without a latency.
   */
  readonly unfinishedAfterMs?: number | null;
  readonly input?: InputReference;
  /** What shadow or gate measured before exposure, by class; only where the plan expects `evaluated`. */
  readonly bands?: Readonly<Partial<Record<BandMetric, Readonly<Record<string, Band>>>>>;
}

export type BandMetric = 'entropy' | 'length';

/** Finished responses in windows that carry a latency: what a reference is counted in. */
export function referenceResponses(windows: readonly Window[]): number {
  return windows.reduce((sum, window) => sum + window.counts.lnTotalCount, 0);
}

/** Fits per class where it has `minPerClass` responses, and one pooled fit for the rest. Null when fewer than `minResponses` in all. */
export function fitScores(
  windows: readonly Window[],
  { minResponses, minPerClass }: { readonly minResponses: number; readonly minPerClass: number },
): FrozenScores | null {
  const responses = referenceResponses(windows);
  if (responses < minResponses) return null;
  const total = merged(windows, 'total');
  const edge = (histogram: Histogram, q: number): number | null => {
    const bucket = quantileBucket(histogram, q);
    return bucket === null ? null : gamma ** bucket;
  };
  const tails = (metric: LatencyMetric): TailThresholds | null => {
    const histogram = metric === 'total' ? total : merged(windows, metric);
    const [p50Ms, p95Ms, p99Ms] = [edge(histogram, 0.5), edge(histogram, 0.95), edge(histogram, 0.99)];
    return p50Ms === null || p95Ms === null || p99Ms === null ? null : { p50Ms, p95Ms, p99Ms };
  };
  const by = (metric: WindowMetric): Record<string, Histogram> => thickClasses(windows, metric, minPerClass);
  const entropy = by('entropy');
  return {
    responses,
    entropy: mapValues(entropy, fitLogTilt),
    length: mapValues(by('length'), fitLogTilt),
    totalP99Ms: edge(total, 0.99),
    nll: mapValues(by('nll'), fitLogTilt),
    cost: mapValues(by('cost'), fitLogTilt),
    quality: mapValues(by('quality'), fitLinearTilt),
    shape: mapValues(entropy, shapeOf),
    latency: Object.fromEntries(latencyMetrics.map((metric) => [metric, tails(metric)])) as Record<LatencyMetric, TailThresholds | null>,
    unfinishedAfterMs: unfinishedAfter(edge(total, 0.995)),
    input: { shares: sharesOf(windows), length: mapValues(by('input'), fitLogTilt) },
  };
}

function unfinishedAfter(p995Ms: number | null): number | null {
  return p995Ms === null ? null : 2 * p995Ms;
}

/** Histograms of the classes with at least `minPerClass` values, and of all classes together as the pool; empty when there is no value at all. */
function thickClasses(windows: readonly Window[], metric: WindowMetric, minPerClass: number): Record<string, Histogram> {
  const classes = new Map<string, Histogram>();
  for (const { key, counts } of windows) {
    const histogram = counts.histograms[metric] ?? new Map();
    if (histogram.size > 0) classes.set(key.promptClass, mergeInto(classes.get(key.promptClass) ?? new Map<number, number>(), histogram));
  }
  if (classes.size === 0) return {};
  const thick: Record<string, Histogram> = { [pooledClass]: merged(windows, metric) };
  for (const [promptClass, histogram] of classes) {
    if (promptClass !== pooledClass && countOf(histogram) >= minPerClass) thick[promptClass] = histogram;
  }
  return thick;
}

function merged(windows: readonly Window[], metric: WindowMetric): Histogram {
  const all: Histogram = new Map();
  for (const { counts } of windows) mergeInto(all, counts.histograms[metric] ?? new Map());
  return all;
}

/** The lower edge of the bucket of P1 and the upper edge of that of P99: at least 98% of stable's answers lie between. */
function shapeOf(entropy: Histogram): ShapeBounds {
  const [p1, p99] = [quantileBucket(entropy, 0.01) ?? 0, quantileBucket(entropy, 0.99) ?? 0];
  return { p1Nats: gamma ** (p1 - 1), p99Nats: gamma ** p99 };
}

function sharesOf(windows: readonly Window[]): Record<string, number> {
  const responses = new Map<string, number>();
  let all = 0;
  for (const { key, counts } of windows) {
    responses.set(key.promptClass, (responses.get(key.promptClass) ?? 0) + counts.responses);
    all += counts.responses;
  }
  const shares: Record<string, number> = {};
  if (all > 0) for (const promptClass of [...responses.keys()].sort()) shares[promptClass] = (responses.get(promptClass) ?? 0) / all;
  return shares;
}

function mapValues<From, To>(record: Readonly<Record<string, From>>, map: (value: From) => To): Record<string, To> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]));
}

/** The class under which responses are judged: their own when it has a fit, else the pool. */
export function judgedClass(fits: Readonly<Record<string, TiltParameters>>, promptClass: string): string {
  return Object.hasOwn(fits, promptClass) ? promptClass : pooledClass;
}

/** Scores by class of one metric; null when the reference held no value of it. */
export function tiltScores(fits: Readonly<Record<string, TiltParameters>>): ((promptClass: string) => Score) | null {
  const scores = new Map(Object.entries(fits).map(([promptClass, fit]) => [promptClass, logTilt(fit)] as const));
  const pooled = scores.get(pooledClass);
  return pooled ? (promptClass) => scores.get(promptClass) ?? pooled : null;
}

/** Thresholds of one latency. Rows of older versions know the P99 of the whole request alone. Null: stable's reference had none of it. */
export function latencyThresholds(scores: FrozenScores, metric: LatencyMetric): Partial<TailThresholds> | null {
  if (scores.latency) return scores.latency[metric];
  return metric === 'total' && scores.totalP99Ms !== null ? { p99Ms: scores.totalP99Ms } : null;
}
