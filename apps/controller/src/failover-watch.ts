// Notices that the database was promoted or restored, and sees to it that no candidate silently gets traffic back that a lost decision had taken away.
import { Inject, Injectable } from '@nestjs/common';
import { type Clock, Pulse } from '#libs/base';
import {
  AuditStore,
  Database,
  LineageStore,
  notifyRollout,
  OutboxStore,
  RolloutEventStore,
  RolloutStore,
  RoutingStore,
} from '#libs/storage';
import { type Log, QuietLog } from '#libs/telemetry';
import { CLOCK, ControllerSettings, LOG } from './core.js';
import { outboxData } from './outbox-data.js';

const everyMs = 1_000;

@Injectable()
export class FailoverWatch {
  private readonly lineage = new LineageStore();
  private readonly routing = new RoutingStore();
  private readonly rollouts = new RolloutStore();
  private readonly events = new RolloutEventStore();
  private readonly audit = new AuditStore();
  private readonly outbox = new OutboxStore();
  private readonly pulse: Pulse;

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(ControllerSettings) private readonly settings: ControllerSettings,
    @Inject(CLOCK) clock: Clock,
    @Inject(LOG) private readonly log: Log,
  ) {
    const quiet = new QuietLog(log, clock);
    this.pulse = new Pulse({
      clock,
      everyMs,
      beat: async () => void (await this.check()),
      onError: (error) => quiet.warn('whether the database failed over cannot be told', error),
    });
  }

  start(): void {
    this.pulse.start();
  }

  async close(): Promise<void> {
    await this.pulse.stop();
  }

  /**
   * One look. On another line of history: a new incarnation, so that gateways take the table though its generation may be lower, and in the same
   * transaction every rollout whose candidate has traffic is paused without any. Returns the ids of those.
   */
  async check(): Promise<string[]> {
    const { known, here } = await this.lineage.read(this.database.manager);
    if (known === here) return [];
    return await this.database.transaction(async (tx) => {
      if (!(await this.lineage.move(tx, known, here)) || known === null) return [];
      const reason = { code: 'database.failed-over' };
      const paused = await this.lineage.pauseExposed(tx, reason);
      const generation = await this.routing.rebuild(tx);
      for (const { id, phase } of paused) {
        await this.rollouts.setGeneration(tx, id, generation);
        const event = await this.events.append(tx, {
          rolloutId: id,
          actor: 'controller',
          transition: 'pause',
          fromPhase: phase as 'progressing',
          toPhase: 'paused',
          weight: 0,
          reason,
          evidence: null,
          generation,
        });
        const record = await this.rollouts.get(tx, id);
        if (record) {
          const data = outboxData(record, event, this.settings.values.publicUrl);
          await this.outbox.append(tx, { type: 'rollout.paused', subject: `rollout/${id}`, data });
        }
        await notifyRollout(tx, id);
      }
      const detail = { from: known, to: here, paused: paused.map(({ id }) => id), generation };
      await this.audit.append(tx, { actor: 'controller', action: 'database.failed-over', subject: 'database', reason: null, detail });
      this.log.error(
        detail,
        'the database was promoted or restored and may lack decisions: candidates get no traffic until a person resumes',
      );
      return paused.map(({ id }) => id);
    });
  }
}
