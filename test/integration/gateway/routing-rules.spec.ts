// Which tables a gateway takes: newer ones at once, whether hints come through or not; older and broken ones never.
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { GatewayOptions } from '#apps/gateway';
import { ApiKeyStore } from '#libs/storage';
import { type ErrorBody, post, type Reply } from '../../support/client.js';
import { aGateway, aKey, aVersion, fakeFactory, publish, readyz, type TestGateway, until, untilServing } from '../../support/gateway.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';
import { PostgresProxy } from '../../support/postgres-proxy.js';

const chat = { model: 'support', messages: [{ role: 'user', content: 'Hi' }] };
const [v1, v2] = [aVersion('v1'), aVersion('v2')];
const closers: (() => Promise<void>)[] = [];
let test: TestDatabase;
let key: string;

beforeAll(async () => {
  test = await createTestDatabase();
  key = await aKey(test);
});
afterAll(async () => {
  await test.drop();
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function gatewayOn(databaseUrl: string, options: Partial<GatewayOptions> = {}): Promise<TestGateway> {
  const gateway = await aGateway(databaseUrl, { factory: fakeFactory(), ...options });
  closers.push(gateway.remove);
  return gateway;
}

/** A pooler in transaction mode in front of Postgres. */
async function aPooler(): Promise<PostgresProxy> {
  const pooler = await PostgresProxy.to(test.url, { keepsNotices: true });
  closers.push(async () => await pooler.close());
  return pooler;
}

const ask = async (url: string, as = key): Promise<Reply<ErrorBody>> => await post({ url, key: as }, '/v1/chat/completions', chat);
const answerer = async (url: string): Promise<string | null> => (await ask(url)).headers.get('x-serin-version');

function bodyAt(weight: number) {
  const rollout = { id: 'a0a0a0a0-0000-4000-8000-000000000000', candidate: v2.id, weight, epoch: 1, salt: '0'.repeat(32) };
  return { routes: [{ model: 'support', stable: v1.id, rollout }], versions: [v1, v2] };
}

const atWeight = async (weight: number): Promise<number> => await publish(test, bodyAt(weight));

/** Writes the row as nobody should, in one statement, and tells the gateways. */
async function forceTable({ generation, incarnation, body }: { generation?: number; incarnation?: string; body?: unknown }): Promise<void> {
  const { manager } = test.database;
  await manager.query(
    `update routing_table set generation = coalesce($1, generation), incarnation = coalesce($2, incarnation), body = coalesce($3, body)`,
    [generation ?? null, incarnation ?? null, body === undefined ? null : JSON.stringify(body)],
  );
  await manager.query("select pg_notify('serin_routing', '')");
}

const asBody = (weight: number): object => {
  const { routes, versions } = bodyAt(weight);
  return { routes, versions: Object.fromEntries(versions.map((version) => [version.id, version])) };
};

describe('a rollback', () => {
  it('reaches gateways that hear, that hear nothing, and that hear by another address', async () => {
    const pooler = await aPooler();
    const begun = await atWeight(1);
    const gateways = [
      await gatewayOn(test.url, { gatewayId: 'hears' }),
      await gatewayOn(pooler.url, { gatewayId: 'hears-nothing' }),
      await gatewayOn(pooler.url, { gatewayId: 'hears-directly', directDatabaseUrl: test.url }),
    ];
    for (const { url } of gateways) await untilServing(url, begun);
    for (const { url } of gateways) expect(await answerer(url)).toBe('v2');
    const rolledBack = await atWeight(0);
    for (const { url } of gateways) {
      await until(async () => (await readyz(url)).checks.routingTable?.generation === rolledBack, 'the rollback');
      const answers = await Promise.all(Array.from({ length: 20 }, async () => await answerer(url)));
      expect(answers).toEqual(answers.map(() => 'v1'));
    }
  });
});

describe('behind a pooler that keeps notices to itself', () => {
  it('a gateway finds out that it hears nothing and polls, also for revoked keys', async () => {
    const generation = await atWeight(0);
    const { id, key: revoked } = await new ApiKeyStore().create(test.database.manager, { name: 'gone', scopes: ['inference:invoke'] });
    const { url } = await gatewayOn((await aPooler()).url);
    await untilServing(url, generation);
    expect((await ask(url, revoked)).status).toBe(200);
    await new ApiKeyStore().revoke(test.database.manager, id);
    await until(async () => (await ask(url, revoked)).status === 401, 'the revocation');
    // It has tried more than once by now.
    expect((await readyz(url)).checks.hints).toBe('poll');
  });

  it('a gateway hears all the same by the direct address', async () => {
    const generation = await atWeight(0);
    // A poll once an hour: what arrives has been heard.
    const { url } = await gatewayOn((await aPooler()).url, { directDatabaseUrl: test.url, pollEveryMs: 3_600_000 });
    await untilServing(url, generation);
    await until(async () => (await readyz(url)).checks.hints === 'listen', 'hints');
    await untilServing(url, await atWeight(1));
    expect(await answerer(url)).toBe('v2');
  });
});

describe('a table', () => {
  async function serving(weight = 0): Promise<{ url: string; generation: number }> {
    const generation = await atWeight(weight);
    const { url } = await gatewayOn(test.url);
    await untilServing(url, generation);
    return { url, generation };
  }

  it('of a lower generation is refused and named, until a higher one comes', async () => {
    const { url, generation } = await serving(0);
    await forceTable({ generation: generation - 1, body: asBody(1) });
    await until(async () => (await readyz(url)).checks.refusedTable !== null, 'the refusal');
    const { checks, status } = await readyz(url);
    expect(status).toBe(200);
    expect(checks).toMatchObject({ routingTable: { generation }, refusedTable: { generation: generation - 1 } });
    expect(checks.refusedTable?.reason).toContain(`older than ${generation}`);
    expect(await answerer(url)).toBe('v1');
    await forceTable({ generation: generation + 1 });
    await until(async () => (await answerer(url)) === 'v2', 'the higher generation');
    expect((await readyz(url)).checks.refusedTable).toBeNull();
  });

  it('of another incarnation is taken whatever its generation', async () => {
    const { url } = await serving(0);
    await forceTable({ generation: 1, incarnation: randomUUID(), body: asBody(1) });
    await until(async () => (await answerer(url)) === 'v2', 'the new incarnation');
    expect((await readyz(url)).checks).toMatchObject({ routingTable: { generation: 1 }, refusedTable: null });
  });

  it.each([
    ['names a version that is not in it', { ...asBody(1), versions: { [v1.id]: v1 } }, v2.id],
    ['sends 300% to the candidate', asBody(3), 'weight'],
    ['has a model twice', { ...asBody(1), routes: [...bodyAt(1).routes, ...bodyAt(1).routes] }, 'two routes'],
    ['is none at all', { routes: 'all of them', versions: {} }, 'routes'],
  ])('that %s is refused with the reason, and the one before serves on', async (_what, body, named) => {
    const { url, generation } = await serving(0);
    await forceTable({ generation: generation + 1, body });
    await until(async () => (await readyz(url)).checks.refusedTable?.generation === generation + 1, 'the refusal');
    expect((await readyz(url)).checks.refusedTable?.reason).toContain(named);
    expect(await answerer(url)).toBe('v1');
    const mended = await atWeight(1);
    await untilServing(url, mended);
    expect([await answerer(url), (await readyz(url)).checks.refusedTable]).toEqual(['v2', null]);
  });

  it('that is broken while a gateway starts leaves it to its disk, with the keys of today', async () => {
    const { key: revoked, id } = await new ApiKeyStore().create(test.database.manager, { name: 'gone', scopes: ['inference:invoke'] });
    const generation = await atWeight(0);
    const first = await gatewayOn(test.url);
    await untilServing(first.url, generation);
    expect((await ask(first.url, revoked)).status).toBe(200);
    await first.close();
    await new ApiKeyStore().revoke(test.database.manager, id);
    await forceTable({ generation: generation + 1, body: asBody(3) });
    const { url } = await gatewayOn(test.url, { dataDir: first.dataDir });
    await until(async () => (await ask(url)).status === 200, 'an answer');
    expect((await ask(url, revoked)).status).toBe(401);
    expect((await readyz(url)).checks).toMatchObject({
      database: true,
      routingTable: { generation },
      refusedTable: { generation: generation + 1 },
    });
    await atWeight(0);
  });
});
