// The gateway's loose tie to Postgres: opened when it can be, tried again when it cannot, never waited for by a request.
import { atMost, type Clock } from '#libs/base';
import { type Database, openDatabase } from '#libs/storage';

const retryEveryMs = 1_000;
const connectMs = 2_000;
const deadlineMs = 4_000;
const goodbyeMs = 1_000;

export class DatabaseLink {
  private database: Database | null = null;
  private opening: Promise<Database> | null = null;
  private triedAtMs = Number.NEGATIVE_INFINITY;
  private closed = false;

  constructor(
    private readonly url: string,
    private readonly clock: Clock,
  ) {}

  /** The handle, opened now if need be. Throws while Postgres cannot be reached; at most one attempt a second is made. */
  async use(): Promise<Database> {
    if (this.database) return this.database;
    if (this.closed) throw new Error('the gateway is closing');
    if (!this.opening) {
      const now = this.clock.monotonicMs();
      if (now - this.triedAtMs < retryEveryMs) throw new Error('Postgres was not reachable a moment ago');
      this.triedAtMs = now;
      // A lost idle connection needs nobody: the pool opens another.
      this.opening = openDatabase({
        url: this.url,
        applicationName: 'serin-gateway',
        poolSize: 3,
        connectMs,
        deadlineMs,
        onConnectionError: () => undefined,
      });
    }
    try {
      this.database = await this.opening;
      return this.database;
    } finally {
      this.opening = null;
    }
  }

  /**
   * Lets go of a handle that does not answer. Where packets are dropped a pooled connection looks whole for a quarter of an hour and
   * everybody would queue behind it; new connections are open as soon as the network is.
   */
  abandon(database: Database): void {
    if (this.database !== database) return;
    this.database = null;
    // Its goodbye has no answer either, so nobody waits; the system drops the sockets when it gives up sending.
    database.close().catch(() => undefined);
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.opening?.catch(() => undefined);
    const { database } = this;
    this.database = null;
    if (database) await atMost(this.clock, goodbyeMs, database.close()).catch(() => undefined);
  }
}
