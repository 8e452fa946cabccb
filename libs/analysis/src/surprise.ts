// What stands for entropy: the exact one of an engine that computes it, else the surprise of the chosen tokens, which an upstream's log probabilities tell.
import type { Comparison } from './epoch-counts.js';
import { type FrozenScores, pooledClass } from './frozen-scores.js';
import type { CheckLook } from './measured.js';
import type { MergedCounts } from './merged-counts.js';

/** Standard errors between the arms' sampled shares beyond which they were not sampled alike. */
const mostErrors = 5;

/**
 * The metric of the check of entropy: `entropy` where stable's reference has it, else `nll`, the mean NLL of the chosen tokens. The bounds of an entropy are
 * no value to compare. Null: the reference had neither.
 */
export function surprise(scores: FrozenScores): 'entropy' | 'nll' | null {
  if (Object.hasOwn(scores.entropy, pooledClass)) return 'entropy';
  return scores.nll !== undefined && Object.hasOwn(scores.nll, pooledClass) ? 'nll' : null;
}

/** `look` by `nll`, said to be so; unmeasured when one arm's answers were asked for log probabilities more often: then the coin is not the one drawn. */
export function toldBySurprise(look: CheckLook, merged: MergedCounts, comparisons: readonly Comparison[]): CheckLook {
  const { measured } = look;
  if (!measured.measured) return { ...look, measured: { ...measured, note: 'no log probabilities of one arm yet' } };
  const answers = { stable: 0, candidate: 0 };
  for (const { baseline, candidate } of merged.cells(comparisons, 'length')) {
    answers.stable += baseline.total;
    answers.candidate += candidate.total;
  }
  const [p0, p1] = [measured.nStable / answers.stable, measured.nCandidate / answers.candidate];
  const pooled = (measured.nStable + measured.nCandidate) / (answers.stable + answers.candidate);
  const error = Math.sqrt(pooled * (1 - pooled) * (1 / answers.stable + 1 / answers.candidate));
  if (Math.abs(p1 - p0) > mostErrors * error) {
    const note = `log probabilities of ${percent(p0)} of stable's answers and ${percent(p1)} of the candidate's: ask both versions for the same share (engine.logprobs.share)`;
    return { measured: { ...measured, measured: false, logE: 0, note }, proofLogE: 0 };
  }
  return {
    ...look,
    measured: { ...measured, note: `by the surprise (NLL) of the chosen tokens, told for ${percent(pooled)} of the answers` },
  };
}

function percent(share: number): string {
  return `${(100 * share).toFixed(share < 0.1 ? 1 : 0)}%`;
}
