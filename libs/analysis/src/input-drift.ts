// Whether users ask for other things than when the scores were frozen. Both arms answer the same users: nothing here speaks about a version.

import type { BucketCounts } from './bucket-counts.js';
import { type InputReference, judgedClass } from './frozen-scores.js';
import type { MergedCounts } from './merged-counts.js';
import { lnRepresentative } from './sketch.js';

/** Distances with the noise that as many independent prompts would show by chance; `moved`: beyond both the noise and what matters. */
export interface InputDrift {
  /** Answers of this epoch, all arms. */
  readonly responses: number;
  readonly mix: {
    /** Total variation: the share of prompts that would have to change class, 0 to 1. */
    readonly distance: number;
    readonly noise: number;
    readonly moved: boolean;
    /** The classes whose share moved most, at most five. */
    readonly classes: readonly { readonly promptClass: string; readonly share: number; readonly reference: number }[];
  };
  /** Prompt tokens within classes, relative to the reference minus one; null without a value. */
  readonly length: { readonly effect: number; readonly noise: number; readonly moved: boolean } | null;
}

/** Smaller moves are not worth a word, however certain. */
const leastDistance = 0.05;
const leastEffect = 0.05;
const shownClasses = 5;
const arms = ['stable', 'candidate', 'control'] as const;

/**
 * Compares this epoch's prompts, of all arms, with the reference. Noise of the mix: an upper bound at 95% (its expectation, and McDiarmid's
 * inequality for the rest); of the length: 1.96 standard errors. Prompts come in bursts, so a move just beyond the noise may still be chance.
 */
export function inputDrift(
  counts: MergedCounts,
  epoch: number,
  reference: InputReference | undefined,
  referenceResponses: number,
): InputDrift | null {
  if (!reference) return null;
  const byClass = counts.classes(epoch).map(({ promptClass, arms: of }) => ({
    promptClass,
    responses: arms.reduce((sum, arm) => sum + of[arm].counts.responses, 0),
    inputs: arms.map((arm) => of[arm].metrics.input),
  }));
  const responses = byClass.reduce((sum, one) => sum + one.responses, 0);
  if (responses === 0) return null;
  const names = [...new Set([...Object.keys(reference.shares), ...byClass.map(({ promptClass }) => promptClass)])].sort();
  const shares = names.map((promptClass) => ({
    promptClass,
    share: (byClass.find((one) => one.promptClass === promptClass)?.responses ?? 0) / responses,
    reference: reference.shares[promptClass] ?? 0,
  }));
  const apart = ({ share, reference: before }: (typeof shares)[number]): number => Math.abs(share - before);
  const distance = shares.reduce((sum, one) => sum + apart(one), 0) / 2;
  const effective = 1 / (1 / responses + 1 / Math.max(1, referenceResponses));
  const expected = shares.reduce((sum, { reference: q }) => sum + Math.sqrt((q * (1 - q)) / effective), 0) / 2;
  const noise = expected + Math.sqrt(Math.log(20) / (2 * effective));
  return {
    responses,
    mix: {
      distance,
      noise,
      moved: distance > Math.max(noise, leastDistance),
      classes: shares.toSorted((a, b) => apart(b) - apart(a) || (a.promptClass < b.promptClass ? -1 : 1)).slice(0, shownClasses),
    },
    length: lengthDrift(byClass, reference),
  };
}

function lengthDrift(
  byClass: readonly { readonly promptClass: string; readonly inputs: readonly BucketCounts[] }[],
  { length }: InputReference,
): InputDrift['length'] {
  let [n, shift, squares] = [0, 0, 0];
  for (const { promptClass, inputs } of byClass) {
    const fit = length[judgedClass(length, promptClass)];
    const total = inputs.reduce((sum, counts) => sum + counts.total, 0);
    if (!fit || total === 0) continue;
    const mean = lnRepresentative(inputs.reduce((sum, counts) => sum + counts.indexSum, 0) / total);
    n += total;
    shift += total * (mean - fit.mean);
    squares += total * fit.sd * fit.sd;
  }
  if (n === 0) return null;
  const effect = Math.exp(shift / n) - 1;
  const noise = Math.exp((1.96 * Math.sqrt(squares)) / n) - 1;
  return { effect, noise, moved: Math.abs(effect) > Math.max(noise, leastEffect) };
}
