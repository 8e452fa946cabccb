// One run of the server: spawned apart from our terminal, known to be ready because it answers, stopped in order.
import { type ChildProcess, spawn } from 'node:child_process';
import { open, readFile, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { type Clock, fail, type Outcome, ok } from '#libs/base';
import type { Binaries } from './binaries.js';
import { superuser } from './cluster.js';
import type { Home } from './home.js';
import { isAlive } from './lock.js';
import type { Account } from './run-as.js';

export const databaseName = 'serin';
const readyLimitMs = 120_000;
const probeLimitMs = 2_000;
const fastStopMs = 5_000;
const largestLogBytes = 10_000_000;

/** A running server: our child, or an adopted one that outlived its supervisor. */
export interface RunningServer {
  readonly pid: number;
  readonly gone: Promise<string>;
}

export function socketUrl(home: Home, database = databaseName): string {
  return `postgres://${superuser}@localhost/${database}?host=${encodeURIComponent(home.socketDir)}`;
}

/** Does a server answer on the socket? Resolves false on any refusal within 2 s. */
export async function answers(home: Home): Promise<boolean> {
  const client = new pg.Client({
    host: home.socketDir,
    user: superuser,
    database: 'postgres',
    connectionTimeoutMillis: probeLimitMs,
    query_timeout: probeLimitMs,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** The server that a killed supervisor left behind, when it still answers; a silent one is killed so that the cluster can be opened. */
export async function adoptOrphan(home: Home, clock: Clock): Promise<RunningServer | null> {
  const pid = Number((await readFile(join(home.cluster, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')[0]);
  if (!(pid > 0) || !isAlive(pid)) return null;
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => null);
  // A reused pid must not be touched: it is ours only when it was started on this cluster.
  if (command !== null && !command.includes(home.cluster)) return null;
  const waitUntil = clock.monotonicMs() + probeLimitMs;
  while (clock.monotonicMs() < waitUntil) {
    if (await answers(home)) return { pid, gone: watch(pid, clock) };
    await clock.sleep(100);
  }
  if (command !== null) {
    process.kill(pid, 'SIGQUIT');
    const killAt = clock.monotonicMs() + fastStopMs;
    while (isAlive(pid) && clock.monotonicMs() < killAt) await clock.sleep(50);
    if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  }
  return null;
}

async function watch(pid: number, clock: Clock): Promise<string> {
  while (isAlive(pid)) await clock.sleep(250);
  return 'ended';
}

/** Starts the server and waits until it answers. A failed start tells the server's own last words. */
export async function startServer(
  home: Home,
  binaries: Binaries,
  account: Account | null,
  settings: Readonly<Record<string, string>>,
  clock: Clock,
): Promise<Outcome<RunningServer>> {
  const grown = await stat(home.logFile).catch(() => null);
  if (grown && grown.size > largestLogBytes) await truncate(home.logFile, 0);
  const log = await open(home.logFile, 'a', 0o600);
  const all: Record<string, string> = {
    listen_addresses: '',
    unix_socket_directories: home.socketDir,
    unix_socket_permissions: '0700',
    shared_buffers: '64MB',
    max_connections: '100',
    log_min_messages: 'warning',
    timezone: 'UTC',
    ...settings,
  };
  let child: ChildProcess;
  let gone: Promise<string>;
  try {
    child = spawn(binaries.postgres, ['-D', home.cluster, ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])], {
      cwd: home.cluster,
      // A process group of its own: Ctrl-C in our terminal must reach us first, or clients would see the database vanish.
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C', TZ: 'UTC' },
      ...(account ? { uid: account.uid, gid: account.gid } : {}),
    });
    // Before anything is awaited: a server that fails at once would otherwise be gone unheard, and waited for until the limit.
    gone = new Promise<string>((done) => {
      child.once('error', (error) => done(error.message));
      child.once('exit', (code, signal) => done(signal ?? `exit code ${code}`));
    });
  } finally {
    await log.close();
  }
  const { pid } = child;
  let ended: string | null = null;
  void gone.then((how) => {
    ended = how;
  });
  const giveUpAt = clock.monotonicMs() + readyLimitMs;
  while (ended === null && pid !== undefined && clock.monotonicMs() < giveUpAt) {
    if (await answers(home)) {
      await ensureDatabase(home);
      return ok({ pid, gone });
    }
    await clock.sleep(20);
  }
  if (pid !== undefined && ended === null) process.kill(pid, 'SIGKILL');
  const lastWords = (await readFile(home.logFile, 'utf8').catch(() => '')).trim().split('\n').slice(-4).join(' | ');
  return fail({
    code: 'postgres.start-failed',
    message: `The embedded Postgres did not start (${ended ?? `no answer within ${readyLimitMs / 1000} s`}): ${lastWords}`,
    remedy: `See ${home.logFile}; choose another SERIN_DATA_DIR, or set DATABASE_URL to a Postgres of your own.`,
  });
}

async function ensureDatabase(home: Home): Promise<void> {
  const client = new pg.Client({
    host: home.socketDir,
    user: superuser,
    database: 'postgres',
    connectionTimeoutMillis: 10_000,
    query_timeout: 60_000,
  });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [databaseName]);
    if (rowCount === 0) await client.query(`create database ${databaseName}`);
  } finally {
    await client.end();
  }
}

/** Fast shutdown (SIGINT: clients are cut, data is checkpointed); immediate (SIGQUIT) after 5 s; recovery makes both safe. */
export async function stopServer(server: RunningServer, clock: Clock): Promise<void> {
  if (!isAlive(server.pid)) return;
  process.kill(server.pid, 'SIGINT');
  const patience = new AbortController();
  const late = clock.sleep(fastStopMs, patience.signal).then(
    () => isAlive(server.pid) && process.kill(server.pid, 'SIGQUIT'),
    () => false,
  );
  await server.gone;
  patience.abort();
  await late;
}
