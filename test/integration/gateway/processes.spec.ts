// Several gateway processes on one port: all of them answer, none is missed, and nobody else's port is shared.
import { randomUUID } from 'node:crypto';
import { access } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { GatewayStore } from '#libs/storage';
import { aKey, aVersion, publish, until } from '../../support/gateway.js';
import { askOnce, GatewayProcesses, runs, type Told } from '../../support/gateway-processes.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';
import { FakeUpstream } from '../../support/upstream.js';

const upstream = new FakeUpstream('openai');
let test: TestDatabase;
let key: string;
let generation: number;
let fileVersion: string;
let gateway: GatewayProcesses | null = null;

beforeAll(async () => {
  test = await createTestDatabase();
  key = await aKey(test);
  const engine = { kind: 'openai', baseUrl: await upstream.start(), model: 'fake-model' };
  const [v1, file] = [aVersion('v1', { engine }), aVersion('file', { engine: { kind: 'llama', file: 'support.gguf' } }, 'other')];
  fileVersion = file.id;
  const [old, candidate] = [aVersion('v1', { engine }, 'sticky'), aVersion('v2', { engine }, 'sticky')];
  const rollout = { id: randomUUID(), candidate: candidate.id, weight: 0.5, epoch: 1, salt: 'ab', stickyBy: 'user' as const };
  generation = await publish(test, {
    routes: [
      { model: 'support', stable: v1.id, rollout: null },
      { model: 'other', stable: file.id, rollout: null },
      { model: 'sticky', stable: old.id, rollout },
    ],
    versions: [v1, file, old, candidate],
  });
});
afterAll(async () => {
  await upstream.stop();
  await test?.drop();
});
afterEach(async () => {
  upstream.tokenMs = 0;
  const left = (await gateway?.children()) ?? [];
  await gateway?.remove();
  gateway = null;
  for (const pid of left) await until(async () => !(await runs(pid)), `process ${pid} to follow its parent`, 40_000);
});

async function two(): Promise<GatewayProcesses> {
  const started = await GatewayProcesses.start({ DATABASE_URL: test.url, SERIN_GATEWAY_PROCESSES: '2' });
  gateway = started;
  await started.serving(generation, [1, 2]);
  return started;
}

async function chat({ url }: { url: string }, more: object = {}): Promise<Told> {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const body = { model: 'support', messages: [{ role: 'user', content: 'Hi' }], ...more };
  return await askOnce(`${url}/v1/chat/completions`, { headers, body });
}

const begun = async (of: GatewayProcesses, place: number): Promise<number> => (await of.readyz(place))?.requests.begun ?? 0;

