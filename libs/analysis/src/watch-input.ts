// Input drift apart from output drift: users who ask something else must never pass for a model that answers otherwise.
import { countOf } from './sketch.js';
import type { OpenCounts } from './watch-counts.js';
import { distance, type InputNorm, meanLnOf, sharesOf, totalOf } from './watch-reference.js';

/** Below it nothing is said about what users ask. */
const minAnswers = 50;
/** A mix is called moved when it lies further from the reference than this, and than twice the reference's own days. */
const leastMixMove = 0.1;
const leastLengthMove = Math.log(1.25);

export interface InputDrift {
  /** Answers of about the last two hours, fading. */
  readonly responses: number;
  /** Total variation between the mix of classes now and in the reference, 0 to 1; and what the reference's own days showed at most. */
  readonly mix: { readonly distance: number; readonly noise: number; readonly moved: boolean };
  readonly classes: readonly {
    readonly promptClass: string;
    readonly share: number;
    readonly referenceShare: number;
    /** Mean prompt length over the reference's (geometric), 1 = the same; null for a class that one of them lacks. */
    readonly lengthRatio: number | null;
    readonly moved: boolean;
  }[];
}

export function inputDriftOf(norm: InputNorm, now: OpenCounts['input']): InputDrift {
  const responses = totalOf(now);
  const shares = sharesOf(now);
  const away = distance(shares, norm.shares);
  const enough = responses >= minAnswers;
  const names = [...new Set([...Object.keys(norm.shares), ...now.keys()])].sort();
  return {
    responses: Math.round(responses),
    mix: { distance: away, noise: norm.mixNoise, moved: enough && away > Math.max(leastMixMove, 2 * norm.mixNoise) },
    classes: names.map((promptClass) => {
      const histogram = now.get(promptClass);
      const usual = norm.meanLn[promptClass];
      const shift = histogram && usual !== undefined ? meanLnOf(histogram) - usual : null;
      return {
        promptClass,
        share: shares[promptClass] ?? 0,
        referenceShare: norm.shares[promptClass] ?? 0,
        lengthRatio: shift === null ? null : Math.exp(shift),
        moved:
          shift !== null &&
          countOf(histogram ?? new Map()) >= minAnswers &&
          Math.abs(shift) > Math.max(leastLengthMove, 2 * norm.lengthNoise),
      };
    }),
  };
}
