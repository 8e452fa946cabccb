// Replays stored decisions: the same rollout, evidence and time must give the same transition, years later and after every change of the code.
import { decide } from './decide.js';
import type { Decision, Evidence, Rollout, Transition } from './model.js';

export interface RecordedDecision {
  readonly rollout: Rollout;
  readonly evidence: Evidence;
  readonly now: number;
  readonly transition: Transition;
}

export interface Difference {
  readonly index: number;
  readonly recorded: Transition;
  readonly replayed: Decision;
}

/** The decisions that would be made differently today; empty when history holds. */
export function replay(history: readonly RecordedDecision[]): Difference[] {
  return history.flatMap((record, index) => {
    const replayed = decide(record.rollout, record.evidence, record.now);
    return replayed.transition === record.transition ? [] : [{ index, recorded: record.transition, replayed }];
  });
}
