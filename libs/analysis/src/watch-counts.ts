// Histograms as the watch keeps them between minutes: plain JSON, by metric and prompt class.
import { mergeInto } from './sketch.js';
import type { Histogram, WindowMetric } from './window.js';

/** What is watched after a promotion. `input` is what users asked and never raises an alarm about the version. */
export const watchedMetrics = ['entropy', 'length', 'input'] as const satisfies readonly WindowMetric[];
export type WatchedMetric = (typeof watchedMetrics)[number];

/** Pairs of bucket and count, ascending. */
export type StoredHistogram = readonly (readonly [bucket: number, count: number])[];

/** By metric, then by prompt class. */
export type StoredCounts = Readonly<Record<WatchedMetric, Readonly<Record<string, StoredHistogram>>>>;

/** The same while it is being added to. */
export type OpenCounts = Record<WatchedMetric, Map<string, Histogram>>;

export function openCounts(stored?: StoredCounts): OpenCounts {
  const open = (metric: WatchedMetric): Map<string, Histogram> =>
    new Map(Object.entries(stored?.[metric] ?? {}).map(([promptClass, pairs]) => [promptClass, new Map(pairs)]));
  return { entropy: open('entropy'), length: open('length'), input: open('input') };
}

export function storedCounts(counts: OpenCounts): StoredCounts {
  const stored = (metric: WatchedMetric): Record<string, StoredHistogram> =>
    Object.fromEntries(
      [...counts[metric]].map(([promptClass, histogram]) => [promptClass, [...histogram].sort(([a], [b]) => a - b)] as const).sort(byName),
    );
  return { entropy: stored('entropy'), length: stored('length'), input: stored('input') };
}

/** Adds `histogram` to a class of a metric. */
export function addCounts(counts: OpenCounts, metric: WatchedMetric, promptClass: string, histogram: Histogram): void {
  if (histogram.size === 0) return;
  const held = counts[metric].get(promptClass);
  if (held) mergeInto(held, histogram);
  else counts[metric].set(promptClass, new Map(histogram));
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}
