// What a version looked like over whole days, with weekend and week: the reference of the watch, and how far its own days lie apart.
import { pooledClass } from './frozen-scores.js';
import { fitLogTilt } from './log-tilt.js';
import { countOf, lnRepresentative, mergeInto } from './sketch.js';
import type { TiltParameters } from './tilt.js';
import { addCounts, type OpenCounts, openCounts, type StoredCounts, type WatchedMetric, watchedMetrics } from './watch-counts.js';
import type { Histogram } from './window.js';

/** Metrics that may alarm. */
export const alarmingMetrics = ['entropy', 'length'] as const satisfies readonly WatchedMetric[];
export type AlarmingMetric = (typeof alarmingMetrics)[number];

/** Frozen until an operator or a promotion makes a new one: a reference that refreshed itself would hide slow drift. JSON. */
export interface WatchReference {
  /** When it was frozen, and the days it rests on. */
  readonly at: number;
  readonly days: number;
  /** Answers with an entropy or a length, whichever are more. */
  readonly responses: number;
  /** Fits by class, `*` for thin and unknown ones. */
  readonly fits: Readonly<Record<AlarmingMetric, Readonly<Record<string, TiltParameters>>>>;
  /** Tolerated relative change: at least 10%, and twice what the version's own days differ. */
  readonly margins: Readonly<Record<AlarmingMetric, number>>;
  readonly input: InputNorm;
}

/** What users asked in these days. */
export interface InputNorm {
  /** Share of each class, adding up to 1. */
  readonly shares: Readonly<Record<string, number>>;
  /** Mean ln of the prompt's tokens by class. */
  readonly meanLn: Readonly<Record<string, number>>;
  /** The largest distance of one of the days from all of them: total variation of the mix, and |ln| of the length within classes. */
  readonly mixNoise: number;
  readonly lengthNoise: number;
}

const minPerClass = 500;
/** A class-day with fewer answers tells more about chance than about the day. */
const minPerDay = 50;
const leastMargin = 0.1;

/** Null while there are fewer than 500 answers of either metric in all days: too thin to be held to. */
export function fitReference(days: readonly StoredCounts[], at: number): WatchReference | null {
  const all = openCounts();
  for (const day of days) {
    for (const metric of watchedMetrics) {
      for (const [promptClass, pairs] of Object.entries(day[metric])) addCounts(all, metric, promptClass, new Map(pairs));
    }
  }
  const responses = Math.max(...alarmingMetrics.map((metric) => totalOf(all[metric])));
  if (responses < minPerClass) return null;
  return {
    at,
    days: days.length,
    responses,
    fits: { entropy: fitsOf(all.entropy), length: fitsOf(all.length) },
    margins: { entropy: marginOf(days, all, 'entropy'), length: marginOf(days, all, 'length') },
    input: inputNorm(days, all),
  };
}

function fitsOf(classes: OpenCounts[WatchedMetric]): Record<string, TiltParameters> {
  const fits: Record<string, TiltParameters> = {};
  const pooled: Histogram = new Map();
  for (const [promptClass, histogram] of classes) {
    mergeInto(pooled, histogram);
    if (countOf(histogram) >= minPerClass) fits[promptClass] = fitLogTilt(histogram);
  }
  if (pooled.size > 0) fits[pooledClass] = fitLogTilt(pooled);
  return fits;
}

/** max(10%, 2 x the P95 of what a day's mean within a class differs from that of all days). */
function marginOf(days: readonly StoredCounts[], all: OpenCounts, metric: AlarmingMetric): number {
  const deviations = days
    .flatMap((day) =>
      Object.entries(day[metric]).flatMap(([promptClass, pairs]) => {
        const whole = all[metric].get(promptClass);
        const one: Histogram = new Map(pairs);
        return whole && countOf(one) >= minPerDay ? [Math.abs(meanLnOf(one) - meanLnOf(whole))] : [];
      }),
    )
    .sort((a, b) => a - b);
  const p95 = deviations[Math.max(0, Math.ceil(0.95 * deviations.length) - 1)] ?? 0;
  return Math.max(leastMargin, 2 * Math.expm1(p95));
}

function inputNorm(days: readonly StoredCounts[], all: OpenCounts): InputNorm {
  const shares = sharesOf(all.input);
  const meanLn = Object.fromEntries([...all.input].map(([promptClass, histogram]) => [promptClass, meanLnOf(histogram)]));
  let [mixNoise, lengthNoise] = [0, 0];
  for (const day of days) {
    const { input } = openCounts(day);
    if (totalOf(input) < minPerDay) continue;
    mixNoise = Math.max(mixNoise, distance(sharesOf(input), shares));
    for (const [promptClass, histogram] of input) {
      if (countOf(histogram) >= minPerDay) lengthNoise = Math.max(lengthNoise, Math.abs(meanLnOf(histogram) - (meanLn[promptClass] ?? 0)));
    }
  }
  return { shares, meanLn, mixNoise, lengthNoise };
}

export function sharesOf(classes: OpenCounts[WatchedMetric]): Record<string, number> {
  const total = totalOf(classes);
  return Object.fromEntries([...classes].map(([promptClass, histogram]) => [promptClass, total === 0 ? 0 : countOf(histogram) / total]));
}

/** Total variation of two mixes, 0 (the same) to 1 (nothing in common). */
export function distance(a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>>): number {
  let sum = 0;
  for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) sum += Math.abs((a[name] ?? 0) - (b[name] ?? 0));
  return sum / 2;
}

export function totalOf(classes: OpenCounts[WatchedMetric]): number {
  let total = 0;
  for (const histogram of classes.values()) total += countOf(histogram);
  return total;
}

export function meanLnOf(histogram: Histogram): number {
  let sum = 0;
  let total = 0;
  for (const [bucket, count] of histogram) {
    sum += count * lnRepresentative(bucket);
    total += count;
  }
  return total === 0 ? 0 : sum / total;
}
