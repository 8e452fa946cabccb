// Without the database: a gateway serves on by what it knew, says how old that is, and starts again from its disk.
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { GatewayOptions } from '#apps/gateway';
import { type KeyLimits, unlimited } from '#libs/contract';
import { FakeEngine } from '#libs/engine';
import type { ServedVersion } from '#libs/rollout';
import { ApiKeyStore, GatewayStore } from '#libs/storage';
import { type ErrorBody, post, type Reply } from '../../support/client.js';
import { aGateway, aVersion, fakeFactory, publish, readyz, type TestGateway, until, untilServing } from '../../support/gateway.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';
import { PostgresProxy } from '../../support/postgres-proxy.js';
import { ShiftedClock } from '../../support/shifted-clock.js';

const nowhere = 'postgres://serin@127.0.0.1:1/none';
const hourMs = 3_600_000;
const chat = { model: 'support', messages: [{ role: 'user', content: 'Hi' }] };
const [v1, v2] = [aVersion('v1'), aVersion('v2')];
const closers: (() => Promise<void>)[] = [];
let test: TestDatabase;
let proxy: PostgresProxy;
let key: string;

beforeAll(async () => {
  test = await createTestDatabase();
  key = await keyWith();
});
afterAll(async () => {
  await test.drop();
});
beforeEach(async () => {
  proxy = await PostgresProxy.to(test.url);
});
afterEach(async () => {
  proxy.heal();
  for (const close of closers.splice(0).reverse()) await close();
  await proxy.close();
});

async function keyWith(more: { limits?: KeyLimits; expiresAt?: number } = {}): Promise<string> {
  return (await new ApiKeyStore().create(test.database.manager, { name: 'test', scopes: ['inference:invoke'], ...more })).key;
}

async function gatewayOn(databaseUrl: string, options: Partial<GatewayOptions> = {}): Promise<TestGateway> {
  const gateway = await aGateway(databaseUrl, { factory: fakeFactory(), ...options });
  closers.push(gateway.remove);
  return gateway;
}

const ask = async (url: string, as = key, headers: Record<string, string> = {}): Promise<Reply<ErrorBody>> =>
  await post({ url, key: as }, '/v1/chat/completions', chat, headers);
const answerer = (reply: Reply<ErrorBody>): string | null => reply.headers.get('x-serin-version');

/** Publishes a rollout at this weight; its generation. */
async function atWeight(weight: number, versions: readonly [ServedVersion, ServedVersion] = [v1, v2]): Promise<number> {
  const [stable, candidate] = versions;
  const rollout = { id: randomUUID(), candidate: candidate.id, weight, epoch: 1, salt: '0'.repeat(32) };
  return await publish(test, { routes: [{ model: 'support', stable: stable.id, rollout }], versions });
}

/** A gateway behind the proxy that serves the newest table and has it on disk. */
async function serving(weight = 0, options: Partial<GatewayOptions> = {}): Promise<TestGateway> {
  const generation = await atWeight(weight);
  const gateway = await gatewayOn(proxy.url, options);
  await untilServing(gateway.url, generation);
  await untilKept(gateway.dataDir, `"generation":${generation}`);
  return gateway;
}

const snapshotOf = (dataDir: string): string => join(dataDir, 'gateway', 'snapshot.json');

async function untilKept(dataDir: string, text: string): Promise<void> {
  await until(async () => (await readFile(snapshotOf(dataDir), 'utf8').catch(() => '')).includes(text), `${text} in the snapshot`);
}

const untilCutOff = async (url: string): Promise<void> =>
  await until(async () => !(await readyz(url)).checks.database, 'the silence to be noticed', 20_000);

/** Until an unknown key is told 503: from then on the gateway knows that it may miss one. */
const untilUncertain = async (url: string): Promise<void> =>
  await until(async () => (await ask(url, 'sk-serin-unknown')).status === 503, 'the doubt about unknown keys', 20_000);

