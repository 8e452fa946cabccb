// Keeps the snapshot fresh: LISTEN as a hint, a poll each second as the truth, the disk when there is no database. Never forgets what it knew.
import { atMost, type Clock, Pulse } from '#libs/base';
import type { RoutingTable } from '#libs/rollout';
import {
  ApiKeyStore,
  type Database,
  GatewayStore,
  keysChannel,
  Listener,
  type ListenerOptions,
  RoutingStore,
  routingChannel,
} from '#libs/storage';
import { type Log, QuietLog } from '#libs/telemetry';
import type { DatabaseLink } from '../database-link.js';
import { SnapshotKeeper } from './keeper.js';
import { keysOf } from './keys-of.js';
import { type KnownKey, loadSnapshot, type Snapshot, saveSnapshot, supersedes } from './snapshot.js';
import { checkTable } from './table-check.js';

const usualPollMs = 1_000;
const keysEveryMs = 5_000;
/** Of a whole look. With the poll before it, a rollback is here within 2.5 s although every hint was lost. */
const readLimitMs = 1_500;

/** What the feed reads and writes, as ports: Postgres, LISTEN and the disk in a running gateway, models of them in a simulation. */
export interface FeedPorts {
  readonly routing: Pick<RoutingStore, 'read'>;
  readonly apiKeys: Pick<ApiKeyStore, 'listActive'>;
  readonly gateways: Pick<GatewayStore, 'othersLive'>;
  readonly listener: (options: ListenerOptions) => Pick<Listener, 'start' | 'close' | 'connected'>;
  readonly disk: { readonly load: typeof loadSnapshot; readonly save: typeof saveSnapshot };
}

/** The real ones. */
function feedPorts(): FeedPorts {
  return {
    routing: new RoutingStore(),
    apiKeys: new ApiKeyStore(),
    gateways: new GatewayStore(),
    listener: (options) => new Listener(options),
    disk: { load: loadSnapshot, save: saveSnapshot },
  };
}

export interface FeedOptions {
  /** For LISTEN: must lead past any transaction pooler. */
  readonly listenUrl: string;
  readonly gatewayId: string;
  readonly file: string;
  readonly link: Pick<DatabaseLink, 'use' | 'abandon'>;
  readonly clock: Clock;
  readonly log: Log;
  /** Pause between two looks, default 1 s. */
  readonly pollEveryMs?: number;
  /** Called after each swap, with the new table. */
  readonly onTable: (table: RoutingTable) => void;
  /** Called when keys, limits or the number of gateways changed. */
  readonly onKnowledge: (snapshot: Snapshot) => void;
}

/** A table that was read and not taken. */
export interface RefusedTable {
  readonly generation: number;
  readonly reason: string;
}

interface Look {
  readonly keys: Readonly<Record<string, KnownKey>> | null;
  readonly table: RoutingTable | null;
  readonly gateways: number;
  /** Hints about keys that were heard before the keys were read. */
  readonly keyHints: number;
}

export class RoutingFeed {
  private readonly listener: ReturnType<FeedPorts['listener']>;
  private readonly pulse: Pulse;
  private readonly quiet: QuietLog;
  private readonly keeper: SnapshotKeeper;
  private table: RoutingTable | null = null;
  private refusedTable: RoutingTable | null = null;
  private refusal: string | null = null;
  private keys: Readonly<Record<string, KnownKey>> | null = null;
  private gateways = 1;
  private keysAtMs = Number.NEGATIVE_INFINITY;
  private keyHints = 1;
  private keyHintsRead = 0;
  private heardAtMs = Number.NEGATIVE_INFINITY;
  /** Joined here, so that a request pays one property read. */
  current: Snapshot | null = null;

  constructor(
    private readonly options: FeedOptions,
    private readonly ports: FeedPorts = feedPorts(),
  ) {
    const { clock, log, link, file, pollEveryMs = usualPollMs } = options;
    this.quiet = new QuietLog(log, clock);
    this.keeper = new SnapshotKeeper(file, this.quiet, ports.disk.save);
    this.pulse = new Pulse({
      clock,
      everyMs: pollEveryMs,
      afterFailureMs: usualPollMs,
      beat: async () => await this.refresh(),
      onError: (error) => this.complain(error),
    });
    this.listener = ports.listener({
      url: options.listenUrl,
      applicationName: 'serin-gateway-listen',
      channels: [routingChannel, keysChannel],
      onNotice: (channel) => {
        if (channel === keysChannel) this.keyHints += 1;
        this.pulse.wake();
      },
      onConnected: () => {
        this.keyHints += 1;
        this.pulse.wake();
      },
      onDeaf: () =>
        this.quiet.warn(
          'LISTEN does not work on this connection, as behind a transaction pooler: polling each second. Set DIRECT_DATABASE_URL to an address that leads to Postgres itself',
          null,
        ),
      notify: async (channel, payload) => {
        await (await link.use()).manager.query('select pg_notify($1, $2)', [channel, payload]);
      },
      clock,
    });
  }

  /** Milliseconds since the table was last compared with Postgres; infinite before the first time. */
  get ageMs(): number {
    return this.options.clock.monotonicMs() - this.heardAtMs;
  }

