// The heartbeat of the control plane: claims due rollouts each second (sooner when woken) and looks at them, a few at a time.
import { Inject, Injectable } from '@nestjs/common';
import { type Clock, type Ids, Pulse } from '#libs/base';
import { Database, type RolloutLease } from '#libs/storage';
import { type Log, QuietLog } from '#libs/telemetry';
import { CLOCK, IDS, LOG } from './core.js';
import { Reconciler } from './reconciler.js';
import { type ControlDatabase, type ControlStores, type Port, STORES } from './stores.js';

const tickMs = 1_000;
const leaseMs = 5_000;
const renewMs = 2_000;
const most = 8;
const drainLimitMs = 4_000;

@Injectable()
export class Ticker {
  private readonly owner: string;
  private readonly quiet: QuietLog;
  private readonly inFlight = new Map<string, Promise<void>>();
  private readonly pulse: Pulse;
  private claimedAtMs: number | null = null;

  constructor(
    @Inject(Database) private readonly database: ControlDatabase,
    @Inject(STORES) private readonly stores: ControlStores,
    @Inject(Reconciler) private readonly reconciler: Port<Reconciler>,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(IDS) ids: Ids,
    @Inject(LOG) log: Log,
  ) {
    this.owner = ids.uuid();
    this.quiet = new QuietLog(log, clock);
    this.pulse = new Pulse({
      clock,
      everyMs: tickMs,
      beat: async () => await this.claim(),
      onError: (error) => this.quiet.warn('rollouts cannot be claimed; trying again', error),
    });
  }

  start(): void {
    this.pulse.start();
  }

  /** Looks now instead of at the next second. Cheap to call often. */
  wake(): void {
    this.pulse.wake();
  }

  /** Milliseconds since the database last answered a claim; null before the first. */
  get silentMs(): number | null {
    return this.claimedAtMs === null ? null : this.clock.monotonicMs() - this.claimedAtMs;
  }

  /** Takes no new leases, lets looks in flight finish (4 s at most) and gives their leases back. */
  async close(): Promise<void> {
    await this.pulse.stop();
    const patience = new AbortController();
    await Promise.race([
      Promise.allSettled(this.inFlight.values()),
      this.clock.sleep(drainLimitMs, patience.signal).catch(() => undefined),
    ]);
    patience.abort();
  }

  private async claim(): Promise<void> {
    const free = most - this.inFlight.size;
    if (free <= 0) return;
    const leases = await this.stores.rollouts.claimDue(this.database.manager, {
      owner: this.owner,
      leaseMs,
      limit: free,
      except: [...this.inFlight.keys()],
    });
    this.claimedAtMs = this.clock.monotonicMs();
    for (const lease of leases) {
      const work = this.attend(lease).finally(() => this.inFlight.delete(lease.id));
      this.inFlight.set(lease.id, work);
    }
  }

  /** Never rejects: trouble with one rollout is said and left for the next tick, others go on. */
  private async attend(lease: RolloutLease): Promise<void> {
    const done = new AbortController();
    const renewal = this.keep(lease, done.signal);
    try {
      const result = await this.reconciler.look(lease);
      // A moved or lost rollout is worth another look at once: the next phase may have nothing to wait for.
      if (result === 'lost') this.wake();
    } catch (error) {
      this.quiet.warn(`rollout ${lease.id} could not be looked at; trying again`, error);
    } finally {
      done.abort();
      await renewal;
      await this.stores.rollouts.release(this.database.manager, lease).catch((error: unknown) => {
        this.quiet.warn('a lease could not be given back; it runs out by itself', error);
      });
    }
  }

  private async keep(lease: RolloutLease, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.clock.sleep(renewMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      const kept = await this.stores.rollouts.renew(this.database.manager, lease, leaseMs).catch((error: unknown) => {
        this.quiet.warn('a lease could not be renewed', error);
        return true;
      });
      if (!kept) return;
    }
  }
}
