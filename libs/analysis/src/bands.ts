// What was evaluated is what runs: the ratio candidate / stable that shadow or gate measured before exposure, and the band that entropy and length are held to.
// The band always contains "no change", so it never makes a false rollback likelier; the label e-process takes any margin.
import type { Verdict } from '#libs/base';
import { lnRepresentative } from './sketch.js';
import type { Histogram } from './window.js';

/** Candidate / stable of one metric in one class on the same prompts, as measured before exposure. Frozen with the scores. */
export interface Band {
  /** 95% interval of the ratio of geometric means. */
  readonly lower: number;
  readonly upper: number;
  readonly ratio: number;
  /** Pairs it rests on. */
  readonly pairs: number;
  readonly source: 'shadow' | 'gate';
  /** Digest of the cases, for the gate's. */
  readonly casesDigest: string | null;
}

/** ln(candidate / stable) of one prompt. */
export interface PairedSample {
  readonly lnRatio: number;
  /** How many pairs had it; 1 unless given. */
  readonly count?: number;
  /** Cases of one cluster (variants of a prompt, turns of a conversation) are no independent evidence. */
  readonly cluster?: string | undefined;
}

/** Fewer pairs anchor nothing: one interval of few pairs is wide, and a wide band sees little. */
const leastPairs = { shadow: 150, gate: 100 } as const;
/** A class of its own from this part of them on; thinner ones share the pool. */
const ownClassPart = 1 / 3;
/** Below it the spread between clusters cannot be told. */
const leastClusters = 10;
/** Standard normal 97.5%. */
const reach = 1.959963984540054;
/** Stands for every class without a band of its own. */
const pool = '*';

/** Ratios of mirrored prompts as windows hold them (log buckets of candidate / stable). */
export function pairedSamples(ratios: Histogram): PairedSample[] {
  return [...ratios].sort(([a], [b]) => a - b).map(([index, count]) => ({ lnRatio: lnRepresentative(index), count }));
}

/**
 * Bands by class, and one under `*` for every other: of the thin classes where they have enough pairs together, else of all. Empty when there are
 * fewer pairs than anchor anything (150 of a shadow, 100 of a gate) or fewer than 10 clusters. Non-finite ratios are left out.
 */
export function fitBands(
  pairsByClass: ReadonlyMap<string, readonly PairedSample[]>,
  { source, casesDigest = null }: { readonly source: 'shadow' | 'gate'; readonly casesDigest?: string | null },
): Record<string, Band> {
  const named = [...pairsByClass]
    .map(([name, samples]) => [name, samples.filter(({ lnRatio }) => Number.isFinite(lnRatio))] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const needed = leastPairs[source];
  const all = named.flatMap(([, samples]) => samples);
  if (countPairs(all) < needed) return {};
  const bands: Record<string, Band> = {};
  const bandOf = (samples: readonly PairedSample[]): Band | null => {
    const interval = meanInterval(samples);
    return interval && { ...interval, pairs: countPairs(samples), source, casesDigest };
  };
  const own = named.filter(([name, samples]) => name !== pool && countPairs(samples) >= needed * ownClassPart);
  for (const [name, samples] of own) {
    const band = bandOf(samples);
    if (band) bands[name] = band;
  }
  const thin = named.filter(([name]) => !Object.hasOwn(bands, name)).flatMap(([, samples]) => samples);
  const rest = bandOf(countPairs(thin) >= needed ? thin : all) ?? bandOf(all);
  return rest ? { ...bands, [pool]: rest } : {};
}

/** Mean ln ratio with its cluster-robust 95% interval, as ratios. Null for fewer than 10 clusters. */
function meanInterval(samples: readonly PairedSample[]): { lower: number; upper: number; ratio: number } | null {
  const n = countPairs(samples);
  if (n === 0) return null;
  let sum = 0;
  for (const { lnRatio, count = 1 } of samples) sum += count * lnRatio;
  const mean = sum / n;
  const byCluster = new Map<string, number>();
  let [squares, clusters] = [0, 0];
  for (const { lnRatio, count = 1, cluster } of samples) {
    const distance = lnRatio - mean;
    if (cluster === undefined) {
      // Each pair is a cluster of one.
      squares += count * distance * distance;
      clusters += count;
    } else byCluster.set(cluster, (byCluster.get(cluster) ?? 0) + count * distance);
  }
  for (const distance of byCluster.values()) squares += distance * distance;
  clusters += byCluster.size;
  if (clusters < leastClusters) return null;
  const standardError = Math.sqrt((squares / (n * n)) * (clusters / (clusters - 1)));
  const half = student(clusters - 1) * standardError;
  return { lower: Math.exp(mean - half), upper: Math.exp(mean + half), ratio: Math.exp(mean) };
}

/** 97.5% quantile of Student's t, Cornish-Fisher from the normal one: within 0.2% from 9 degrees of freedom on. */
function student(freedom: number): number {
  const z = reach;
  return z + (z ** 3 + z) / (4 * freedom) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * freedom * freedom);
}

