// Scores fitted on stable's reference window before the first live response and frozen for the rollout. They drive power only; a stale reference never breaks the bound.

import type { Score } from './label.js';
import { fitLogTilt, logTilt } from './log-tilt.js';
import { countOf, gamma, mergeInto, quantileBucket } from './sketch.js';
import { step } from './step.js';
import type { TiltParameters } from './tilt.js';
import type { Histogram, Window } from './window.js';

/** Stands for every class without a fit of its own. */
export const pooledClass = '*';

export interface FrozenScores {
  /** Responses of stable that the fit rests on. */
  readonly responses: number;
  readonly entropy: Readonly<Record<string, TiltParameters>>;
  readonly length: Readonly<Record<string, TiltParameters>>;
  /** Upper edge of the bucket that holds the reference's P99 of the whole request, milliseconds; null when no latency was seen. */
  readonly totalP99Ms: number | null;
}

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
  const total: Histogram = new Map();
  for (const window of windows) mergeInto(total, window.counts.histograms.total);
  const p99 = quantileBucket(total, 0.99);
  return {
    responses,
    entropy: fitPerClass(windows, 'entropy', minPerClass),
    length: fitPerClass(windows, 'length', minPerClass),
    totalP99Ms: p99 === null ? null : gamma ** p99,
  };
}

function fitPerClass(windows: readonly Window[], metric: 'entropy' | 'length', minPerClass: number): Record<string, TiltParameters> {
  const classes = new Map<string, Histogram>();
  const pooled: Histogram = new Map();
  for (const { key, counts } of windows) {
    const histogram = classes.get(key.promptClass) ?? new Map<number, number>();
    classes.set(key.promptClass, mergeInto(histogram, counts.histograms[metric]));
    mergeInto(pooled, counts.histograms[metric]);
  }
  const fits: Record<string, TiltParameters> = {};
  if (pooled.size === 0) return fits;
  fits[pooledClass] = fitLogTilt(pooled);
  for (const [promptClass, histogram] of classes) {
    if (promptClass !== pooledClass && countOf(histogram) >= minPerClass) fits[promptClass] = fitLogTilt(histogram);
  }
  return fits;
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

/** The gross latency score: the tail above the reference's P99. */
export function grossScore(scores: FrozenScores): Score | null {
  return scores.totalP99Ms === null ? null : step(scores.totalP99Ms, 0.01);
}