describe.each([
  ['is silent', () => proxy.silence()],
  ['hears and its answers are lost', () => proxy.silence('answers')],
  [
    'cuts every connection and is silent on the next',
    () => {
      proxy.silence();
      proxy.cut();
    },
  ],
])('while Postgres %s', (_how, fail) => {
  it('a gateway serves on, tells the age of its table, and catches up by itself afterwards', async () => {
    const { url } = await serving(0);
    fail();
    await untilCutOff(url);
    const answers = await Promise.all(Array.from({ length: 20 }, async () => await ask(url)));
    expect(answers.map((answer) => [answer.status, answerer(answer)])).toEqual(answers.map(() => [200, 'v1']));
    const before = await readyz(url);
    expect(before).toMatchObject({ status: 200, checks: { database: false } });
    expect(before.checks.routingTable?.ageS).toBeGreaterThanOrEqual(5);
    await until(
      async () => ((await readyz(url)).checks.routingTable?.ageS ?? 0) > (before.checks.routingTable?.ageS ?? 0),
      'the age of the table to grow',
    );
    const missed = await atWeight(1);
    proxy.heal();
    await untilServing(url, missed);
    expect(answerer(await ask(url))).toBe('v2');
    await until(async () => (await readyz(url)).checks.database, 'the database to be heard again');
    await until(async () => (await readyz(url)).checks.hints === 'listen', 'hints to come through again', 30_000);
  });
});

describe('while Postgres is silent', () => {
  it('an unknown key is told 503, a known one without the scope 403, an expired one 401', async () => {
    const clock = new ShiftedClock();
    const expiring = await keyWith({ expiresAt: Date.now() + hourMs });
    const { key: reader } = await new ApiKeyStore().create(test.database.manager, { name: 'reader', scopes: ['models:read'] });
    const { url } = await serving(0, { clock });
    proxy.silence();
    await untilUncertain(url);
    const unknown = await ask(url, await keyWith());
    expect(unknown).toMatchObject({ status: 503, body: { error: { code: 'not_ready' } } });
    expect(unknown.headers.get('retry-after')).toBe('1');
    expect(await ask(url, reader)).toMatchObject({ status: 403, body: { error: { code: 'missing_scope' } } });
    expect((await ask(url, expiring)).status).toBe(200);
    clock.shiftMs = 2 * hourMs;
    expect(await ask(url, expiring)).toMatchObject({ status: 401, body: { error: { code: 'invalid_api_key' } } });
    expect((await ask(url)).status).toBe(200);
  });

  it('an unknown key is a 401 again as soon as Postgres has said so', async () => {
    const { url } = await serving();
    expect((await ask(url, 'sk-serin-unknown')).status).toBe(401);
    proxy.silence();
    await untilUncertain(url);
    proxy.heal();
    await until(async () => (await ask(url, 'sk-serin-unknown')).status === 401, 'certainty');
  });

  it('a candidate is taken out when it only fails, and its share is never raised', async () => {
    const broken = new FakeEngine({ failWith: () => ({ code: 'engine.upstream-error', message: 'broken', retryable: true }) });
    const { url } = await serving(1, { factory: fakeFactory({ v2: broken }) });
    proxy.silence();
    await atWeight(1);
    for (let i = 0; i < 25; i += 1) expect(answerer(await ask(url))).toBe('v1');
    expect(broken.seen).toHaveLength(20);
  });

  it('and after it, a gateway at 0% stays there until a table says otherwise', async () => {
    const { url } = await serving(0);
    proxy.silence();
    await atWeight(1);
    await untilCutOff(url);
    for (let i = 0; i < 50; i += 1) expect(answerer(await ask(url))).toBe('v1');
  });
});

it('a gateway that is stopped while Postgres is silent does not wait for it', async () => {
  const gateway = await serving(0);
  expect((await ask(gateway.url)).status).toBe(200);
  proxy.silence();
  let closed = false;
  void gateway.close().then(() => {
    closed = true;
  });
  await until(() => closed, 'the end', 10_000);
});