function countPairs(samples: readonly PairedSample[]): number {
  return samples.reduce((sum, { count = 1 }) => sum + count, 0);
}

/** Margins of one class: rollback beyond `up` / `down`; amber beyond the narrower ones around what was evaluated. Relative to stable, 0.1 = 10%. */
export interface BandMargins {
  readonly up: number;
  readonly down: number;
  readonly amberUp: number;
  readonly amberDown: number;
}

/** Rollback above (1 + up) x max(1, rhoU) and below (1 - down) x min(1, rhoL); amber outside [rhoL (1 - down), rhoU (1 + up)]. */
export function bandMargins(band: Band | null, { up, down }: { readonly up: number; readonly down: number }): BandMargins {
  if (!band) return { up, down, amberUp: up, amberDown: down };
  return {
    up: (1 + up) * Math.max(1, band.upper) - 1,
    down: 1 - (1 - down) * Math.min(1, band.lower),
    amberUp: (1 + up) * band.upper - 1,
    amberDown: 1 - (1 - down) * band.lower,
  };
}

/** The band under which a class is judged: its own, else the pool's. */
export function bandOf(bands: Readonly<Record<string, Band>> | null | undefined, promptClass: string): Band | null {
  if (!bands) return null;
  return (Object.hasOwn(bands, promptClass) ? bands[promptClass] : bands[pool]) ?? null;
}

/** How far an evaluated ratio may lie from 1 before a person is asked. */
export interface ExpectedShift {
  readonly lower: number;
  readonly upper: number;
}

export const defaultExpectedShift: ExpectedShift = { lower: 0.5, upper: 2 };

/** `inconclusive` when a band leaves what may be expected (a person may accept it with a reason), naming the farthest; `unmeasured` without bands. */
export function judgeBands(
  bands: Readonly<Partial<Record<string, Readonly<Record<string, Band>>>>>,
  { lower, upper }: ExpectedShift = defaultExpectedShift,
): { readonly verdict: Verdict; readonly note: string } {
  const all = Object.entries(bands).flatMap(([metric, byClass]) =>
    Object.entries(byClass ?? {}).map(([promptClass, band]) => ({ metric, promptClass, band })),
  );
  if (all.length === 0) return { verdict: 'unmeasured', note: 'too few pairs to say what to expect' };
  const outside = all
    .filter(({ band }) => band.lower < lower || band.upper > upper)
    .sort((a, b) => Math.abs(Math.log(b.band.ratio)) - Math.abs(Math.log(a.band.ratio)));
  const [worst] = outside;
  if (!worst) return { verdict: 'pass', note: 'entropy and length moved no further than expected' };
  const { metric, promptClass, band } = worst;
  const where = promptClass === pool ? '' : ` of class ${promptClass}`;
  const on = band.source === 'gate' ? 'on the test set' : 'on mirrored prompts';
  return {
    verdict: 'inconclusive',
    note: `${metric}${where} ${on} moved by ${percent(band.ratio)} (${percent(band.lower)} .. ${percent(band.upper)})`,
  };
}

function percent(ratio: number): string {
  const points = Math.round((ratio - 1) * 100);
  return `${points > 0 ? '+' : ''}${points}%`;
}
