// Log-bucket histograms: 1% relative accuracy at every scale, merged by adding counts. The sketch of DDSketch (Masson, Rim, Lee 2019) without its collapsing.
import type { Histogram, WindowMetric } from './window.js';

const relativeAccuracy = 0.01;

/** Ratio of neighbouring bucket edges: (1 + a) / (1 - a) at a = 1%. */
export const gamma = (1 + relativeAccuracy) / (1 - relativeAccuracy);
const lnGamma = Math.log(gamma);

/** Values below this share the lowest bucket. */
export const floorValue = 1e-4;

/** Bucket index of a positive finite value. Rounding is the same for both arms, so a comparison at margin zero is exact. */
export function bucketOf(value: number): number {
  // "+ 0" turns -0 into 0.
  return Math.ceil(Math.log(Math.max(value, floorValue)) / lnGamma - 1e-12) + 0;
}

/** The value that stands for a bucket: within 1% of everything in it. */
export function representative(index: number): number {
  return (2 * gamma ** index) / (gamma + 1);
}

/** ln of the representative, without the detour through the value. */
export function lnRepresentative(index: number): number {
  return Math.log(2 / (gamma + 1)) + index * lnGamma;
}

/** Adds `count` to a bucket in place. */
export function addTo(histogram: Histogram, index: number, count = 1): void {
  histogram.set(index, (histogram.get(index) ?? 0) + count);
}

export function histogramOf(values: Iterable<number>): Histogram {
  const histogram: Histogram = new Map();
  for (const value of values) addTo(histogram, bucketOf(value));
  return histogram;
}

/** Adds `other` into `target` and returns `target`. */
export function mergeInto(target: Histogram, other: Histogram): Histogram {
  for (const [index, count] of other) addTo(target, index, count);
  return target;
}

export function mergeHistograms(histograms: Iterable<Histogram>): Histogram {
  const merged: Histogram = new Map();
  for (const histogram of histograms) mergeInto(merged, histogram);
  return merged;
}

export function countOf(histogram: Histogram): number {
  let total = 0;
  for (const count of histogram.values()) total += count;
  return total;
}

/** Index of the bucket that holds the q-quantile (0 < q <= 1) by nearest rank; null when empty. */
export function quantileBucket(histogram: Histogram, q: number): number | null {
  const total = countOf(histogram);
  if (total === 0) return null;
  const rank = Math.max(1, Math.ceil(q * total));
  let seen = 0;
  for (const index of [...histogram.keys()].sort((a, b) => a - b)) {
    seen += histogram.get(index) ?? 0;
    if (seen >= rank) return index;
  }
  return null;
}

export const emptyHistograms = (): Record<WindowMetric, Histogram> => ({
  entropy: new Map(),
  length: new Map(),
  ttft: new Map(),
  interToken: new Map(),
  total: new Map(),
  input: new Map(),
  cost: new Map(),
  quality: new Map(),
  nll: new Map(),
});
