// The step test from counts: a response is above the threshold or not, so two numbers per arm and epoch say it all.
import type { BucketCounts } from './bucket-counts.js';
import { labelIncrement, type Sign } from './label.js';
import { logMeanExp } from './mixture.js';
import { step, type TailShare } from './step.js';
import type { MetricCell } from './tilt-sums.js';

/** Answers of both arms in all, and above their thresholds, at one probability of the candidate. */
export interface StepCounts {
  readonly weight: number;
  readonly baseline: number;
  readonly baselineOver: number;
  readonly candidate: number;
  readonly candidateOver: number;
}

/** Counts above bucket edges, kept by cell while it stays as it is. `edges`: bucket indices; what lies in a higher bucket is above. */
export class OverCounts {
  private readonly cached = new WeakMap<BucketCounts, { version: number; over: number[] }>();

  constructor(private readonly edges: readonly number[]) {}

  of(counts: BucketCounts): readonly number[] {
    const known = this.cached.get(counts);
    if (known?.version === counts.version) return known.over;
    const over = this.edges.map((edge) => {
      let sum = 0;
      for (let at = Math.max(0, edge + 1 - counts.base); at < counts.counts.length; at += 1) sum += counts.counts[at] ?? 0;
      return sum;
    });
    this.cached.set(counts, { version: counts.version, over });
    return over;
  }

  /** Cells of one weight together: a step asks for no classes. `baselineEdge`, `candidateEdge`: positions in `edges`. */
  sum(cells: readonly MetricCell[], baselineEdge: number, candidateEdge: number): StepCounts[] {
    const byWeight = new Map<number, { -readonly [Field in keyof StepCounts]: number }>();
    for (const { weight, baseline, candidate } of cells) {
      let sums = byWeight.get(weight);
      if (!sums) {
        sums = { weight, baseline: 0, baselineOver: 0, candidate: 0, candidateOver: 0 };
        byWeight.set(weight, sums);
      }
      sums.baseline += baseline.total;
      sums.candidate += candidate.total;
      sums.baselineOver += this.of(baseline)[baselineEdge] ?? 0;
      sums.candidateOver += this.of(candidate)[candidateEdge] ?? 0;
    }
    return [...byWeight.values()];
  }
}

/**
 * ln of the e-value that the candidate exceeds its threshold more often (sign +1) than the baseline its own; equal to `tiltLogE` with `step(...)` over the
 * histograms. Counts at equal weight may be merged: every increment depends on the weight alone. Cost: 7 grid points x weights.
 */
export function stepLogE(counts: readonly StepCounts[], tailShare: TailShare, sign: Sign = 1): number {
  const score = step(1, tailShare);
  const [under, over] = [-1, 1];
  return logMeanExp(
    score.grid(sign).map((hypothesis) => {
      const [logUnder, logOver] = [score.logR(sign, hypothesis, under), score.logR(sign, hypothesis, over)];
      let sum = 0;
      for (const { weight, baseline, baselineOver, candidate, candidateOver } of counts) {
        if (weight <= 0 || weight >= 1) continue;
        sum += baselineOver * labelIncrement(0, weight, logOver) + (baseline - baselineOver) * labelIncrement(0, weight, logUnder);
        sum += candidateOver * labelIncrement(1, weight, logOver) + (candidate - candidateOver) * labelIncrement(1, weight, logUnder);
      }
      return sum;
    }),
  );
}