describe('a gateway that starts again', () => {
  it.each([
    ['refuses', () => nowhere],
    [
      'is silent',
      () => {
        proxy.silence();
        return proxy.url;
      },
    ],
  ])('while Postgres %s serves by its disk: routes, keys, limits, and the part it had of them', async (_how, databaseUrl) => {
    const limited = await keyWith({ limits: { ...unlimited, requestsPerMinute: 4 } });
    const expiring = await keyWith({ expiresAt: Date.now() + hourMs });
    const other = { id: 'other', bootId: randomUUID(), incarnation: null, generation: 0, engines: {}, droppedWindows: 0, address: null };
    await new GatewayStore().report(test.database.manager, other);
    const first = await serving(1);
    await untilKept(first.dataDir, '"gateways":2');
    await first.close();
    const clock = new ShiftedClock();
    const { url } = await gatewayOn(databaseUrl(), { dataDir: first.dataDir, clock });
    await until(async () => (await ask(url)).status === 200, 'an answer');
    expect(answerer(await ask(url))).toBe('v2');
    const replies = [await ask(url, limited), await ask(url, limited), await ask(url, limited)];
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 429]);
    expect(replies[0]?.headers.get('x-ratelimit-limit-requests')).toBe('2');
    expect((await ask(url, 'sk-serin-unknown')).status).toBe(503);
    expect((await ask(url, expiring)).status).toBe(200);
    clock.shiftMs = 2 * hourMs;
    expect((await ask(url, expiring)).status).toBe(401);
    const { status, checks } = await readyz(url);
    expect([status, checks.database, checks.gateways, checks.routingTable?.ageS]).toEqual([200, false, 2, null]);
    await new GatewayStore().remove(test.database.manager, other.id, other.bootId);
  });

  it('finds what happened meanwhile when Postgres comes back: a revoked key, a newer table', async () => {
    const { id, key: revoked } = await new ApiKeyStore().create(test.database.manager, { name: 'gone', scopes: ['inference:invoke'] });
    const first = await serving(0);
    expect((await ask(first.url, revoked)).status).toBe(200);
    await first.close();
    proxy.silence();
    await new ApiKeyStore().revoke(test.database.manager, id);
    const generation = await atWeight(1);
    const { url } = await gatewayOn(proxy.url, { dataDir: first.dataDir });
    await until(async () => (await ask(url, revoked)).status === 200, 'the key as the disk knows it');
    proxy.heal();
    await untilServing(url, generation);
    expect((await ask(url, revoked)).status).toBe(401);
    expect(answerer(await ask(url))).toBe('v2');
  });

  it('does not go back to a table that is older than the one on its disk', async () => {
    const first = await serving(0);
    const { generation } = (await readyz(first.url)).checks.routingTable ?? { generation: 0 };
    await first.close();
    // A replica that lags behind the rollback.
    const [before] = await test.database.manager.query<{ body: unknown }[]>('select body from routing_table');
    await atWeight(1);
    await test.database.manager.query('update routing_table set generation = $1', [generation - 1]);
    const { url } = await gatewayOn(proxy.url, { dataDir: first.dataDir });
    await until(async () => (await ask(url)).status === 200, 'an answer');
    expect(answerer(await ask(url))).toBe('v1');
    expect((await readyz(url)).checks).toMatchObject({ routingTable: { generation }, refusedTable: { generation: generation - 1 } });
    await test.database.manager.query('update routing_table set generation = $1, body = $2', [
      generation + 1,
      JSON.stringify(before?.body),
    ]);
  });

  it('with a disk that it cannot write serves all the same', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'serin-gateway-'));
    closers.push(async () => await rm(dataDir, { recursive: true, force: true }));
    // A file where the folder should be: writing fails for root as well.
    await writeFile(join(dataDir, 'gateway'), '');
    const generation = await atWeight(0);
    const { url } = await gatewayOn(proxy.url, { dataDir });
    await untilServing(url, generation);
    const next = await atWeight(1);
    await untilServing(url, next);
    expect(answerer(await ask(url))).toBe('v2');
  });
});
