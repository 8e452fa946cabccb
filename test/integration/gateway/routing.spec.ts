// How a gateway follows the control plane: new tables at once, old ones never, and no database in the request path.
import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { FakeEngine } from '#libs/engine';
import type { Route, ServedVersion } from '#libs/rollout';
import { GatewayStore, WindowStore } from '#libs/storage';
import { aGateway, aKey, aVersion, fakeFactory, publish, readyz, type TestGateway, until, untilServing } from '../../support/gateway.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';

const salt = '00112233445566778899aabbccddeeff';
let test: TestDatabase;
let gateway: TestGateway | null = null;
let key: string;

beforeAll(async () => {
  test = await createTestDatabase();
  key = await aKey(test);
});
afterAll(async () => {
  await test.drop();
});
afterEach(async () => {
  await gateway?.remove();
  gateway = null;
});

interface Answer {
  readonly status: number;
  readonly version: string | null;
  readonly rollout: string | null;
  readonly retryAfter: string | null;
  readonly body: { choices?: { message: { content: string } }[]; error?: { code: string; message: string; param: string | null } };
}

async function ask(url: string, { headers = {}, body = {} }: { headers?: Record<string, string>; body?: object } = {}): Promise<Answer> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model: 'support', messages: [{ role: 'user', content: 'Hi' }], ...body }),
    signal: AbortSignal.timeout(20_000),
  });
  return {
    status: response.status,
    version: response.headers.get('x-serin-version'),
    rollout: response.headers.get('x-serin-rollout'),
    retryAfter: response.headers.get('retry-after'),
    body: (await response.json()) as Answer['body'],
  };
}

async function rollout(
  weight: number,
  stable: ServedVersion,
  candidate: ServedVersion,
  id: string = randomUUID(),
  more: Partial<NonNullable<Route['rollout']>> = {},
): Promise<{ id: string; generation: number }> {
  const generation = await publish(test, {
    routes: [{ model: 'support', stable: stable.id, rollout: { id, candidate: candidate.id, weight, epoch: 1, salt, ...more } }],
    versions: [stable, candidate],
  });
  return { id, generation };
}

