// Latency of the whole request: the block sign test for its centre, and a gross step from the first response for what nobody should wait for.
import { blockSignLogE, cutBlocks } from './block-sign.js';
import { type Epoch, type EpochCounts, epochHistograms, isMixed } from './epoch-counts.js';
import { type FrozenScores, grossScore } from './frozen-scores.js';
import type { Measured } from './measured.js';
import { logMeanExp } from './mixture.js';
import { gamma } from './sketch.js';
import { tiltLogE } from './tilt-process.js';
import type { Window } from './window.js';

interface LatencyInput {
  readonly windows: readonly Window[];
  readonly epochs: readonly Epoch[];
  readonly scores: FrozenScores | null;
  readonly checks: {
    readonly latency: { readonly margin: number; readonly gross: number; readonly blockS: number; readonly settleS: number };
  };
  readonly now: number;
}

/** Rollback evidence: the average of the two tests' e-values. Gross is unmeasured (e = 1) without a reference. */
export function judgeLatency(input: LatencyInput, epochs: readonly EpochCounts[]): Measured {
  const { margin, gross, blockS, settleS } = input.checks.latency;
  // A block lies within one epoch: across a change of weight the arms' means would rest on different times.
  const blocks = input.epochs.filter(isMixed).flatMap(({ epoch }) =>
    cutBlocks(
      input.windows.filter(({ key }) => key.epoch === epoch),
      { blockMs: blockS * 1000, settleMs: settleS * 1000, now: input.now },
    ),
  );
  const logBlock = blockSignLogE(blocks, margin);
  const score = input.scores ? grossScore(input.scores) : null;
  // The margin is rounded to whole buckets so that the shifted candidate meets the sharp step exactly where stable does.
  const wholeBuckets = Math.round(Math.log1p(gross) / Math.log(gamma));
  const logGross = score
    ? tiltLogE(epochHistograms(input.windows, input.epochs, 'total', null), () => score, 1, gamma ** wholeBuckets - 1)
    : 0;
  const total = (arm: 'stable' | 'candidate', field: 'lnTotalCount' | 'lnTotalSum'): number =>
    epochs.filter(isMixed).reduce((sum, epoch) => sum + epoch[arm][field], 0);
  const nStable = total('stable', 'lnTotalCount');
  const nCandidate = total('candidate', 'lnTotalCount');
  return {
    check: 'latency',
    measured: nStable > 0 && nCandidate > 0,
    logE: logMeanExp([logBlock, logGross]),
    direction: logBlock >= logGross ? 'block' : 'gross',
    effect:
      nStable > 0 && nCandidate > 0
        ? Math.exp(total('candidate', 'lnTotalSum') / nCandidate - total('stable', 'lnTotalSum') / nStable) - 1
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
