// The block sign test: latency when each arm has a queue of its own. Private bursts make single responses dependent, blocks longer than a burst are not.
import type { Sign } from './label.js';
import { logMeanExp } from './mixture.js';
import { gamma } from './sketch.js';

/** Stakes of the bets on the next block's sign; the e-value is the average over them. */
export const blockBets: readonly number[] = [0.05, 0.1, 0.2, 0.4, 0.7, 0.95];

/** Finished answers that each arm needs in a block. */
export const leastPerArm = 5;

/** Of stable (or control), then of the candidate. */
export type PerArm = readonly [baseline: number, candidate: number];

/**
 * One closed block. Integers only, so that the same answers give the same block in any order of adding. The mean ln of an arm is that of its buckets'
 * representatives: a constant + ln(gamma) x indexSum / n.
 */
export interface Block {
  readonly startAt: number;
  readonly endAt: number;
  readonly n: PerArm;
  /** Sum of bucket indices. */
  readonly indexSum: PerArm;
  /** Answers above each tail edge that was asked for, in the order asked. */
  readonly over: readonly PerArm[];
}

/** How many blocks said what. */
export interface SignCounts {
  readonly slower: number;
  readonly alike: number;
  readonly faster: number;
}

/** What a block says of one margin: 1 slower, -1 faster, 0 alike. */
export type BlockTest = (block: Block) => -1 | 0 | 1;

/** Sign of mean ln(candidate) - ln(1 + margin) - mean ln(baseline). `margin` > -1; values as their buckets' representatives, within 1% in both arms. */
export function centreSign({ n, indexSum }: Block, margin: number): -1 | 0 | 1 {
  // Multiplied out: integers until the margin comes in, hence the same on every machine.
  return signOf(indexSum[1] * n[0] - indexSum[0] * n[1] - (Math.log1p(margin) / Math.log(gamma)) * n[0] * n[1]);
}

/** Sign of the candidate's share above its edge less the baseline's above its own; edges by position in `over`. */
export function tailSign({ n, over }: Block, baselineEdge: number, candidateEdge: number): -1 | 0 | 1 {
  return signOf((over[candidateEdge]?.[1] ?? 0) * n[0] - (over[baselineEdge]?.[0] ?? 0) * n[1]);
}

function signOf(value: number): -1 | 0 | 1 {
  return value > 0 ? 1 : value < 0 ? -1 : 0;
}

/**
 * ln of the e-value that the candidate is slower (sign +1) or faster (-1) than the margin at which the signs were taken: the mean over bets of
 * PROD (1 + bet x sign). Exact when both signs are equally likely in each block, whatever came before. At alpha = 1% at least 10 blocks are needed.
 */
export function blockSignLogE({ slower, faster }: SignCounts, sign: Sign = 1): number {
  const [won, lost] = sign > 0 ? [slower, faster] : [faster, slower];
  if (won + lost === 0) return 0;
  return logMeanExp(blockBets.map((bet) => won * Math.log1p(bet) + lost * Math.log1p(-bet)));
}
