// Hints from Postgres: LISTEN on a connection of its own. A hint may be lost at any time, so callers poll as well and re-read after every reconnect.
import pg from 'pg';
import { atMost, type Clock, type Rng, systemClock, systemRng } from '#libs/base';
import { connectLimitMs, targetOf } from './connection.js';

const heartbeatEveryMs = 2_000;
const heartbeatLimitMs = 1_500;
const shortestRetryMs = 100;
const longestRetryMs = 5_000;
const echoLimitMs = 1_000;
const goodbyeLimitMs = 1_000;
/** For our own test notice. Every listener of the database hears it and looks for its own token. */
const echoChannel = 'serin_echo';

export interface ListenerOptions {
  readonly url: string;
  readonly applicationName: string;
  readonly channels: readonly string[];
  readonly onNotice: (channel: string, payload: string) => void;
  /** After every (re)connection: anything may have been missed. */
  readonly onConnected?: () => void;
  /** When our own test notice did not come back, at each try. */
  readonly onDeaf?: () => void;
  /**
   * Sends the test notice on the connection that others send theirs on. Without it the listener tells itself, which proves nothing
   * behind a transaction pooler: the answer to its own statement brings the notice along.
   */
  readonly notify?: (channel: string, payload: string) => Promise<void>;
  readonly clock?: Clock;
  readonly rng?: Rng;
}

/** Never gives up until closed. A closed connection is noticed at once, a black-holed one by a heartbeat within 3.5 s. */
export class Listener {
  private client: pg.Client | null = null;
  private closed = false;
  private notHearing = false;
  private readonly closing = new AbortController();
  private readonly clock: Clock;
  private readonly rng: Rng;
  private loop: Promise<void> = Promise.resolve();

  constructor(private readonly options: ListenerOptions) {
    this.clock = options.clock ?? systemClock;
    this.rng = options.rng ?? systemRng;
    for (const channel of options.channels) {
      if (!/^[a-z_]+$/.test(channel)) throw new Error(`not a channel name: ${channel}`);
    }
  }

  get connected(): boolean {
    return this.client !== null;
  }

  /** True when Postgres answers but our own test notice did not come back, as behind a transaction pooler: only polling works then. */
  get deaf(): boolean {
    return this.notHearing;
  }

  start(): void {
    this.loop = this.run();
  }

  private async run(): Promise<void> {
    let retryMs = shortestRetryMs;
    while (!this.closed) {
      const client = await this.connect();
      if (client) {
        const since = this.clock.monotonicMs();
        await this.beat(client);
        this.client = null;
        await hangUp(client, this.clock);
        // Only a connection that lasted counts as health: one that is cut at once must not be retried ten times a second.
        if (this.clock.monotonicMs() - since > longestRetryMs) retryMs = shortestRetryMs;
      }
      // Jitter: all gateways lose the server at the same instant and must not come back at the same one.
      if (!this.closed) await this.pause(retryMs * (0.5 + this.rng.uniform() / 2));
      retryMs = Math.min(longestRetryMs, retryMs * 2);
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
    // Without a listener a lost connection would end the process; 'end' and the heartbeat notice the loss.
    client.on('error', () => undefined);
    const token = Buffer.from(this.rng.bytes(8)).toString('hex');
    const echo = new AbortController();
    client.on('notification', ({ channel, payload }) => {
      if (channel !== echoChannel) this.options.onNotice(channel, payload ?? '');
      else if (payload === token) echo.abort();
    });
    try {
      await client.connect();
      for (const channel of [echoChannel, ...this.options.channels]) await client.query(`listen ${channel}`);
      if (this.options.notify) await this.options.notify(echoChannel, token);
      else await client.query('select pg_notify($1, $2)', [echoChannel, token]);
    } catch {
      await hangUp(client, this.clock);
      return null;
    }
    await this.clock.sleep(echoLimitMs, AbortSignal.any([echo.signal, this.closing.signal])).catch(() => undefined);
    this.notHearing = !echo.signal.aborted && !this.closed;
    if (this.notHearing) this.options.onDeaf?.();
    if (this.notHearing || this.closed) {
      await hangUp(client, this.clock);
      return null;
    }
    this.client = client;
    this.options.onConnected?.();
    return client;
  }

  /** Returns when the connection is lost or the listener closed. */
  private async beat(client: pg.Client): Promise<void> {
    const lost = new AbortController();
    client.once('end', () => lost.abort());
    while (!this.closed && !lost.signal.aborted) {
      await this.clock.sleep(heartbeatEveryMs, AbortSignal.any([lost.signal, this.closing.signal])).catch(() => undefined);
      if (this.closed || lost.signal.aborted) return;
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
    await this.loop;
  }
}

/** An orderly goodbye needs an answer, which a black hole never gives: after a second the socket is left to the system. */
async function hangUp(client: pg.Client, clock: Clock): Promise<void> {
  await atMost(clock, goodbyeLimitMs, client.end()).catch(() => undefined);
}
