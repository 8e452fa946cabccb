// The block sign test: latency when each arm has a queue of its own. Private bursts make single responses dependent, blocks longer than a burst are not.
import { logMeanExp } from './mixture.js';
import type { Window } from './window.js';

const betSizes: readonly number[] = [0.05, 0.1, 0.2, 0.4, 0.7, 0.95];
const minPerArm = 5;

/** One closed block: start and end of its assignment time, responses and mean ln(latency ms) of each arm. */
export interface Block {
  readonly startAt: number;
  readonly endAt: number;
  readonly nStable: number;
  readonly nCandidate: number;
  readonly lnStable: number;
  readonly lnCandidate: number;
}

export interface BlockOptions {
  readonly blockMs: number;
  /** A block counts only when `now` is this far past its end: answers that are still running then are outliers, not the rule. */
  readonly settleMs: number;
  readonly now: number;
}

/** Finished responses and sum of ln(latency ms) of stable, then the candidate, in one second (or slice) of assignment. */
export interface ArmSeconds {
  readonly at: number;
  readonly n: readonly [number, number];
  readonly lnSum: readonly [number, number];
}

/** Cuts windows of both arms into blocks by assignment second. */
export function cutBlocks(windows: readonly Window[], options: BlockOptions): Block[] {
  const seconds = new Map<number, { at: number; n: [number, number]; lnSum: [number, number] }>();
  for (const { key, counts } of windows) {
    if (key.arm === null || key.arm === 'control' || counts.lnTotalCount === 0) continue;
    const arm = key.arm === 'candidate' ? 1 : 0;
    const cell = seconds.get(key.secondAt) ?? { at: key.secondAt, n: [0, 0], lnSum: [0, 0] };
    cell.n[arm] += counts.lnTotalCount;
    cell.lnSum[arm] += counts.lnTotalSum;
    seconds.set(key.secondAt, cell);
  }
  return cutSeconds(
    [...seconds.values()].sort((a, b) => a.at - b.at),
    options,
  );
}

/** Cuts seconds, in order of time, into blocks; a block grows by whole lengths until each arm has 5 finished responses. */
export function cutSeconds(seconds: readonly ArmSeconds[], { blockMs, settleMs, now }: BlockOptions): Block[] {
  const first = seconds[0]?.at;
  if (first === undefined) return [];
  const blocks: Block[] = [];
  let startAt = first;
  let endAt = first + blockMs;
  let n: [number, number] = [0, 0];
  let sum: [number, number] = [0, 0];
  const close = (): void => {
    blocks.push({ startAt, endAt, nStable: n[0], nCandidate: n[1], lnStable: sum[0] / n[0], lnCandidate: sum[1] / n[1] });
    startAt = endAt;
    endAt = startAt + blockMs;
    n = [0, 0];
    sum = [0, 0];
  };
  const settled = (): boolean => endAt + settleMs <= now;
  for (const { at: second, n: added, lnSum } of seconds) {
    while (second >= endAt && settled()) {
      if (n[0] >= minPerArm && n[1] >= minPerArm) close();
      else endAt += blockMs;
    }
    if (second >= endAt) return blocks;
    n = [n[0] + added[0], n[1] + added[1]];
    sum = [sum[0] + lnSum[0], sum[1] + lnSum[1]];
  }
  if (n[0] >= minPerArm && n[1] >= minPerArm && settled()) close();
  return blocks;
}

/** ln of the e-value that the candidate is slower (sign +1) or faster (-1) than (1 + margin) x stable, by the sign of each block's difference. */
export function blockSignLogE(blocks: readonly Block[], margin: number, sign: 1 | -1 = 1): number {
  if (blocks.length === 0) return 0;
  const shift = Math.log1p(margin);
  return logMeanExp(
    betSizes.map((bet) => {
      let sum = 0;
      for (const block of blocks) sum += Math.log1p(bet * sign * Math.sign(block.lnCandidate - shift - block.lnStable));
      return sum;
    }),
  );
}
