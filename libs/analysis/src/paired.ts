// Pairs: both versions on the same prompt, out of sight of users. Far fewer answers decide than of live traffic, for the prompt's own share of the spread cancels.
import type { Sign } from './label.js';
import { logMeanExp } from './mixture.js';

/** How strongly a pair is bet on, per unit of the log ratio. */
export const pairedStrengths: readonly number[] = [0.5, 1, 2, 4, 8, 16];

/** ln(candidate / stable) of one prompt, and how many pairs had it. */
export type PairedRatio = readonly [lnRatio: number, count: number];

/**
 * ln of the e-value that the candidate is larger (sign +1) or smaller (-1) than (1 + margin) x stable on the same prompt: the mean over strengths of
 * PROD 2 / (1 + exp(-strength (lnRatio - ln(1 + margin)))). Exact when a pair is exchangeable at the margin. A pair counts at most twice, so fewer
 * than 7 never decide at 1%. `margin` > -1. No pairs: 0. Cost: strengths x ratios.
 */
export function pairedLogE(
  ratios: Iterable<PairedRatio>,
  sign: Sign = 1,
  margin = 0,
  strengths: readonly number[] = pairedStrengths,
): number {
  const shift = Math.log1p(margin);
  const sums = strengths.map(() => 0);
  for (const [lnRatio, count] of ratios) {
    const distance = sign * (lnRatio - shift);
    for (let point = 0; point < strengths.length; point += 1) {
      sums[point] = (sums[point] ?? 0) + count * (Math.LN2 - softplus(-(strengths[point] ?? 0) * distance));
    }
  }
  return logMeanExp(sums);
}

/** ln(1 + e^x) without overflow. */
function softplus(x: number): number {
  return x > 30 ? x : Math.log1p(Math.exp(x));
}
