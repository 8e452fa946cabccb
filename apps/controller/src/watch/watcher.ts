// Watches promoted versions against their own past: each minute once, by whichever controller comes first; an alarm pages, and takes back only where the
// plan says so and the heartbeat agrees.
import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { advanceWatch, blockMs, newWatch } from '#libs/analysis';
import { type Clock, Pulse } from '#libs/base';
import { defaultPlan, type PlanDraft, resolvePlan } from '#libs/rollout';
import {
  AuditStore,
  Database,
  HeartbeatStore,
  ModelStore,
  OutboxStore,
  RolloutStore,
  RoutingStore,
  type UnwatchedModel,
  type WatchRow,
  WatchStore,
  WindowStore,
} from '#libs/storage';
import { type Log, QuietLog } from '#libs/telemetry';
import { CLOCK, ControllerSettings, LOG } from '../core.js';
import { driftSentence } from './sentence.js';

const everyMs = 2_000;
/** Windows of a minute come within a few seconds of its end; answers that take longer are missing from it, today as in the reference. */
const settleMs = 30_000;
/** While it learns nothing can alarm, and all days so far are written again with every look. */
const learnEveryMs = 900_000;
/** Taken at a time after an outage, so that no transaction is long. */
const mostMinutes = 240;
const mostAtOnce = 500;

@Injectable()
export class Watcher {
  private readonly watches = new WatchStore();
  private readonly heartbeats = new HeartbeatStore();
  private readonly windows = new WindowStore();
  private readonly models = new ModelStore();
  private readonly rollouts = new RolloutStore();
  private readonly routing = new RoutingStore();
  private readonly audit = new AuditStore();
  private readonly outbox = new OutboxStore();
  private readonly pulse: Pulse;

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(ControllerSettings) private readonly settings: ControllerSettings,
    @Inject(CLOCK) clock: Clock,
    @Inject(LOG) log: Log,
  ) {
    const quiet = new QuietLog(log, clock);
    this.pulse = new Pulse({
      clock,
      everyMs,
      beat: async () => await this.round(),
      onError: (error) => quiet.warn('promoted versions cannot be watched; trying again', error),
    });
  }

  start(): void {
    this.pulse.start();
  }

  async close(): Promise<void> {
    await this.pulse.stop();
  }

  /** Begins watches that are missing and takes every minute that has settled. Any number of controllers may do this at once. */
  async round(): Promise<void> {
    const { manager } = this.database;
    const now = Math.floor(await this.rollouts.now(manager));
    for (const model of await this.watches.unwatched(manager, mostAtOnce)) await this.begin(manager, model, now);
    for (let taken = 0; taken < mostAtOnce && !this.pulse.signal.aborted; taken += 1) {
      if (!(await this.database.transaction(async (tx) => await this.next(tx, now)))) return;
    }
  }

  private async begin(tx: EntityManager, model: UnwatchedModel, now: number): Promise<void> {
    // A plan that was stored before there were watches says nothing of them: the defaults hold.
    const plan = resolvePlan((model.plan ?? model.defaultPlan) as PlanDraft, defaultPlan);
    await this.watches.begin(tx, {
      modelId: model.modelId,
      versionId: model.versionId,
      previousVersionId: model.previousVersionId,
      rolloutId: model.rolloutId,
      policy: plan.watch,
      testSet: plan.gate?.testSet ?? null,
      state: newWatch(now),
    });
  }

  /** One due watch, under its row's lock. False when none is due. */
  private async next(tx: EntityManager, now: number): Promise<boolean> {
    const watch = await this.watches.takeDue(tx);
    if (!watch) return false;
    const { state, policy } = watch;
    if (!policy.enabled) {
      await this.watches.save(tx, watch.modelId, { state, nextLookAt: now + 3_600_000, beatNow: false });
      return true;
    }
    const settledAt = Math.floor((now - settleMs) / blockMs) * blockMs;
    const untilAt = Math.min(settledAt, state.nextAt + mostMinutes * blockMs);
    const windows = untilAt > state.nextAt ? await this.windows.ofVersion(tx, watch.versionId, state.nextAt, untilAt) : [];
    const after = advanceWatch(state, windows, untilAt, { referenceMs: policy.referenceS * 1_000 });
    const alarmed = state.alarm === null && after.alarm !== null;
    // What has settled already is taken at once; else when the next minute has.
    const nextLookAt = untilAt < settledAt ? now : untilAt + (after.reference ? blockMs : learnEveryMs) + settleMs;
    await this.watches.save(tx, watch.modelId, { state: after, nextLookAt, beatNow: alarmed });
    const told = { ...watch, state: after };
    if (alarmed) await this.tell(tx, told, 'model.drifted');
    if (after.alarm !== null) await this.takeBack(tx, told);
    return true;
  }

  private async tell(tx: EntityManager, watch: WatchRow, type: 'model.drifted' | 'model.reverted'): Promise<void> {
    const { state, model, versionId, label, rolloutId } = watch;
    const sentence = driftSentence(watch, type === 'model.reverted');
    const detail = { versionId, version: label, rolloutId, alarm: state.alarm };
    const { publicUrl } = this.settings.values;
    await this.outbox.append(tx, {
      type,
      subject: `model/${model}`,
      data: { model, ...detail, sentence, links: { api: `${publicUrl}/api/v1/models/${encodeURIComponent(model)}/watch` } },
    });
    await this.audit.append(tx, { actor: 'controller', action: type, subject: `model/${model}`, reason: sentence, detail });
  }

  /**
   * Only where the plan says so, the newest heartbeat after the alarm failed too, the version still serves, and no rollout is under way: a later decision
   * of a person stands. The answer to an alarm (`resolve`) ends it, so an alarm that was answered takes nothing back.
   */
  private async takeBack(tx: EntityManager, watch: WatchRow): Promise<void> {
    const { policy, previousVersionId, state, modelId, versionId } = watch;
    if (!policy.rollback || previousVersionId === null || state.alarm === null) return;
    const [beat] = await this.heartbeats.list(tx, modelId, 1);
    if (!beat || beat.versionId !== versionId || beat.verdict !== 'fail' || beat.at < state.alarm.at) return;
    if (!(await this.models.replaceStable(tx, modelId, { from: versionId, to: previousVersionId }))) return;
    await this.routing.rebuild(tx);
    await this.tell(tx, watch, 'model.reverted');
  }
}
