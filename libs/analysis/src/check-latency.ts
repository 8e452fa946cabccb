// Latency of the whole request: the block sign test for its centre, and a gross step from the first response for what nobody should wait for.
import { blockSignLogE, cutSeconds } from './block-sign.js';
import type { Comparison } from './epoch-counts.js';
import { type FrozenScores, grossScore, pooledClass } from './frozen-scores.js';
import type { LatencyCell } from './latency-slices.js';
import { meanLn } from './latency-slices.js';
import type { Measured } from './measured.js';
import type { MergedCounts } from './merged-counts.js';
import { logMeanExp } from './mixture.js';
import { gamma, lnRepresentative } from './sketch.js';
import { TiltSums } from './tilt-sums.js';

interface LatencyOptions {
  readonly margin: number;
  readonly gross: number;
  readonly blockS: number;
  readonly settleS: number;
}

/** Rollback evidence: the average of the two tests' e-values. Gross is unmeasured (e = 1) without a reference. Keeps its sums between looks. */
export class LatencyCheck {
  private kept: { readonly key: string; readonly sums: TiltSums | null } | null = null;

  constructor(private readonly counts: MergedCounts) {}

  look(options: LatencyOptions, comparisons: readonly Comparison[], scores: FrozenScores | null, now: number): Measured {
    const { margin, gross, blockS, settleS } = options;
    // A block lies within one epoch: across a change of weight the arms' means would rest on different times.
    const blocks = comparisons.flatMap(({ epoch, baseline }) =>
      cutSeconds(
        this.counts.seconds(epoch).map(({ at, arms }) => {
          const [stable, candidate] = [arms[baseline].total, arms.candidate.total];
          return { at, n: [stable.n, candidate.n] as const, lnSum: [lnSum(stable), lnSum(candidate)] as const };
        }),
        { blockMs: blockS * 1000, settleMs: settleS * 1000, now },
      ),
    );
    const logBlock = blockSignLogE(blocks, margin);
    const cells = this.counts.cells(comparisons, 'total');
    const logGross = this.grossSums(scores, gross)?.look(cells).all.logE[0] ?? 0;
    const sum = (arm: 'baseline' | 'candidate', field: 'total' | 'indexSum'): number =>
      cells.reduce((all, cell) => all + cell[arm][field], 0);
    const [nStable, nCandidate] = [sum('baseline', 'total'), sum('candidate', 'total')];
    return {
      check: 'latency',
      measured: nStable > 0 && nCandidate > 0,
      logE: logMeanExp([logBlock, logGross]),
      direction: logBlock >= logGross ? 'block' : 'gross',
      effect:
        nStable > 0 && nCandidate > 0
          ? gamma ** (sum('candidate', 'indexSum') / nCandidate - sum('baseline', 'indexSum') / nStable) - 1
          : null,
      lower: null,
      upper: null,
      marginUp: margin,
      marginDown: null,
      unit: 'ratio',
      nStable,
      nCandidate,
      note: `${blocks.length} blocks of ${blockS} s judged`,
    };
  }

  private grossSums(scores: FrozenScores | null, gross: number): TiltSums | null {
    const key = `${scores?.totalP99Ms} ${gross}`;
    if (this.kept?.key === key) return this.kept.sums;
    const score = scores ? grossScore(scores) : null;
    // The margin is rounded to whole buckets so that the shifted candidate meets the sharp step exactly where stable does.
    const shift = Math.round(Math.log1p(gross) / Math.log(gamma)) * Math.log(gamma);
    const sums = score
      ? new TiltSums({ judgedClass: () => pooledClass, scoreOf: () => score, at: lnRepresentative, testsOf: () => [{ sign: 1, shift }] })
      : null;
    this.kept = { key, sums };
    return sums;
  }
}

function lnSum(cell: LatencyCell): number {
  return cell.n === 0 ? 0 : cell.n * meanLn(cell);
}
