// Replays decisions: the same rollout, evidence and time must give the same transition, years later and after every change of the code.
import { decide } from './decide.js';
import type { Decision, Evidence, Phase, Rollout, Transition } from './model.js';
import { weightOf } from './weight.js';

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

/** What was done at one instant: the transition, and the candidate's weight after it. */
export interface Recorded {
  readonly transition: Transition;
  readonly weight: number;
}

/**
 * Walks a rollout's history again from its beginning. Phases are not stored with decisions: each follows from the one before, which is what a pure
 * `decide` means. Only as long as every step does what was done: after the first that does not, traffic was another, and what would have followed is unknown.
 */
export class Walk {
  private phase: Phase;

  constructor(private readonly rollout: Omit<Rollout, 'phase' | 'epoch' | 'epochSince'>) {
    this.phase = { phase: 'pending', since: Math.floor(rollout.createdAt) };
  }

  /** The rollout as it stands at this point of the walk. */
  at(epoch: number, epochSince: number): Rollout {
    return { ...this.rollout, phase: this.phase, epoch, epochSince };
  }

  /** Decides at one instant. `follows`: the same transition to the same weight as recorded; only then the walk has gone on. */
  step(evidence: Evidence, epochSince: number, recorded: Recorded): { decision: Decision; weight: number; follows: boolean } {
    const decision = decide(this.at(evidence.epoch, epochSince), evidence, evidence.at);
    const weight = weightOf(decision.next, this.rollout.plan);
    const follows = decision.transition === recorded.transition && weight === recorded.weight;
    if (follows) this.phase = decision.next;
    return { decision, weight, follows };
  }
}
