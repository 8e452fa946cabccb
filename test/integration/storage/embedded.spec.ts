// The embedded Postgres as its users meet it: starts, restarts, crashes, leftovers and refusals. Real server, real signals, fsync on where rows must survive.
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, realpath, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type EmbeddedPostgres, type EmbeddedPostgresOptions, Listener, openDatabase, startEmbeddedPostgres } from '#libs/storage';
import { createLog } from '#libs/telemetry';

const log = createLog('test-postgres', 'silent');
const root = join(import.meta.dirname, '../../..');
let dataDir: string;
const running: EmbeddedPostgres[] = [];

beforeEach(async () => {
  dataDir = await mkdtemp(join(await realpath(tmpdir()), 'serin-embedded-'));
  // Started as root the server runs as somebody else, who must be able to enter.
  await chmod(dataDir, 0o755);
});
afterEach(async () => {
  await Promise.all(running.splice(0).map(async (postgres) => await postgres.stop()));
  await rm(dataDir, { recursive: true, force: true });
});

async function start(options: Partial<EmbeddedPostgresOptions> = {}): Promise<EmbeddedPostgres> {
  const started = await startEmbeddedPostgres({ dataDir, log, fsync: false, ...options });
  if (!started.ok) throw new Error(`${started.fault.code}: ${started.fault.message}`);
  running.push(started.value);
  return started.value;
}

async function query<Row>(url: string, sql: string): Promise<Row[]> {
  const database = await openDatabase({ url, applicationName: 'test', poolSize: 1 });
  try {
    return await database.manager.query(sql);
  } finally {
    await database.close();
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt += 1) {
    if (await holds()) return;
    await delay(50);
  }
  throw new Error(`waited in vain until ${what}`);
}

describe('an orderly life', () => {
  it('keeps rows over stop and start, and leaves no process and no socket behind', async () => {
    const first = await start({ fsync: true });
    await query(first.url, 'create table kept as select 42 as answer');
    const socketDir = new URL(first.url).searchParams.get('host') ?? '';
    expect(await readdir(socketDir)).not.toEqual([]);
    await Promise.all([first.stop(), first.stop()]);
    expect(isAlive(first.pid)).toBe(false);
    await expect(stat(socketDir)).rejects.toThrow(/ENOENT/);
    const second = await start({ fsync: true });
    expect(second.url).toBe(first.url);
    expect(await query(second.url, 'select answer from kept')).toEqual([{ answer: 42 }]);
  });

  it('stops although a client stays connected', async () => {
    const postgres = await start();
    const database = await openDatabase({ url: postgres.url, applicationName: 'clinging', poolSize: 1 });
    await postgres.stop();
    expect(isAlive(postgres.pid)).toBe(false);
    await database.close();
  });

  it('listens on no network address, and speaks UTF-8 and UTC', async () => {
    const postgres = await start();
    const [row] = await query(
      postgres.url,
      `select current_setting('listen_addresses') as addresses, current_setting('server_encoding') as encoding, current_setting('timezone') as zone`,
    );
    expect(row).toEqual({ addresses: '', encoding: 'UTF8', zone: 'UTC' });
  });

  it('never runs as root', async () => {
    const postgres = await start();
    const user = execFileSync('ps', ['-o', 'uid=', '-p', String(postgres.pid)], { encoding: 'utf8' });
    expect(Number(user)).toBeGreaterThan(0);
  });

  it('works where only its supervisor may enter the data directory', async () => {
    await chmod(dataDir, 0o700);
    const postgres = await start();
    try {
      expect(await query(postgres.url, 'select 1 as one')).toEqual([{ one: 1 }]);
    } finally {
      await postgres.stop();
      // Started as root the cluster went where the server's account can go; the test takes it away again.
      const tag = createHash('sha256').update(dataDir).digest('hex').slice(0, 12);
      await rm(join('/var/lib/serin', tag), { recursive: true, force: true });
    }
  });
});

describe('a killed server', () => {
  it('comes back with every acknowledged row; the pool and the listener find it again by themselves', async () => {
    const postgres = await start({ fsync: true, supervise: true });
    const database = await openDatabase({ url: postgres.url, applicationName: 'writer', poolSize: 4 });
    let connections = 0;
    const heard: string[] = [];
    const listener = new Listener({
      url: postgres.url,
      applicationName: 'listener',
      channels: ['serin_routing'],
      onConnected: () => {
        connections += 1;
      },
      onNotice: (_channel, payload) => heard.push(payload),
    });
    listener.start();
    try {
      await database.manager.query('create table written (n integer primary key)');
      await until('the listener is there', () => connections === 1);
      const acknowledged: number[] = [];
      let writing = true;
      const writer = (async () => {
        for (let n = 0; writing; n += 1) {
          try {
            await database.manager.query('insert into written values ($1)', [n]);
            acknowledged.push(n);
          } catch {
            await delay(20);
          }
        }
      })();
      await until('some rows are written', () => acknowledged.length >= 50);
      const killed = postgres.pid;
      process.kill(killed, 'SIGKILL');
      const before = acknowledged.length;
      await until('writes resume', () => postgres.pid !== killed && acknowledged.length > before + 50);
      writing = false;
      await writer;
      const rows: { n: number }[] = await database.manager.query('select n from written order by n');
      const stored = new Set(rows.map((row) => row.n));
      expect(acknowledged.filter((n) => !stored.has(n))).toEqual([]);
      await until('the listener is back', () => connections === 2);
      await database.manager.query(`select pg_notify('serin_routing', '7')`);
      await until('the notice is heard', () => heard.length > 0);
      expect(heard).toEqual(['7']);
    } finally {
      await listener.close();
      await database.close();
    }
  });
});