describe('a gateway', () => {
  it('serves by a new table within the hint and acknowledges its generation', async () => {
    const [v1, v2] = [aVersion('v1'), aVersion('v2')];
    const first = await rollout(0, v1, v2);
    gateway = await aGateway(test.url, { factory: fakeFactory() });
    await untilServing(gateway.url, first.generation);
    expect((await ask(gateway.url)).version).toBe('v1');
    const second = await rollout(1, v1, v2, first.id);
    await until(async () => {
      const rows = await new GatewayStore().list(test.database.manager);
      return rows.some((row) => row.id === 'test-gateway' && row.generation === second.generation);
    }, 'the acknowledgement');
    const answer = await ask(gateway.url);
    expect(answer).toMatchObject({ version: 'v2', rollout: first.id });
  });

  it("retries a failed candidate once on stable and still counts it as the candidate's error", async () => {
    const [v1, v2] = [aVersion('v1'), aVersion('v2')];
    const broken = new FakeEngine({ failWith: () => ({ code: 'engine.upstream-error', message: 'broken', retryable: true }) });
    const { id, generation } = await rollout(1, v1, v2);
    gateway = await aGateway(test.url, { factory: fakeFactory({ v2: broken }) });
    await untilServing(gateway.url, generation);
    const answers = await Promise.all(Array.from({ length: 5 }, async () => await ask(gateway?.url ?? '')));
    expect(answers.map((answer) => [answer.status, answer.version])).toEqual(Array.from({ length: 5 }, () => [200, 'v1']));
    const counted = async (): Promise<{ arm: string | null; responses: number; errors: number }[]> =>
      (await new WindowStore().ofRollout(test.database.manager, id)).map(({ key: { arm }, counts: { responses, errors } }) => ({
        arm,
        responses,
        errors,
      }));
    await until(async () => (await counted()).reduce((sum, row) => sum + row.errors, 0) === 5, 'five errors in the windows');
    expect((await counted()).every((row) => row.arm === 'candidate' && row.responses === row.errors)).toBe(true);
  });

  it('shows stable what a candidate calls too long: answered there, it is an error of the candidate; refused there too, the request is at fault', async () => {
    const [v1, v2] = [aVersion('v1'), aVersion('v2')];
    const overflow = { code: 'engine.context-overflow', message: 'too long', retryable: false } as const;
    let stableRefuses = false;
    const engines = {
      v1: new FakeEngine({ failWith: () => (stableRefuses ? overflow : null) }),
      v2: new FakeEngine({ failWith: () => overflow }),
    };
    const { id, generation } = await rollout(1, v1, v2);
    gateway = await aGateway(test.url, { factory: fakeFactory(engines) });
    await untilServing(gateway.url, generation);
    expect([(await ask(gateway.url)).version, (await ask(gateway.url)).status]).toEqual(['v1', 200]);
    stableRefuses = true;
    expect(await ask(gateway.url)).toMatchObject({ status: 400, body: { error: { code: 'context_length_exceeded' } } });
    const counts = async () =>
      (await new WindowStore().ofRollout(test.database.manager, id)).map(({ counts: { responses, errors } }) => [responses, errors]);
    await until(async () => (await counts()).reduce((sum, [, errors]) => sum + (errors ?? 0), 0) === 2, 'two errors in the windows');
    expect((await counts()).reduce((sum, [responses]) => sum + (responses ?? 0), 0)).toBe(2);
  });

  it('takes a candidate that only fails out by itself after twenty failures, and says so', async () => {
    const [v1, v2] = [aVersion('v1'), aVersion('v2')];
    const broken = new FakeEngine({ failWith: () => ({ code: 'engine.crashed', message: 'broken', retryable: true }) });
    const { generation } = await rollout(1, v1, v2);
    gateway = await aGateway(test.url, { factory: fakeFactory({ v2: broken }) });
    await untilServing(gateway.url, generation);
    for (let i = 0; i < 25; i += 1) expect((await ask(gateway.url)).version).toBe('v1');
    expect(broken.seen.length).toBe(20);
    expect((await readyz(gateway.url)).checks.engines[v2.id]).toMatchObject({
      state: 'failed',
      reason: expect.stringContaining('20 requests'),
    });
  });

  it('answers 503 with retry-after, never 401, before it knows any key', async () => {
    gateway = await aGateway('postgres://serin@127.0.0.1:1/none', { factory: fakeFactory() });
    const answer = await ask(gateway.url);
    expect(answer).toMatchObject({ status: 503, body: { error: { code: 'not_ready' } } });
    expect(answer.retryAfter).toBe('1');
    expect((await readyz(gateway.url)).status).toBe(503);
    expect((await fetch(`${gateway.url}/livez`)).status).toBe(200);
  });

  it('serves on while Postgres is away, and after a restart from its snapshot on disk', async () => {
    const v1 = aVersion('v1');
    const generation = await publish(test, { routes: [{ model: 'support', stable: v1.id, rollout: null }], versions: [v1] });
    const first = await aGateway(test.url, { factory: fakeFactory() });
    await untilServing(first.url, generation);
    await until(
      async () =>
        (await readFile(join(first.dataDir, 'gateway', 'snapshot.json'), 'utf8').catch(() => '')).includes(`"generation":${generation}`),
      'the snapshot on disk',
    );
    await first.close();
    gateway = await aGateway('postgres://serin@127.0.0.1:1/none', { dataDir: first.dataDir, factory: fakeFactory() });
    await until(async () => (await ask(gateway?.url ?? '')).status === 200, 'an answer without Postgres');
    const wrong = await ask(gateway.url, { headers: { authorization: 'Bearer sk-serin-unknown' } });
    // It may be a key that was made since: the database's fault is never the client's.
    expect(wrong).toMatchObject({ status: 503, retryAfter: '1', body: { error: { code: 'not_ready' } } });
    expect((await readyz(gateway.url)).checks.database).toBe(false);
  });

  it('refuses a damaged snapshot instead of serving by it', async () => {
    const v1 = aVersion('v1');
    const generation = await publish(test, { routes: [{ model: 'support', stable: v1.id, rollout: null }], versions: [v1] });
    const first = await aGateway(test.url, { factory: fakeFactory() });
    await untilServing(first.url, generation);
    const file = join(first.dataDir, 'gateway', 'snapshot.json');
    await until(async () => (await readFile(file, 'utf8').catch(() => '')).includes(`"generation":${generation}`), 'the snapshot on disk');
    await first.close();
    await writeFile(file, (await readFile(file, 'utf8')).replace('"label":"v1"', '"label":"v9"'));
    gateway = await aGateway('postgres://serin@127.0.0.1:1/none', { dataDir: first.dataDir, factory: fakeFactory() });
    expect((await ask(gateway.url)).status).toBe(503);
  });

  it('never goes back to an older generation of the same database', async () => {
    const [v1, v2] = [aVersion('v1'), aVersion('v2')];
    const { generation } = await rollout(0, v1, v2);
    gateway = await aGateway(test.url, { factory: fakeFactory() });
    await untilServing(gateway.url, generation);
    await test.database.manager.query('update routing_table set generation = generation - 1, body = $1', [
      JSON.stringify({ routes: [], versions: {} }),
    ]);
    await test.database.manager.query("select pg_notify('serin_routing', '0')");
    await new Promise((done) => setTimeout(done, 1_500));
    expect((await ask(gateway.url)).version).toBe('v1');
    expect((await readyz(gateway.url)).checks.routingTable?.generation).toBe(generation);
    await test.database.manager.query('update routing_table set incarnation = gen_random_uuid()');
    await until(async () => (await ask(gateway?.url ?? '')).status === 404, 'the table of the new incarnation');
  });

  it('lives through the loss of all its database connections', async () => {
    const v1 = aVersion('v1');
    const generation = await publish(test, { routes: [{ model: 'support', stable: v1.id, rollout: null }], versions: [v1] });
    gateway = await aGateway(test.url, { factory: fakeFactory() });
    await untilServing(gateway.url, generation);
    const admin = new pg.Client({ connectionString: test.url });
    admin.on('error', () => undefined);
    await admin.connect();
    await admin.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'serin-gateway%'");
    await admin.end();
    expect((await ask(gateway.url)).status).toBe(200);
    const next = await publish(test, { routes: [{ model: 'support', stable: v1.id, rollout: null }], versions: [v1] });
    await untilServing(gateway.url, next);
  });

  it('serves a pinned version to a key that may pin, keeps it out of the windows, and refuses other keys', async () => {
    const [v1, v2] = [aVersion('v1'), aVersion('v2')];
    const { id, generation } = await rollout(0.5, v1, v2);
    gateway = await aGateway(test.url, { factory: fakeFactory() });
    await untilServing(gateway.url, generation);
    for (const label of ['v1', 'v2']) expect((await ask(gateway.url, { headers: { 'x-serin-version': label } })).version).toBe(label);
    expect(await ask(gateway.url, { headers: { 'x-serin-version': 'v7' } })).toMatchObject({
      status: 404,
      body: { error: { code: 'version_not_found', param: 'x-serin-version' } },
    });
    const weak = await aKey(test, ['inference:invoke']);
    await until(
      async () => (await ask(gateway?.url ?? '', { headers: { authorization: `Bearer ${weak}` } })).status === 200,
      'the new key to be known',
    );
    expect(await ask(gateway.url, { headers: { authorization: `Bearer ${weak}`, 'x-serin-version': 'v2' } })).toMatchObject({
      status: 403,
    });
    await new Promise((done) => setTimeout(done, 1_300));
    const windows = await new WindowStore().ofRollout(test.database.manager, id);
    expect(windows.reduce((sum, { counts }) => sum + counts.responses, 0)).toBe(1);
  });

  it('gives all requests of an end user one version where the plan is sticky by user, counts the first, and moves nobody back', async () => {
    const [v1, v2] = [aVersion('v1'), aVersion('v2')];
    const { id, generation } = await rollout(0.5, v1, v2, randomUUID(), { stickyBy: 'user' });
    gateway = await aGateway(test.url, { factory: fakeFactory() });
    await untilServing(gateway.url, generation);
    const users = Array.from({ length: 24 }, (_, at) => `user-${at}`);
    const versionOf = async (user: string): Promise<string | null> => {
      const field = user.endsWith('3') ? { safety_identifier: user, user: 'all alike' } : { user };
      return (await ask(gateway?.url ?? '', { body: field })).version;
    };
    const asked = async (): Promise<(string | null)[]> => await Promise.all(users.map(versionOf));
    const first = await asked();
    expect(new Set(first)).toEqual(new Set(['v1', 'v2']));
    for (let i = 0; i < 3; i += 1) expect(await asked()).toEqual(first);
    const counted = async (): Promise<number> =>
      (await new WindowStore().ofRollout(test.database.manager, id)).reduce((sum, { counts }) => sum + counts.responses, 0);
    await until(
      async () =>
        (
          await test.database.manager.query('select sum(responses)::int as responses from windows where version_id in ($1, $2)', [
            v1.id,
            v2.id,
          ])
        )[0].responses === 96,
      'all answers in the windows',
    );
    expect(await counted()).toBe(24);
    const grown = await rollout(0.9, v1, v2, id, { stickyBy: 'user' });
    await untilServing(gateway.url, grown.generation);
    const later = await asked();
    expect(later.filter((version) => version === 'v2').length).toBeGreaterThan(first.filter((version) => version === 'v2').length);
    expect(first.filter((version, at) => version === 'v2' && later[at] !== 'v2')).toEqual([]);
  });

  it('says inside a stream that it was cut, without an end mark, and counts it as an error', async () => {
    const v1 = aVersion('v1');
    const generation = await publish(test, { routes: [{ model: 'support', stable: v1.id, rollout: null }], versions: [v1] });
    gateway = await aGateway(test.url, { factory: fakeFactory({ v1: { tokens: () => ['a', 'b', 'c', 'd'], dieAfterTokens: 2 } }) });
    await untilServing(gateway.url, generation);
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'support', messages: [{ role: 'user', content: 'Hi' }], stream: true }),
    });
    const text = await response.text();
    expect(text).toContain('"content":"b"');
    expect(text).toContain('"code":"engine_failed"');
    expect(text).not.toContain('[DONE]');
  });

  it('finishes what it has begun before it closes', async () => {
    const v1 = aVersion('v1');
    const generation = await publish(test, { routes: [{ model: 'support', stable: v1.id, rollout: null }], versions: [v1] });
    gateway = await aGateway(test.url, { factory: fakeFactory({ v1: { firstTokenMs: 600 } }) });
    await untilServing(gateway.url, generation);
    const slow = ask(gateway.url);
    await new Promise((done) => setTimeout(done, 150));
    const closed = gateway.close();
    expect((await slow).status).toBe(200);
    await closed;
    expect((await new GatewayStore().list(test.database.manager)).filter((row) => row.id === 'test-gateway')).toEqual([]);
  });
});
