// The shell around `decide`: look, decide, and write everything that belongs to the decision in one transaction, or nothing.
import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { FrozenScores } from '#libs/analysis';
import type { Outcome } from '#libs/base';
import { type Decision, type Evidence, isTerminal, mayFollow, type Reason, type Transition, weightOf } from '#libs/rollout';
import { Database, type RolloutLease, type RolloutRecord } from '#libs/storage';
import { ControllerSettings } from './core.js';
import { CRASH, type Crash } from './crash.js';
import { outboxData } from './outbox-data.js';
import { type ControlDatabase, type ControlStores, STORES } from './stores.js';

/** `lost`: someone else changed the rollout meanwhile; nothing was written and the next look sees it. */
export type LookResult = 'moved' | 'refused' | 'lost';

/** Event types that leave by webhook. */
const outboxTypes: Readonly<Record<Exclude<Transition, 'hold'>, string>> = {
  gate: 'rollout.gating',
  shadow: 'rollout.shadowing',
  start: 'rollout.started',
  advance: 'rollout.weight_changed',
  bake: 'rollout.baking',
  pause: 'rollout.paused',
  resume: 'rollout.resumed',
  promote: 'rollout.promoted',
  rollback: 'rollout.rolled_back',
  abort: 'rollout.aborted',
};

/** One look at one rollout: what was seen, and what the shell needs beside it. */
export interface Look {
  readonly record: RolloutRecord;
  readonly lease: RolloutLease;
  readonly evidence: Evidence;
  /** Scores fitted now, to be frozen when the candidate takes its first traffic; undefined when they are stored already or cannot be fitted. */
  readonly scores: FrozenScores | undefined;
  /** Assignment second of the candidate's first response; null while there is none. */
  readonly firstCandidateAt: number | null;
}

@Injectable()
export class Reconciler {
  constructor(
    @Inject(Database) private readonly database: ControlDatabase,
    @Inject(STORES) private readonly stores: ControlStores,
    @Inject(ControllerSettings) private readonly settings: ControllerSettings,
    @Inject(CRASH) private readonly crash: Crash,
  ) {}

  /**
   * Writes a decision that changes something (or refuses a command), whole or not at all. Safe to repeat after a crash at any line: what is not
   * committed did not happen. Rejects when the connection is lost: whether the commit arrived is then unknown, and the next look reads it.
   */
  async settle(look: Look, decision: Decision): Promise<LookResult> {
    const { record, lease } = look;
    const committed = await this.database.transaction(async (tx) => {
      await this.crash('before-write', record.id);
      const outcome = await this.commit(tx, record, lease, look, decision);
      await this.crash('before-commit', record.id);
      return outcome;
    });
    await this.crash('after-commit', record.id);
    if (!committed.ok) return 'lost';
    return decision.transition === 'hold' ? 'refused' : 'moved';
  }

  private async commit(
    tx: EntityManager,
    record: RolloutRecord,
    lease: RolloutLease,
    look: Look,
    decision: Decision,
  ): Promise<Outcome<unknown>> {
    const { next } = decision;
    if (!mayFollow(record.phase.phase, next.phase))
      throw new Error(`decide led rollout ${record.id} from ${record.phase.phase} to ${next.phase}`);
    const weight = weightOf(next, record.plan);
    // The compare-and-set comes first: whoever lost it has written nothing and simply leaves.
    const changed = await this.stores.rollouts.commitDecision(tx, record, lease, {
      next,
      weight,
      epoch: weight === record.weight ? record.epoch : record.epoch + 1,
      nextLookAt: decision.nextLookAt,
      ended: isTerminal(next),
      scores: weight > 0 && record.weight === 0 ? look.scores : undefined,
    });
    if (!changed.ok) return changed;
    await this.crash('after-compare-and-set', record.id);
    if (decision.transition === 'promote') await this.stores.models.setStable(tx, record.modelId, record.candidateVersionId);
    if (decision.transition === 'gate') await this.requestGate(tx, record);
    if (isTerminal(next)) await this.stores.evaluations.cancelForRollout(tx, record.id);
    const generation = decision.transition === 'hold' ? record.generation : await this.stores.routing.rebuild(tx);
    if (generation !== record.generation) await this.stores.rollouts.setGeneration(tx, record.id, generation);
    const reason = withExposure(decision.reason, look.evidence.at, look.firstCandidateAt);
    const actor = record.command && (reason.code === 'operator' || reason.code === 'command.refused') ? record.command.actor : 'controller';
    const event = await this.stores.events.append(tx, {
      rolloutId: record.id,
      actor,
      transition: decision.transition,
      fromPhase: record.phase.phase,
      toPhase: next.phase,
      weight,
      reason,
      evidence: look.evidence,
      generation,
    });
    if (decision.transition !== 'hold') {
      await this.stores.outbox.append(tx, {
        type: outboxTypes[decision.transition],
        subject: `rollout/${record.id}`,
        data: outboxData(record, event, this.settings.values.publicUrl),
      });
    }
    await this.stores.audit.append(tx, {
      actor,
      action: decision.transition === 'hold' ? 'rollout.command-refused' : `rollout.${decision.transition}`,
      subject: `rollout/${record.id}`,
      reason: reason.text ?? null,
      detail: { code: reason.code, from: record.phase.phase, to: next.phase, weight, generation, event: event.seq },
    });
    await this.stores.notify(tx, record.id);
    return changed;
  }

  private async requestGate(tx: EntityManager, record: RolloutRecord): Promise<void> {
    const { gate } = record.plan;
    if (!gate) throw new Error(`rollout ${record.id} entered its gate without a gate policy`);
    await this.stores.evaluations.request(tx, {
      rolloutId: record.id,
      model: record.model,
      candidateVersionId: record.candidateVersionId,
      baselineVersionId: record.stableVersionId,
      testSet: gate.testSet,
      policy: gate,
    });
  }
}

/** How long users met the candidate before the decision: told with every automatic rollback. */
export function withExposure(reason: Reason, at: number, firstCandidateAt: number | null): Reason {
  if (reason.code !== 'check.failed' || firstCandidateAt === null) return reason;
  return { ...reason, numbers: { ...reason.numbers, exposedMs: at - firstCandidateAt } };
}