  /** True while hints come through; otherwise only the poll works. */
  get hearing(): boolean {
    return this.listener.connected;
  }

  /** The newest table when it was not taken; the one before stays in use. */
  get refused(): RefusedTable | null {
    return this.refusedTable && { generation: this.refusedTable.generation, reason: this.refusal ?? '' };
  }

  /**
   * Remembers what the disk holds, reads Postgres once and goes on in the background. The disk comes first although Postgres is believed: a
   * replica that lags must not take a restarted gateway back behind a rollback that it served by.
   */
  async start(): Promise<void> {
    const kept = await this.fromDisk();
    await this.refresh().catch((error: unknown) => this.complain(error));
    if (kept && !this.current) {
      this.options.log.warn({ generation: kept.generation }, 'Postgres is away: serving by the snapshot on disk');
      this.join(false);
    }
    if (kept && this.table === kept) this.options.onTable(kept);
    this.listener.start();
    this.pulse.start();
  }

  private async fromDisk(): Promise<RoutingTable | null> {
    const loaded = await this.ports.disk.load(this.options.file);
    if (!loaded.ok) {
      // A first start has none, and that is no news.
      if (loaded.fault.code !== 'snapshot.missing') this.options.log.warn({ code: loaded.fault.code }, loaded.fault.message);
      return null;
    }
    const { table, keys, gateways } = loaded.value;
    this.table = table;
    this.keys = keys;
    this.gateways = gateways;
    return table;
  }

  private complain(error: unknown): void {
    if (this.current?.heard) this.join(false);
    if (!this.pulse.signal.aborted) this.quiet.warn('Postgres does not answer; serving by the last routing table', error);
  }

  private async refresh(): Promise<void> {
    const look = await this.lookInTime();
    const { clock } = this.options;
    this.heardAtMs = clock.monotonicMs();
    const grown = look.gateways !== this.gateways;
    this.gateways = look.gateways;
    if (look.keys) {
      this.keys = look.keys;
      this.keysAtMs = this.heardAtMs;
      this.keyHintsRead = look.keyHints;
    }
    const swapped = look.table !== null && this.take(look.table);
    if (look.keys || swapped || grown || !this.current?.heard) {
      this.join(true);
      if (swapped && this.table) this.options.onTable(this.table);
      if (this.current) this.keeper.keep(this.current);
    }
  }

  /** Rejects after its limit, whatever the network does, and lets go of the connection that did not answer. */
  private async lookInTime(): Promise<Look> {
    const { clock, link } = this.options;
    let asked: Database | null = null;
    const looking = link.use().then(async (database) => {
      asked = database;
      return await this.look(database);
    });
    const seen = await atMost(clock, readLimitMs, looking);
    if (seen !== 'late') return seen;
    // Whatever it still says comes too late to be applied: a later look may have passed it.
    if (asked) link.abandon(asked);
    throw new Error(`Postgres did not answer within ${readLimitMs} ms`);
  }

  private async look({ manager }: Database): Promise<Look> {
    const keyHints = this.keyHints;
    const due = this.options.clock.monotonicMs() - this.keysAtMs >= keysEveryMs;
    const keys = due || !this.hearing || keyHints !== this.keyHintsRead ? keysOf(await this.ports.apiKeys.listActive(manager)) : null;
    const table = await this.ports.routing.read(manager, this.refusedTable ?? this.table ?? undefined);
    const gateways = 1 + (await this.ports.gateways.othersLive(manager, this.options.gatewayId));
    return { keys, table, gateways, keyHints };
  }

  /** True when the table is in use now. Otherwise it says why not, once per table. */
  private take(incoming: RoutingTable): boolean {
    const { log } = this.options;
    if (incoming.incarnation === this.table?.incarnation && incoming.generation === this.table.generation) {
      this.refusedTable = null;
      return false;
    }
    const checked = checkTable(incoming);
    const reason = !checked.ok
      ? checked.fault.message
      : supersedes(incoming, this.table)
        ? null
        : `Generation ${incoming.generation} is older than ${this.table?.generation} of the same incarnation.`;
    if (reason !== null) {
      const news = this.refusal !== reason || this.refusedTable?.generation !== incoming.generation;
      this.refusedTable = incoming;
      this.refusal = reason;
      if (news)
        log.error({ generation: incoming.generation, inUse: this.table?.generation ?? null, reason }, 'a routing table was refused');
      return false;
    }
    if (this.table && this.table.incarnation !== incoming.incarnation) {
      log.warn({ from: this.table.generation, to: incoming.generation }, 'the database is another incarnation; taking its table');
    }
    this.table = incoming;
    this.refusedTable = null;
    this.refusal = null;
    return true;
  }

  private join(heard: boolean): void {
    const { table, keys, gateways } = this;
    this.current = table && keys ? Object.freeze({ table, keys, gateways, heard }) : null;
    if (this.current) this.options.onKnowledge(this.current);
  }

  async close(): Promise<void> {
    await this.listener.close();
    await this.pulse.stop();
    await this.keeper.close();
  }
}
