// Hints from Postgres: LISTEN on a connection of its own. A hint may be lost at any time, so callers poll as well and re-read after every reconnect.
import pg from 'pg';
import { type Clock, systemClock } from '#libs/base';
import { connectLimitMs, targetOf } from './connection.js';

const heartbeatEveryMs = 2_000;
const heartbeatLimitMs = 1_500;
const shortestRetryMs = 100;
const longestRetryMs = 5_000;

export interface ListenerOptions {
  readonly url: string;
  readonly applicationName: string;
  readonly channels: readonly string[];
  readonly onNotice: (channel: string, payload: string) => void;
  /** After every (re)connection: anything may have been missed. */
  readonly onConnected?: () => void;
  readonly clock?: Clock;
}

/** Never gives up until closed. A black-holed connection is noticed by a heartbeat within 3.5 s. */
export class Listener {
  private client: pg.Client | null = null;
  private closed = false;
  private readonly closing = new AbortController();
  private readonly clock: Clock;
  private loop: Promise<void> = Promise.resolve();

  constructor(private readonly options: ListenerOptions) {
    this.clock = options.clock ?? systemClock;
    for (const channel of options.channels) {
      if (!/^[a-z_]+$/.test(channel)) throw new Error(`not a channel name: ${channel}`);
    }
  }

  get connected(): boolean {
    return this.client !== null;
  }

  start(): void {
    this.loop = this.run();
  }

  private async run(): Promise<void> {
    let retryMs = shortestRetryMs;
    while (!this.closed) {
      const client = await this.connect();
      if (client) {
        retryMs = shortestRetryMs;
        await this.beat(client);
        this.client = null;
        await client.end().catch(() => undefined);
      } else {
        retryMs = Math.min(longestRetryMs, retryMs * 2);
      }
      if (!this.closed) await this.pause(retryMs);
    }
  }

  private async connect(): Promise<pg.Client | null> {
    const target = targetOf(this.options.url);
    const client = new pg.Client({
      host: target.host,
      port: target.port,
      user: target.user,
      ...(target.password === undefined ? {} : { password: target.password }),
      database: target.database,
      ssl: target.ssl,
      application_name: this.options.applicationName,
      connectionTimeoutMillis: connectLimitMs,
      query_timeout: heartbeatLimitMs,
      keepAlive: true,
    });
    // Without a listener a lost connection would end the process; the heartbeat notices the loss.
    client.on('error', () => undefined);
    client.on('notification', ({ channel, payload }) => this.options.onNotice(channel, payload ?? ''));
    try {
      await client.connect();
      for (const channel of this.options.channels) await client.query(`listen ${channel}`);
    } catch {
      await client.end().catch(() => undefined);
      return null;
    }
    if (this.closed) {
      await client.end().catch(() => undefined);
      return null;
    }
    this.client = client;
    this.options.onConnected?.();
    return client;
  }

  /** Returns when the connection is lost or the listener closed. */
  private async beat(client: pg.Client): Promise<void> {
    let lost = false;
    client.once('end', () => {
      lost = true;
    });
    while (!this.closed && !lost) {
      await this.pause(heartbeatEveryMs);
      if (this.closed || lost) return;
      try {
        await client.query('select 1');
      } catch {
        return;
      }
    }
  }

  private async pause(ms: number): Promise<void> {
    await this.clock.sleep(ms, this.closing.signal).catch(() => undefined);
  }

  async close(): Promise<void> {
    this.closed = true;
    this.closing.abort();
    await this.client?.end().catch(() => undefined);
    await this.loop;
  }
}
