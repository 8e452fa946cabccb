// Errors and timeouts: rollback from the labels of the events alone, promotion by a bound on the difference of rates.
import { type EpochCounts, isMixed } from './epoch-counts.js';
import { eventRatioLogE, rateDifferenceLogE } from './event-ratio.js';
import type { Measured } from './measured.js';

interface ErrorOptions {
  readonly ratio: number;
  readonly proofMargin: number;
}

/** Rollback evidence: the candidate errs more than `ratio` times as often. Non-finite measurements count as events. */
export function judgeErrors({ ratio, proofMargin }: ErrorOptions, epochs: readonly EpochCounts[]): Measured {
  const compared = epochs.filter(isMixed);
  const total = (arm: 'stable' | 'candidate', field: 'responses' | 'events'): number =>
    compared.reduce((sum, epoch) => sum + epoch[arm][field], 0);
  const nStable = total('stable', 'responses');
  const nCandidate = total('candidate', 'responses');
  const logE = eventRatioLogE(
    compared.map((epoch) => ({ weight: epoch.weight, stable: epoch.stable.events, candidate: epoch.candidate.events })),
    ratio,
  );
  const measured = nCandidate > 0;
  return {
    check: 'errors',
    measured,
    logE,
    direction: 'events',
    effect: nStable > 0 && nCandidate > 0 ? total('candidate', 'events') / nCandidate - total('stable', 'events') / nStable : null,
    lower: null,
    upper: null,
    marginUp: proofMargin,
    marginDown: null,
    unit: 'points',
    nStable,
    nCandidate,
    note: `${total('candidate', 'events')} of ${nCandidate} candidate answers failed, ${total('stable', 'events')} of ${nStable} of stable`,
  };
}

/** Promotion: rejects "the candidate's share of failed answers is stable's plus `proofMargin` or more". */
export function proveErrors({ proofMargin }: ErrorOptions, epochs: readonly EpochCounts[]): number {
  return rateDifferenceLogE(
    epochs.map((epoch) => ({
      weight: epoch.weight,
      stable: epoch.stable.responses,
      stableEvents: epoch.stable.events,
      candidate: epoch.candidate.responses,
      candidateEvents: epoch.candidate.events,
    })),
    proofMargin,
    -1,
  );
}
