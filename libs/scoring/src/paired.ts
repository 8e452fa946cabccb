// Two versions on the same cases: the mean difference with its paired interval, exact McNemar, the score interval for pass rates, and the detectable effect.
import { binomialCdf, normalQuantile, studentCdf, studentQuantile } from './special.js';

/** Moments of one sample. */
export interface Moments {
  readonly n: number;
  readonly mean: number;
  /** Of the sample (n - 1 in the denominator); 0 for fewer than two values. */
  readonly sd: number;
  readonly se: number;
}

export function momentsOf(values: readonly number[]): Moments {
  const n = values.length;
  if (n === 0) return { n, mean: 0, sd: 0, se: 0 };
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  const sd = n < 2 ? 0 : Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1));
  return { n, mean, sd, se: sd / Math.sqrt(n) };
}

/** Two-sided Student interval of the mean at `level`, for n >= 2. */
export function meanInterval({ n, mean, se }: Moments, level: number): { readonly lower: number; readonly upper: number } {
  const reach = studentQuantile((1 + level) / 2, n - 1) * se;
  return { lower: mean - reach, upper: mean + reach };
}

/** Differences candidate - baseline case by case: t and p of "no difference", against either side and against "worse". */
export function pairedTest(
  differences: readonly number[],
): Moments & { readonly t: number; readonly pTwoSided: number; readonly pWorse: number } {
  const moments = momentsOf(differences);
  const t = moments.mean / moments.se;
  const below = studentCdf(t, moments.n - 1);
  return { ...moments, t, pTwoSided: 2 * Math.min(below, 1 - below), pWorse: below };
}

/** How cases changed sides between two versions. */
export interface Flips {
  /** Passed by the candidate only. */
  readonly better: number;
  /** Passed by the baseline only. */
  readonly worse: number;
}

/** One-sided exact McNemar: how likely at least this many of the flips would be losses if both versions were equally good. 1 without flips. */
export function exactMcNemarWorse({ better, worse }: Flips): number {
  return binomialCdf(better, better + worse, 0.5);
}

/** Two-sided exact McNemar. */
export function exactMcNemar({ better, worse }: Flips): number {
  return Math.min(1, 2 * binomialCdf(Math.min(better, worse), better + worse, 0.5));
}

/**
 * Two-sided interval at `level` for the difference of pass rates (candidate - baseline) over n >= 1 pairs, by inverting the score test
 * (Tango, Statistics in Medicine 17, 1998). Unlike mean +- t se it keeps its level for few flips: no flip at all does not mean no doubt.
 */
export function pairedRateInterval({ better, worse }: Flips, n: number, level: number): { readonly lower: number; readonly upper: number } {
  const reach = normalQuantile((1 + level) / 2);
  const centre = (better - worse) / n;
  const score = (difference: number): number => rateScore({ better, worse }, n, difference);
  return { lower: bound(-1, centre, (d) => score(d) > reach), upper: bound(1, centre, (d) => score(d) < -reach) };
}

/** The score statistic of "the true difference is d": falls as d grows. */
function rateScore({ better, worse }: Flips, n: number, d: number): number {
  const distance = better - worse - n * d;
  if (distance === 0) return 0;
  // The probability of a loss that is likeliest when the difference is d: the positive root of a quadratic.
  const half = (better + worse - (2 * n - better + worse) * d) / (4 * n);
  const loss = half + Math.sqrt(Math.max(0, half * half + (worse * d * (1 - d)) / (2 * n)));
  const variance = n * (2 * loss + d * (1 - d));
  if (variance <= 0) return Math.sign(distance) * Number.POSITIVE_INFINITY;
  return distance / Math.sqrt(variance);
}

/** The point between `outer` (refused) and `inner` (not refused) where refusal ends; `outer` itself when it is not refused. */
function bound(outer: number, inner: number, refused: (d: number) => boolean): number {
  if (!refused(outer)) return outer;
  let [out, within] = [outer, inner];
  for (let step = 0; step < 200 && out !== within; step += 1) {
    const middle = (out + within) / 2;
    if (middle === out || middle === within) break;
    if (refused(middle)) out = middle;
    else within = middle;
  }
  return within;
}

export interface Power {
  /** Error level, for the given number of sides. */
  readonly alpha: number;
  readonly power: number;
  readonly sides: 1 | 2;
}

/** Smallest true mean difference that n pairs find with this power, for differences of standard deviation `sd`. */
export function detectableMean(n: number, sd: number, { alpha, power, sides }: Power): number {
  return ((normalQuantile(1 - alpha / sides) + normalQuantile(power)) * sd) / Math.sqrt(n);
}

/** Pairs needed to find a mean difference of `delta`. */
export function pairsNeeded(delta: number, sd: number, { alpha, power, sides }: Power): number {
  return Math.ceil((((normalQuantile(1 - alpha / sides) + normalQuantile(power)) * sd) / delta) ** 2);
}

/** Smallest true difference of pass rates that n pairs find when this share of cases changes sides; at most that share. */
export function detectableRate(n: number, discordant: number, { alpha, power, sides }: Power): number {
  const level = normalQuantile(1 - alpha / sides) * Math.sqrt(discordant / n);
  const needed = normalQuantile(power);
  let [low, high] = [0, discordant];
  for (let step = 0; step < 200; step += 1) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) break;
    // Under a true difference the flips lean to one side, which leaves them less room to vary.
    if (middle - level < needed * Math.sqrt(Math.max(0, discordant - middle * middle) / n)) low = middle;
    else high = middle;
  }
  return high;
}

/** Wilson's interval at `level` of a single pass rate over n >= 1 cases. */
export function rateInterval(passed: number, n: number, level: number): { readonly lower: number; readonly upper: number } {
  const z = normalQuantile((1 + level) / 2);
  const centre = passed + (z * z) / 2;
  const reach = z * Math.sqrt((passed * (n - passed)) / n + (z * z) / 4);
  const weight = n + z * z;
  return { lower: Math.max(0, (centre - reach) / weight), upper: Math.min(1, (centre + reach) / weight) };
}