describe('a killed supervisor', () => {
  it('leaves a server that the next one adopts, rows and all, and can stop', async () => {
    const script = `
      const { startEmbeddedPostgres } = await import('#libs/storage');
      const { createLog } = await import('#libs/telemetry');
      const started = await startEmbeddedPostgres({ dataDir: ${JSON.stringify(dataDir)}, log: createLog('child', 'silent') });
      console.log(JSON.stringify({ url: started.value.url, pid: started.value.pid }));
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = new Promise((done) => parent.once('exit', done));
    const line = await new Promise<string>((done, failed) => {
      parent.stdout.once('data', (chunk: Buffer) => done(chunk.toString()));
      parent.once('exit', () => failed(new Error('the supervising process ended by itself')));
    });
    const { url, pid } = JSON.parse(line) as { url: string; pid: number };
    await query(url, 'create table kept as select 42 as answer');
    parent.kill('SIGKILL');
    await ended;
    expect(isAlive(pid)).toBe(true);
    const heir = await start();
    expect(heir).toMatchObject({ adopted: true, pid, url });
    expect(await query(heir.url, 'select answer from kept')).toEqual([{ answer: 42 }]);
    await heir.stop();
    expect(isAlive(pid)).toBe(false);
  });

  it('does not keep its lock: a dead owner is passed over, even if its pid lives on in another process', async () => {
    await writeFile(join(dataDir, 'supervisor.lock'), '1 0\n');
    await start();
    expect(await readFile(join(dataDir, 'supervisor.lock'), 'utf8')).toMatch(new RegExp(`^${process.pid} `));
  });
});

describe('refusals', () => {
  it('a second supervisor on the same directory is told who has it, and the first is not disturbed', async () => {
    const first = await start();
    expect(await startEmbeddedPostgres({ dataDir, log })).toMatchObject({
      ok: false,
      fault: { code: 'postgres.in-use', field: 'SERIN_DATA_DIR', message: expect.stringContaining(`process ${process.pid}`) },
    });
    expect(await query(first.url, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  it('of several that start at once exactly one wins', async () => {
    await writeFile(join(dataDir, 'supervisor.lock'), '1 0\n');
    const outcomes = await Promise.all([1, 2, 3].map(async () => await startEmbeddedPostgres({ dataDir, log, fsync: false })));
    const won = outcomes.filter((outcome) => outcome.ok);
    running.push(...won.map((outcome) => outcome.value));
    expect(won).toHaveLength(1);
  });

  it('a cluster of another major version is left alone, with the ways out', async () => {
    await (await start()).stop();
    await writeFile(join(dataDir, 'cluster', 'PG_VERSION'), '19\n');
    const refused = await startEmbeddedPostgres({ dataDir, log });
    expect(refused).toMatchObject({
      ok: false,
      fault: {
        code: 'postgres.other-major',
        message: expect.stringMatching(/Postgres 19.*Postgres 18/),
        remedy: expect.stringMatching(/DATABASE_URL/),
      },
    });
    expect(await readdir(join(dataDir, 'cluster', 'base'))).not.toEqual([]);
    // The refusal gave the lock back.
    await writeFile(join(dataDir, 'cluster', 'PG_VERSION'), '18\n');
    await start();
  });

  it('a damaged cluster is never wiped', async () => {
    await mkdir(join(dataDir, 'cluster', 'base'), { recursive: true });
    await writeFile(join(dataDir, 'cluster', 'base', 'precious'), 'rows');
    expect(await startEmbeddedPostgres({ dataDir, log })).toMatchObject({ ok: false, fault: { code: 'postgres.not-a-cluster' } });
    expect(await readFile(join(dataDir, 'cluster', 'base', 'precious'), 'utf8')).toBe('rows');
  });

  it('what a killed initdb left is made anew', async () => {
    await mkdir(join(dataDir, 'cluster.draft'));
    await writeFile(join(dataDir, 'cluster.draft', 'PG_VERSION'), '18\n');
    const postgres = await start();
    expect(await query(postgres.url, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  it('a link that waits in the place of the socket folder is not followed', async () => {
    const postgres = await start();
    await postgres.stop();
    const socketDir = new URL(postgres.url).searchParams.get('host') ?? '';
    const victim = join(dataDir, 'victim');
    await mkdir(victim, { mode: 0o755 });
    const before = await stat(victim);
    await symlink(victim, socketDir);
    try {
      expect(await startEmbeddedPostgres({ dataDir, log })).toMatchObject({
        ok: false,
        fault: { code: 'postgres.folder', message: expect.stringContaining(basename(socketDir)) },
      });
      const after = await stat(victim);
      expect([after.uid, after.mode]).toEqual([before.uid, before.mode]);
    } finally {
      await rm(socketDir);
    }
  });

  it('a server that cannot start says its last words', async () => {
    const refused = await startEmbeddedPostgres({ dataDir, log, fsync: false, settings: { shared_buffers: 'plenty' } });
    expect(refused).toMatchObject({
      ok: false,
      fault: { code: 'postgres.start-failed', message: expect.stringContaining('shared_buffers') },
    });
  });
});
