// The embedded Postgres as a whole: found, prepared, started, kept alive, stopped. With DATABASE_URL set none of this runs.
import { rmdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Clock, fail, type Outcome, ok, systemClock } from '#libs/base';
import type { Log } from '#libs/telemetry';
import { findBinaries } from './binaries.js';
import { ensureCluster } from './cluster.js';
import { type Home, prepareHome } from './home.js';
import { takeLock } from './lock.js';
import { type Account, chooseAccount } from './run-as.js';
import { adoptOrphan, type RunningServer, socketUrl, startServer, stopServer } from './server.js';

export interface EmbeddedPostgresOptions {
  /** Folder of the cluster; made when absent. */
  readonly dataDir: string;
  readonly log: Log;
  readonly clock?: Clock;
  /** Restart the server when it dies while we run. */
  readonly supervise?: boolean;
  /** Off only for throw-away databases of tests. */
  readonly fsync?: boolean;
  /** Server settings laid over ours. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface EmbeddedPostgres {
  readonly url: string;
  /** Of the server that runs now; changes after a restart. */
  readonly pid: number;
  /** True when a server left by a killed supervisor was taken over. */
  readonly adopted: boolean;
  /** Orderly, at most some 5 s; a second call waits for the first. */
  stop(): Promise<void>;
}

const longestBackOffMs = 5_000;
const unsafeButQuick = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '200' };

/** First start about 1 s (initdb), later ones some 50 ms. Expected failures (`postgres.*`) say what to do instead. */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<Outcome<EmbeddedPostgres>> {
  const { log, clock = systemClock, supervise = false, fsync = true } = options;
  const account = chooseAccount();
  if (!account.ok) return account;
  const dataDir = resolve(options.dataDir);
  const prepared = await prepare(dataDir, account.value);
  if (!prepared.ok) return prepared;
  const home = prepared.value;
  const lock = await takeLock(dataDir);
  if (!lock.ok) return lock;
  const failed = async <T>(outcome: Outcome<T> & { readonly ok: false }): Promise<Outcome<EmbeddedPostgres>> => {
    await lock.value();
    return outcome;
  };
  const binaries = await findBinaries(account.value, home.spareBinaries);
  if (!binaries.ok) return await failed(binaries);
  const cluster = await ensureCluster(home.cluster, binaries.value, account.value, { sync: fsync });
  if (!cluster.ok) return await failed(cluster);

  const settings = { ...(fsync ? {} : unsafeButQuick), ...options.settings };
  const start = async (): Promise<Outcome<RunningServer>> => await startServer(home, binaries.value, account.value, settings, clock);
  const orphan = await adoptOrphan(home, clock);
  if (orphan) log.warn({ pid: orphan.pid }, 'took over the Postgres that an earlier run left behind');
  const first: Outcome<RunningServer> = orphan ? ok(orphan) : await start();
  if (!first.ok) return await failed(first);

  let server = first.value;
  let stopping = false;
  const quitting = new AbortController();
  const keepAlive = async (): Promise<void> => {
    for (let backOffMs = 50; !stopping; ) {
      const how = await server.gone;
      if (stopping) return;
      log.error({ pid: server.pid, how }, 'the embedded Postgres died; starting it again');
      for (;;) {
        const again = await start();
        if (stopping) {
          if (again.ok) await stopServer(again.value, clock);
          return;
        }
        if (again.ok) {
          server = again.value;
          log.info({ pid: server.pid }, 'the embedded Postgres is back');
          backOffMs = 50;
          break;
        }
        log.error({ fault: again.fault }, 'the embedded Postgres did not come back');
        await clock.sleep(backOffMs, quitting.signal).catch(() => undefined);
        if (stopping) return;
        backOffMs = Math.min(longestBackOffMs, backOffMs * 2);
      }
    }
  };
  const stopped = Promise.withResolvers<void>();
  const keeping = supervise ? keepAlive() : Promise.resolve();
  return ok({
    url: socketUrl(home),
    get pid() {
      return server.pid;
    },
    adopted: orphan !== null,
    stop: async () => {
      if (stopping) return await stopped.promise;
      stopping = true;
      quitting.abort();
      await stopServer(server, clock);
      await keeping;
      // Only when empty: a server that would not die keeps its socket.
      await rmdir(home.socketDir).catch(() => undefined);
      await lock.value();
      stopped.resolve();
    },
  });
}

async function prepare(dataDir: string, account: Account | null): Promise<Outcome<Home>> {
  try {
    return ok(await prepareHome(dataDir, account));
  } catch (error) {
    return fail({
      code: 'postgres.folder',
      message: `The folders of the embedded Postgres cannot be prepared: ${error instanceof Error ? error.message : String(error)}`,
      field: 'SERIN_DATA_DIR',
      remedy: 'Choose a SERIN_DATA_DIR that this user owns, or set DATABASE_URL to a Postgres of your own.',
    });
  }
}
