// Checks of events (failures, refusals): rollback from the labels of the events alone, promotion by a bound on the difference of rates.
import type { CheckName } from '#libs/base';
import type { Comparison, CountField } from './epoch-counts.js';
import type { EpochRates } from './event-ratio.js';
import { EventRatioTest, RateProof } from './event-sums.js';
import type { CheckLook } from './measured.js';
import type { MergedCounts } from './merged-counts.js';

interface EventOptions {
  readonly check: CheckName;
  readonly field: Extract<CountField, 'failures' | 'refusals'>;
  /** "12 of 90 candidate answers failed" */
  readonly verb: string;
}

/** Rollback: the candidate has the event more than `ratio` times as often. Promotion: rejects "stable's rate plus `proofMargin`, or more". */
export class EventCheck {
  private kept: { readonly ratio: number; readonly proofMargin: number; readonly test: EventRatioTest; readonly proof: RateProof } | null =
    null;

  constructor(
    private readonly counts: MergedCounts,
    private readonly options: EventOptions,
  ) {}

  look({ ratio, proofMargin }: { readonly ratio: number; readonly proofMargin: number }, comparisons: readonly Comparison[]): CheckLook {
    const { check, field, verb } = this.options;
    if (this.kept?.ratio !== ratio || this.kept.proofMargin !== proofMargin) {
      this.kept = { ratio, proofMargin, test: new EventRatioTest(ratio), proof: new RateProof(proofMargin) };
    }
    const { test, proof } = this.kept;
    let [nStable, nCandidate, stableEvents, candidateEvents, unfinished] = [0, 0, 0, 0, 0];
    const byClass = new Map<string, EpochRates[]>();
    const epochs = comparisons.map(({ epoch, weight, baseline }): EpochRates => {
      const sum = { weight, stable: 0, stableEvents: 0, candidate: 0, candidateEvents: 0 };
      for (const { promptClass, arms } of this.counts.classes(epoch)) {
        const [stable, candidate] = [arms[baseline].counts, arms.candidate.counts];
        sum.stable += stable.responses;
        sum.stableEvents += stable[field];
        sum.candidate += candidate.responses;
        sum.candidateEvents += candidate[field];
        if (field === 'failures') unfinished += candidate.unfinished;
        if (candidate[field] + stable[field] === 0) continue;
        const own = {
          weight,
          stable: stable.responses,
          stableEvents: stable[field],
          candidate: candidate.responses,
          candidateEvents: candidate[field],
        };
        byClass.set(promptClass, [...(byClass.get(promptClass) ?? []), own]);
      }
      nStable += sum.stable;
      nCandidate += sum.candidate;
      stableEvents += sum.stableEvents;
      candidateEvents += sum.candidateEvents;
      return sum;
    });
    const logE = (rates: readonly EpochRates[]): number =>
      test.logE(rates.map((one) => ({ weight: one.weight, stable: one.stableEvents, candidate: one.candidateEvents })));
    return {
      measured: {
        check,
        measured: nCandidate > 0,
        logE: logE(epochs),
        // Who is woken by it should look for what is slow, not for what is broken.
        direction: 2 * unfinished > candidateEvents ? 'unfinished' : 'events',
        effect: nStable > 0 && nCandidate > 0 ? candidateEvents / nCandidate - stableEvents / nStable : null,
        lower: null,
        upper: null,
        marginUp: proofMargin,
        marginDown: null,
        unit: 'points',
        nStable,
        nCandidate,
        classes: [...byClass]
          .map(([promptClass, rates]) => ({
            promptClass,
            logE: logE(rates),
            nCandidate: rates.reduce((sum, { candidate }) => sum + candidate, 0),
          }))
          .sort(strongestFirst),
        note: `${candidateEvents} of ${nCandidate} candidate answers ${verb}, ${stableEvents} of ${nStable} of stable`,
      },
      proofLogE: proof.logE(epochs),
    };
  }
}

type ClassEvidence = { readonly promptClass: string; readonly logE: number };

export function strongestFirst(a: ClassEvidence, b: ClassEvidence): number {
  return b.logE - a.logE || (a.promptClass < b.promptClass ? -1 : 1);
}
