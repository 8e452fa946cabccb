// Whether the arms got what the coin gave them. The tests rest on it: a split that is not the coin's, or clients who leave one arm, make answers incomparable.
import type { Comparison } from './epoch-counts.js';
import type { EpochEvents } from './event-ratio.js';
import { EventRatioTest } from './event-sums.js';
import type { MergedCounts } from './merged-counts.js';

export interface AssignmentLook {
  /** Share of the candidate among the requests that were compared, and what the coin gave; null while there are none. */
  readonly share: number | null;
  readonly expected: number | null;
  /** ln e-value of "the odds are not the coin's", beyond 25%; 0 where several requests share a coin. */
  readonly logE: number;
  readonly skewed: boolean;
  /** ln e-value of "clients leave the candidate more than 1.5 times as often as stable", or the other way round. */
  readonly goneLogE: number;
  readonly leaving: boolean;
  /** In words, when something is amiss. */
  readonly note: string | null;
}

/** Answers on their way count for no arm yet: a slow arm may lack a part of its requests for a while. */
const tolerated = 1.25;
const toleratedLeaving = 1.5;
/** By how much more than tolerated: a skew is seldom large. */
const skews = [1.1, 1.25, 1.5, 2, 5, 30];
/** Nobody is rolled back for it, but a step forward is held: a chance of 1 in 1,000 over the rollout each. */
const needed = Math.log(1_000);
/** Fewer units than this part of the answers: one coin decides over several of them, and their count proves nothing. */
const leastUnits = 0.95;

export class AssignmentGuard {
  private readonly more = new EventRatioTest(tolerated, 1, skews);
  private readonly fewer = new EventRatioTest(1 / tolerated, -1, skews);
  private readonly leavingMore = new EventRatioTest(toleratedLeaving);
  private readonly leavingLess = new EventRatioTest(1 / toleratedLeaving, -1);

  constructor(private readonly counts: MergedCounts) {}

  look(comparisons: readonly Comparison[]): AssignmentLook {
    const assigned: EpochEvents[] = [];
    const gone: EpochEvents[] = [];
    let [all, candidates, expected, responses, units] = [0, 0, 0, 0, 0];
    for (const { epoch, weight, baseline } of comparisons) {
      const [n0, n1] = [this.counts.sum(epoch, baseline, 'responses'), this.counts.sum(epoch, 'candidate', 'responses')];
      const [g0, g1] = [this.counts.sum(epoch, baseline, 'clientGone'), this.counts.sum(epoch, 'candidate', 'clientGone')];
      assigned.push({ weight, stable: n0 + g0, candidate: n1 + g1 });
      gone.push({ weight, stable: g0, candidate: g1 });
      responses += n0 + n1;
      units += this.counts.sum(epoch, baseline, 'units') + this.counts.sum(epoch, 'candidate', 'units');
      all += n0 + n1 + g0 + g1;
      candidates += n1 + g1;
      expected += weight * (n0 + n1 + g0 + g1);
    }
    const independent = units >= leastUnits * responses;
    const [more, fewer] = independent ? [this.more.logE(assigned), this.fewer.logE(assigned)] : [0, 0];
    const [leavingMore, leavingLess] = [this.leavingMore.logE(gone), this.leavingLess.logE(gone)];
    // Half of the error for each direction.
    const logE = Math.max(more, fewer) - Math.LN2;
    const goneLogE = Math.max(leavingMore, leavingLess) - Math.LN2;
    const [skewed, leaving] = [logE >= needed, goneLogE >= needed];
    const share = all === 0 ? null : candidates / all;
    const notes = [
      ...(skewed && share !== null
        ? [`the candidate got ${percent(share)} of the requests where the coin gave ${percent(expected / all)}`]
        : []),
      ...(leaving ? [`clients leave ${leavingMore > leavingLess ? 'the candidate' : 'stable'} more often`] : []),
    ];
    return {
      share,
      expected: all === 0 ? null : expected / all,
      logE: Math.max(0, logE),
      skewed,
      goneLogE: Math.max(0, goneLogE),
      leaving,
      note: notes.length === 0 ? null : notes.join('; '),
    };
  }
}

function percent(share: number): string {
  return `${(share * 100).toPrecision(3)}%`;
}
