// The watch after promotion, when there is no stable beside: a Shiryaev-Roberts e-detector on blocks of one minute against a frozen reference.
// Shin, Ramdas and Rinaldo, "E-detectors" (2022): the average time to a false alarm is at least the threshold, in blocks.
import type { Sign } from './label.js';
import { logMeanExp } from './mixture.js';
import { lnRepresentative } from './sketch.js';
import type { ScoreOf } from './tilt-process.js';
import type { Histogram } from './window.js';

/** ln R by grid point. Stored between blocks; 0 blocks: all -Infinity. */
export type DetectorState = readonly number[];

/** Beyond it an alarm is certain; further growth would only delay the return to quiet. */
const largestLogR = 600;

export function newDetector(gridSize: number): DetectorState {
  return Array.from({ length: gridSize }, () => -Infinity);
}

/** One block further: R <- (R + 1) L, in logs. `blockLogE`: one ln L per grid point. */
export function detect(state: DetectorState, blockLogE: readonly number[]): DetectorState {
  return state.map((lnR, point) => Math.min(largestLogR, ln1pExp(lnR) + (blockLogE[point] ?? 0)));
}

/** Whether to page: the mean R over the grid reached the average run length, in blocks (90 days of minutes: 129,600). */
export function detectorAlarms(state: DetectorState, runLengthBlocks: number): boolean {
  return logMeanExp(state) >= Math.log(runLengthBlocks);
}

/**
 * ln L of one block against the reference, by grid point: larger (sign +1) or smaller (-1) than (1 + margin) x the reference, within classes.
 * `block`: histograms of log buckets by prompt class. Every class's score has the same grid. Cost: grid x buckets x classes.
 */
export function blockLogE(block: ReadonlyMap<string, Histogram>, scoreOf: ScoreOf, sign: Sign, margin: number): number[] {
  const shift = Math.log1p(margin);
  const sums: number[] = [];
  for (const [promptClass, histogram] of block) {
    const score = scoreOf(promptClass);
    score.grid(sign).forEach((hypothesis, point) => {
      let sum = sums[point] ?? 0;
      for (const [index, count] of histogram) sum += count * score.logR(sign, hypothesis, lnRepresentative(index) - shift);
      sums[point] = sum;
    });
  }
  return sums;
}

/** ln(1 + e^x), 0 for -Infinity, without overflow. */
function ln1pExp(x: number): number {
  return x > 0 ? x + Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x));
}
