// Keeps tables bounded: partitions ahead of time, old days dropped whole, answers that nobody will ask for again forgotten.
import { Inject, Injectable } from '@nestjs/common';
import { type Clock, Pulse } from '#libs/base';
import {
  CountedUnitStore,
  Database,
  DeliveryStore,
  HookReceiptStore,
  IdempotencyStore,
  PairedWindowStore,
  RolloutStore,
  WindowStore,
} from '#libs/storage';
import { type Log, QuietLog } from '#libs/telemetry';
import { CLOCK, ControllerSettings, LOG } from './core.js';

const everyMs = 3_600_000;
const retryMs = 60_000;
const dayMs = 86_400_000;
const keepAnswersMs = 7 * dayMs;
/** After a rollout's end: its last requests end, and late scores of their answers come. */
const keepUnitsMs = 7 * dayMs;
const keepDeliveriesMs = 30 * dayMs;
const batchRows = 1_000;

@Injectable()
export class Housekeeper {
  private readonly windows = new WindowStore();
  private readonly pairs = new PairedWindowStore();
  private readonly units = new CountedUnitStore();
  private readonly rollouts = new RolloutStore();
  private readonly receipts = new HookReceiptStore();
  private readonly answers = new IdempotencyStore();
  private readonly deliveries = new DeliveryStore();
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
      afterFailureMs: retryMs,
      beat: async () => await this.sweep(),
      onError: (error) => quiet.warn('housekeeping failed; trying again in a minute', error),
    });
  }

  start(): void {
    this.pulse.start();
  }

  /** One round. Any number of controllers may do this at once. */
  async sweep(): Promise<void> {
    const { manager } = this.database;
    const now = await this.rollouts.now(manager);
    await this.database.transaction(async (tx) => await this.windows.ensurePartitions(tx, now));
    const since = Math.min(now - this.settings.values.keepWindowsDays * dayMs, (await this.windows.neededSince(manager)) ?? now);
    const dropped = await this.database.transaction(async (tx) => await this.windows.dropBefore(tx, since));
    if (dropped.length > 0) this.log.info({ days: dropped }, 'old windows were dropped');
    while (!this.pulse.signal.aborted && (await this.pairs.dropBefore(manager, since)) >= batchRows);
    while (!this.pulse.signal.aborted && (await this.units.prune(manager, keepUnitsMs)) >= batchRows);
    for (const store of [this.receipts, this.answers]) {
      while (!this.pulse.signal.aborted && (await store.prune(manager, keepAnswersMs)) >= batchRows);
    }
    while (!this.pulse.signal.aborted && (await this.deliveries.prune(manager, keepDeliveriesMs)) >= batchRows);
  }

  async close(): Promise<void> {
    await this.pulse.stop();
  }
}