describe('two gateway processes', () => {
  it('share a port, each under a name and in a folder of its own, and are two gateways to the control plane', async () => {
    const shared = await two();
    await until(async () => {
      expect((await chat(shared)).status).toBe(200);
      return (await begun(shared, 1)) > 0 && (await begun(shared, 2)) > 0;
    }, 'both to be asked');
    expect([(await shared.readyz(1))?.gateway, (await shared.readyz(2))?.gateway]).toEqual(['shared.1', 'shared.2']);
    await until(async () => {
      const rows = (await new GatewayStore().list(test.database.manager)).filter(({ live }) => live);
      return rows.map(({ id }) => id).join() === 'shared.1,shared.2';
    }, 'both heartbeats');
    await until(async () => (await shared.readyz(1))?.gateways === 2 && (await shared.readyz(2))?.gateways === 2, 'limits to be halved');
    for (const place of ['1', '2']) await access(join(shared.dataDir, 'processes', place, 'gateway', 'snapshot.json'));
  });

  it('count a user whose requests reach both of them once', async () => {
    const shared = await two();
    const users = Array.from({ length: 20 }, (_, at) => `user-${at}`);
    for (let i = 0; i < 6; i += 1) {
      for (const user of users) expect((await chat(shared, { model: 'sticky', user })).status).toBe(200);
    }
    expect(Math.min(await begun(shared, 1), await begun(shared, 2))).toBeGreaterThan(20);
    const all = async (column: string): Promise<number> => {
      const sql = `select coalesce(sum(responses), 0)::int as n from windows where model = 'sticky' and ${column} is not null`;
      return (await test.database.manager.query(sql))[0].n;
    };
    await until(async () => (await all('version_id')) === 120, 'all answers in the windows');
    // Each alone would count nearly all of the twenty: forty in all. News take a moment, so not exactly twenty.
    expect(await all('rollout_id')).toBeGreaterThanOrEqual(20);
    expect(await all('rollout_id')).toBeLessThan(30);
  });

  it('refuse versions from files, and say why', async () => {
    const shared = await two();
    for (const place of [1, 2]) {
      expect((await shared.readyz(place))?.engines[fileVersion]).toMatchObject({
        state: 'failed',
        reason: expect.stringMatching(/several processes.*spec\.engine\.kind.*SERIN_GATEWAY_PROCESSES=1/),
      });
    }
  });

  it('lose no request that comes after one of them was killed, and are two again', async () => {
    const shared = await two();
    const [killed = -1, other] = await shared.children();
    process.kill(killed, 'SIGKILL');
    // Until its last thread has ended its socket takes connections that nobody will serve.
    await until(async () => !(await shared.children()).includes(killed), 'it to be dead');
    for (let i = 0; i < 20; i += 1) expect((await chat(shared)).status).toBe(200);
    await until(async () => {
      const now = await shared.children();
      return now.length === 2 && !now.includes(killed);
    }, 'another to follow');
    expect(await shared.children()).toContain(other);
    await shared.serving(generation, [1, 2]);
    expect(shared.said).toContain('another follows');
    await until(async () => {
      expect((await chat(shared)).status).toBe(200);
      return (await begun(shared, 1)) > 0 && (await begun(shared, 2)) > 0;
    }, 'both to be asked');
  });

  it('are rid of one that hangs: it is replaced', async () => {
    const shared = await two();
    const [hung = -1] = await shared.children();
    process.kill(hung, 'SIGSTOP');
    await until(async () => !(await shared.children()).includes(hung), 'it to be killed', 40_000);
    expect(shared.said).toContain('hangs and is killed');
    await shared.serving(generation, [1, 2]);
  });

  it('finish what they have begun when they are stopped, and end with status 0', async () => {
    const shared = await two();
    upstream.tokenMs = 150;
    const before = upstream.open;
    const answers = Array.from({ length: 8 }, async () => await chat(shared, { stream: true }));
    await until(() => upstream.open - before === 8, 'eight streams to run');
    expect((await begun(shared, 1)) + (await begun(shared, 2))).toBe(8);
    const children = await shared.children();
    shared.signal('SIGTERM');
    for (const answer of await Promise.all(answers)) {
      expect(answer.status).toBe(200);
      expect(answer.text).toContain('data: [DONE]');
    }
    expect(await shared.ended).toBe(0);
    for (const pid of children) expect(await runs(pid)).toBe(false);
    await expect(askOnce(`${shared.url}/livez`)).rejects.toThrow('ECONNREFUSED');
    expect((await new GatewayStore().list(test.database.manager)).filter(({ id }) => id.startsWith('shared'))).toEqual([]);
  });

  it('end by themselves when whoever started them is killed', async () => {
    const shared = await two();
    const children = await shared.children();
    expect(children).toHaveLength(2);
    shared.signal('SIGKILL');
    for (const pid of children) await until(async () => !(await runs(pid)), 'it to end');
  });

  it('do not share the port of another server, nor that of other gateway processes', async () => {
    const shared = await two();
    const server = createServer();
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const { port } = server.address() as { port: number };
    try {
      for (const taken of [port, shared.port]) {
        const refused = await GatewayProcesses.start({
          DATABASE_URL: test.url,
          SERIN_GATEWAY_PROCESSES: '2',
          SERIN_GATEWAY_PORT: String(taken),
        });
        expect(await refused.ended).toBe(1);
        expect(refused.said).toMatch(new RegExp(`gateway: Somebody listens at 127\\.0\\.0\\.1:${taken} already\\. .*SERIN_GATEWAY_PORT`));
        await refused.remove();
      }
    } finally {
      server.close();
    }
  });

  it('of which one cannot start are not started, and the reason is told', async () => {
    gateway = await GatewayProcesses.start({ DATABASE_URL: test.url, SERIN_GATEWAY_PROCESSES: '2' });
    const server = createServer();
    await new Promise<void>((done) => server.listen((gateway?.adminPort ?? 0) + 1, '127.0.0.1', done));
    try {
      expect(await gateway.ended).toBe(1);
      expect(gateway.said).toMatch(/process 2 of 2 did not start: exit code 1/);
      expect(gateway.said).toContain('EADDRINUSE');
    } finally {
      server.close();
    }
  });
});

it('a number of processes that is none is refused by its name', async () => {
  const refused = await GatewayProcesses.start({ DATABASE_URL: test.url, SERIN_GATEWAY_PROCESSES: 'many' });
  expect(await refused.ended).toBe(1);
  expect(refused.said).toContain('SERIN_GATEWAY_PROCESSES: must be a whole number from 1 to 64, or auto');
  await refused.remove();
});
