// Checks of events (failures, refusals): rollback from the labels of the events alone, promotion by a bound on the difference of rates.
import type { CheckName } from '#libs/base';
import type { Comparison } from './epoch-counts.js';
import { type EpochRates, eventRatioLogE, rateDifferenceLogE } from './event-ratio.js';
import type { Measured } from './measured.js';
import type { MergedCounts } from './merged-counts.js';

export type EventField = 'failures' | 'refusals';

interface EventOptions {
  readonly check: CheckName;
  readonly field: EventField;
  /** Tolerated multiple of stable's rate. */
  readonly ratio: number;
  /** Promotion proves the candidate's rate below stable's plus this. */
  readonly proofMargin: number;
  /** "... of 12 candidate answers failed" */
  readonly verb: string;
}

export interface EventLook {
  readonly measured: Measured;
  readonly proofLogE: number;
}

/** Rollback: the candidate has the event more than `ratio` times as often. Promotion: rejects "stable's rate plus `proofMargin`, or more". */
export function lookAtEvents(
  counts: MergedCounts,
  comparisons: readonly Comparison[],
  { check, field, ratio, proofMargin, verb }: EventOptions,
): EventLook {
  const epochs = comparisons.map(
    ({ epoch, weight, baseline }): EpochRates => ({
      weight,
      stable: counts.sum(epoch, baseline, 'responses'),
      stableEvents: counts.sum(epoch, baseline, field),
      candidate: counts.sum(epoch, 'candidate', 'responses'),
      candidateEvents: counts.sum(epoch, 'candidate', field),
    }),
  );
  const total = (of: Exclude<keyof EpochRates, 'weight'>): number => epochs.reduce((sum, epoch) => sum + epoch[of], 0);
  const [nStable, nCandidate, stableEvents, candidateEvents] = [
    total('stable'),
    total('candidate'),
    total('stableEvents'),
    total('candidateEvents'),
  ];
  const logE = eventRatioLogE(
    epochs.map((epoch) => ({ weight: epoch.weight, stable: epoch.stableEvents, candidate: epoch.candidateEvents })),
    ratio,
  );
  return {
    measured: {
      check,
      measured: nCandidate > 0,
      logE,
      direction: 'events',
      effect: nStable > 0 && nCandidate > 0 ? candidateEvents / nCandidate - stableEvents / nStable : null,
      lower: null,
      upper: null,
      marginUp: proofMargin,
      marginDown: null,
      unit: 'points',
      nStable,
      nCandidate,
      note: `${candidateEvents} of ${nCandidate} candidate answers ${verb}, ${stableEvents} of ${nStable} of stable`,
    },
    proofLogE: rateDifferenceLogE(epochs, proofMargin, -1),
  };
}
