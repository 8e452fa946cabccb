// Keeps the snapshot fresh: LISTEN as a hint, a poll each second as the truth, the disk when there is no database. Never forgets what it knew.
import { type Clock, Pulse } from '#libs/base';
import type { RoutingTable } from '#libs/rollout';
import { ApiKeyStore, Listener, RoutingStore } from '#libs/storage';
import { type Log, QuietLog } from '#libs/telemetry';
import type { DatabaseLink } from '../database-link.js';
import { type KnownKey, loadSnapshot, type Snapshot, saveSnapshot, supersedes } from './snapshot.js';

const pollEveryMs = 1_000;
const keysEveryMs = 5_000;

export interface FeedOptions {
  readonly databaseUrl: string;
  readonly file: string;
  readonly link: DatabaseLink;
  readonly clock: Clock;
  readonly log: Log;
  /** Called after each swap, with the new table. */
  readonly onTable: (table: RoutingTable) => void;
}

export class RoutingFeed {
  private readonly routing = new RoutingStore();
  private readonly apiKeys = new ApiKeyStore();
  private readonly listener: Listener;
  private readonly pulse: Pulse;
  private table: RoutingTable | null = null;
  private keys: Readonly<Record<string, KnownKey>> | null = null;
  private keysAtMs = Number.NEGATIVE_INFINITY;
  private heardAtMs = Number.NEGATIVE_INFINITY;
  private readonly quiet: QuietLog;
  private kept = '';
  /** Joined here, so that a request pays one property read. */
  current: Snapshot | null = null;

  constructor(private readonly options: FeedOptions) {
    this.quiet = new QuietLog(options.log, options.clock);
    this.pulse = new Pulse({
      clock: options.clock,
      everyMs: pollEveryMs,
      beat: async () => await this.refresh(),
      onError: (error) => this.complain(error),
    });
    this.listener = new Listener({
      url: options.databaseUrl,
      applicationName: 'serin-gateway-listen',
      channels: ['serin_routing', 'serin_keys'],
      onNotice: (channel) => {
        if (channel === 'serin_keys') this.keysAtMs = Number.NEGATIVE_INFINITY;
        this.pulse.wake();
      },
      onConnected: () => {
        this.keysAtMs = Number.NEGATIVE_INFINITY;
        this.pulse.wake();
      },
      clock: options.clock,
    });
  }

  /** Milliseconds since the table was last compared with Postgres; infinite before the first time. */
  get ageMs(): number {
    return this.options.clock.monotonicMs() - this.heardAtMs;
  }

  /** True when hints do not come through (a transaction pooler): only the poll works. */
  get deaf(): boolean {
    return this.listener.deaf;
  }

  /** Reads Postgres once; when that fails, the disk. Then goes on in the background. */
  async start(): Promise<void> {
    await this.refresh().catch((error: unknown) => this.complain(error));
    if (!this.current) await this.fromDisk();
    this.listener.start();
    this.pulse.start();
  }

  private async fromDisk(): Promise<void> {
    const loaded = await loadSnapshot(this.options.file);
    if (!loaded.ok) {
      this.options.log.warn({ code: loaded.fault.code }, loaded.fault.message);
      return;
    }
    this.options.log.warn({ generation: loaded.value.table.generation }, 'Postgres is away: serving by the snapshot on disk');
    this.table = loaded.value.table;
    this.keys = loaded.value.keys;
    this.join();
    this.options.onTable(this.table);
  }

  private complain(error: unknown): void {
    if (!this.pulse.signal.aborted) this.quiet.warn('Postgres does not answer; serving by the last routing table', error);
  }

  private async refresh(): Promise<void> {
    const { clock, link } = this.options;
    const { manager } = await link.use();
    const now = clock.monotonicMs();
    const keysChanged = now - this.keysAtMs >= keysEveryMs;
    if (keysChanged) {
      this.keys = keysOf(await this.apiKeys.listActive(manager));
      this.keysAtMs = now;
    }
    const read = await this.routing.read(manager, this.table ?? undefined);
    this.heardAtMs = clock.monotonicMs();
    const swapped = read !== null && supersedes(read, this.table);
    if (swapped) this.swap(read);
    if (keysChanged || swapped) {
      this.join();
      await this.keep();
    }
  }

  private swap(table: RoutingTable): void {
    if (this.table && this.table.incarnation !== table.incarnation) {
      this.options.log.warn({ from: this.table.generation, to: table.generation }, 'the database is another incarnation; taking its table');
    }
    this.table = table;
    this.join();
    this.options.onTable(table);
  }

  private join(): void {
    this.current = this.table && this.keys ? Object.freeze({ table: this.table, keys: this.keys }) : null;
  }

  /** A full disk must not stop serving: the snapshot is only for the next start. */
  private async keep(): Promise<void> {
    if (!this.current) return;
    const text = JSON.stringify(this.current);
    if (text === this.kept) return;
    try {
      await saveSnapshot(this.options.file, this.current);
      this.kept = text;
    } catch (error) {
      this.quiet.warn('the routing snapshot could not be written; a restart without Postgres would have none', error);
    }
  }

  async close(): Promise<void> {
    await this.listener.close();
    await this.pulse.stop();
  }
}

function keysOf(
  rows: readonly { hash: Buffer; name: string; scopes: readonly string[]; expiresAt: number | null }[],
): Record<string, KnownKey> {
  return Object.fromEntries(rows.map(({ hash, name, scopes, expiresAt }) => [hash.toString('hex'), { name, scopes, expiresAt }]));
}
