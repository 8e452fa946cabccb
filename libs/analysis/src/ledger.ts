// The evidence of one rollout, kept merged between looks.
import { Judge } from './judge.js';
import type { Judgement, JudgeOptions } from './judgement.js';
import type { SliceOptions } from './latency-slices.js';
import { MergedCounts } from './merged-counts.js';
import type { Window } from './window.js';

/**
 * `add` what is new, `judge` when asked: a look costs what changed since the last one, some microseconds per check. The same windows and options give the
 * same judgement, byte for byte, in any order and split of adding. Memory: some 10 kB per epoch, class and arm, and the slices of latencies.
 */
export class Ledger extends MergedCounts {
  private readonly judging: Judge;

  constructor(slices: SliceOptions = {}) {
    super(slices);
    this.judging = new Judge(this);
  }

  judge(options: JudgeOptions): Judgement {
    return this.judging.look(options);
  }
}

export interface JudgeInput extends JudgeOptions {
  /** All windows of the rollout, both arms, every epoch, in any order. */
  readonly windows: readonly Window[];
}

/** Judges all evidence of a rollout at one instant, from nothing. Cost: some tens of milliseconds at an hour of windows; keep a `Ledger` to look often. */
export function judge({ windows, ...options }: JudgeInput): Judgement {
  const ledger = new Ledger();
  ledger.add(windows);
  return ledger.judge({ interval: true, ...options });
}
