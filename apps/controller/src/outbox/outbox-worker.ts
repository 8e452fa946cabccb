// Takes what the outbox holds to its endpoints: one delivery at a time for each, several endpoints at once, none waiting for another.
import { Inject, Injectable } from '@nestjs/common';
import { type Clock, Pulse } from '#libs/base';
import { type ClaimedDelivery, Database, type Settlement } from '#libs/storage';
import { type Log, QuietLog } from '#libs/telemetry';
import { CLOCK, LOG } from '../core.js';
import { type ControlDatabase, type ControlStores, ENDPOINTS, type EndpointStore, type Port, STORES } from '../stores.js';
import { type Attempt, Courier } from './courier.js';

const pollMs = 1_000;
/** Renewed while an attempt runs, so it can be short: this long after a crash another worker goes on. */
const leaseMs = 10_000;
const renewMs = 3_000;
const settleRetryMs = 100;
/** Endpoints served at once. A dozen hanging receivers must leave room for the healthy ones. */
const most = 32;
const drainLimitMs = 5_000;

@Injectable()
export class OutboxWorker {
  private readonly quiet: QuietLog;
  /** By endpoint. */
  private readonly inFlight = new Map<string, Promise<void>>();
  private readonly pulse: Pulse;
  /** Aborted when draining took too long: attempts still running are given up. */
  private readonly abandon = new AbortController();

  constructor(
    @Inject(Database) private readonly database: ControlDatabase,
    @Inject(STORES) private readonly stores: Pick<ControlStores, 'deliveries' | 'outbox'>,
    @Inject(ENDPOINTS) private readonly endpoints: EndpointStore,
    @Inject(Courier) private readonly courier: Port<Courier>,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOG) log: Log,
  ) {
    this.quiet = new QuietLog(log, clock);
    this.pulse = new Pulse({
      clock,
      everyMs: pollMs,
      beat: async () => await this.claim(),
      onError: (error) => this.quiet.warn('deliveries cannot be claimed; trying again', error),
    });
  }

  start(): void {
    this.pulse.start();
  }

  /** Looks now instead of at the next second. Cheap to call often. */
  wake(): void {
    this.pulse.wake();
  }

  /** Claims nothing more and lets attempts finish, 5 s at most; what is given up then is tried again by whoever comes next. */
  async close(): Promise<void> {
    await this.pulse.stop();
    const patience = new AbortController();
    const drained = Promise.allSettled(this.inFlight.values());
    await Promise.race([drained, this.clock.sleep(drainLimitMs, patience.signal).catch(() => undefined)]);
    patience.abort();
    this.abandon.abort();
    await Promise.allSettled(this.inFlight.values());
  }

  private async claim(): Promise<void> {
    const free = most - this.inFlight.size;
    if (free <= 0) return;
    const claimed = await this.database.transaction(
      async (tx) => await this.stores.deliveries.claimDue(tx, { leaseMs, limit: free, exceptEndpoints: [...this.inFlight.keys()] }),
    );
    for (const delivery of claimed) {
      const work = this.carry(delivery).finally(() => {
        this.inFlight.delete(delivery.endpointId);
        // The endpoint's next delivery need not wait for the next second.
        this.wake();
      });
      this.inFlight.set(delivery.endpointId, work);
    }
  }

  /** Never rejects: trouble with one delivery is recorded with it, others go on. */
  private async carry(delivery: ClaimedDelivery): Promise<void> {
    const done = new AbortController();
    const renewal = this.keep(delivery, done.signal);
    try {
      const attempt = await this.tryOnce(delivery);
      // Recorded before anything else: a crash between the receiver's answer and this line repeats the delivery.
      await this.settle(delivery, attempt);
      await attempt.hangUp();
    } finally {
      done.abort();
      await renewal;
    }
  }

  private async tryOnce(delivery: ClaimedDelivery): Promise<Attempt> {
    try {
      return await this.courier.attempt(delivery, this.abandon.signal);
    } catch (error) {
      this.quiet.warn(`delivery ${delivery.id} could not be prepared`, error);
      const why = error instanceof Error ? error.message : 'unknown error';
      return { settlement: this.courier.failed(delivery, null, why, null), gone: false, hangUp: async () => undefined };
    }
  }

  /** Insists: the receiver has the event by now, and forgetting that would send it twice. Gives up only when the worker closes. */
  private async settle(delivery: ClaimedDelivery, { settlement, gone }: Attempt): Promise<void> {
    for (;;) {
      try {
        if (gone) await this.retire(delivery, settlement);
        else if (!(await this.stores.deliveries.settle(this.database.manager, delivery, settlement)))
          this.quiet.warn(`delivery ${delivery.id} was no longer ours to settle: its endpoint was deleted or its claim ran out`, null);
        return;
      } catch (error) {
        this.quiet.warn('the outcome of a delivery cannot be recorded; trying again', error);
        if (this.abandon.signal.aborted) return;
        await this.clock.sleep(settleRetryMs, this.abandon.signal).catch(() => undefined);
      }
    }
  }

  /** The receiver is gone: its endpoint is disabled and the others are told. */
  private async retire(delivery: ClaimedDelivery, settlement: Settlement): Promise<void> {
    await this.database.transaction(async (tx) => {
      await this.stores.deliveries.settle(tx, delivery, settlement);
      const disabled = await this.endpoints.disable(tx, delivery.endpointId, 'the receiver answered 410 Gone');
      if (!disabled) return;
      await this.stores.outbox.append(tx, {
        type: 'endpoint.disabled',
        subject: `webhook-endpoint/${disabled.id}`,
        data: {
          endpoint: disabled.name,
          reason: disabled.disabledReason,
          sentence: `Webhook endpoint "${disabled.name}" answered 410 Gone and gets nothing more.`,
        },
      });
    });
  }

  private async keep(delivery: ClaimedDelivery, signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.clock.sleep(renewMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      await this.stores.deliveries.renew(this.database.manager, delivery, leaseMs).catch((error: unknown) => {
        this.quiet.warn('a claim could not be renewed', error);
      });
    }
  }
}
