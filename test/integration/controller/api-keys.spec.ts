// Keys over the admin API: shown once, granting nothing that the asker lacks, and no way to lock everybody out.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiKeyResource, allScopes, type CreatedApiKey, type Problem, type Scope } from '#libs/contract';
import { ApiKeyStore } from '#libs/storage';
import { type Reply, startTestController, type TestController } from '../../support/controller.js';

let controller: TestController;
beforeAll(async () => {
  controller = await startTestController();
});
afterAll(async () => {
  await controller.close();
});

const path = '/api/v1/api-keys';
const name = () => `k-${randomUUID()}`;
const bearer = (key: string | null) => ({ authorization: `Bearer ${key}` });
const call = async <T = ApiKeyResource>(method: string, at: string, body?: unknown, headers: Record<string, string> = {}) =>
  await controller.call<T & Problem>(method, `${path}${at}`, body, headers);

async function create(body: object, headers: Record<string, string> = {}): Promise<Reply<CreatedApiKey & Problem>> {
  return await call<CreatedApiKey>('POST', '', { name: name(), scopes: ['inference:invoke'], ...body }, headers);
}

/** A key made by the administrator; its text. */
async function keyWith(scopes: readonly Scope[], more: object = {}): Promise<{ id: string; key: string }> {
  const { body } = await create({ scopes, ...more });
  return { id: body.id, key: body.key ?? '' };
}

async function auditOf(id: string): Promise<{ action: string; actor: string; detail: Record<string, unknown> }[]> {
  return await controller.test.database.manager.query('select action, actor, detail from audit where subject = $1 order by id', [
    `api-key/${id}`,
  ]);
}

async function everythingStored(): Promise<string> {
  const tables = ['api_keys', 'idempotency_keys', 'audit', 'outbox'];
  const dumps = await Promise.all(tables.map(async (table) => await controller.test.database.manager.query(`select * from ${table}`)));
  return JSON.stringify(dumps);
}

describe('making a key', () => {
  it('answers its text once, and nothing that is stored or read holds it', async () => {
    const limits = { requestsPerMinute: 60, tokensPerMinute: null, concurrentRequests: 4 };
    const made = await create({ name: 'shop', scopes: ['inference:invoke', 'inference:pin'], limits });
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({ name: 'shop', state: 'active', limits, createdBy: 'key:test-admin', expiresAt: null, self: false });
    expect(made.body.key).toMatch(/^sk-serin-[A-Za-z0-9_-]{43}$/);
    const { key, ...rest } = made.body;
    const [listed, one] = [await call<{ items: ApiKeyResource[] }>('GET', ''), await call('GET', `/${made.body.id}`)];
    expect(listed.body.items.find(({ id }) => id === made.body.id)).toEqual(rest);
    expect(one.body).toEqual(rest);
    expect(one.headers.get('etag')).toBe('"1"');
    const hash = (await new ApiKeyStore().find(controller.test.database.manager, made.body.id))?.hash.toString('hex') ?? '';
    for (const text of [listed.text, one.text]) for (const secret of [key ?? '', hash]) expect(text).not.toContain(secret);
    expect(await everythingStored()).not.toContain(key);
    expect(await auditOf(made.body.id)).toMatchObject([
      { action: 'api-key.created', actor: 'key:test-admin', detail: { name: 'shop', limits } },
    ]);
  });

  it('is done once under one Idempotency-Key: a repeat answers the same key without its text', async () => {
    const headers = { 'idempotency-key': randomUUID() };
    const body = { name: name() };
    const [first, second] = [await create(body, headers), await create(body, headers)];
    expect([first.status, second.status]).toEqual([201, 200]);
    expect(second.body).toEqual({ ...first.body, key: null });
    expect(await everythingStored()).not.toContain(first.body.key);
    expect((await create({ name: name() }, headers)).body.code).toBe('request.key-taken');
  });

  it('is done once when two ask at the same time', async () => {
    const headers = { 'idempotency-key': randomUUID() };
    const body = { name: name() };
    const both = await Promise.all([create(body, headers), create(body, headers)]);
    expect(both.map(({ status }) => status).toSorted()).toEqual([200, 201]);
    expect(new Set(both.map((reply) => reply.body.id)).size).toBe(1);
    expect(both.filter((reply) => reply.body.key !== null)).toHaveLength(1);
  });

  it('gives a key that is known at once and ends when it was said to', async () => {
    const { id, key } = await keyWith(['models:read'], { expiresAt: Date.now() + 86_400_000 });
    expect((await controller.call('GET', '/api/v1/models', undefined, bearer(key))).status).toBe(200);
    await controller.test.database.manager.query(`update api_keys set expires_at = now() - interval '1 second' where id = $1`, [id]);
    expect((await controller.call('GET', '/api/v1/models', undefined, bearer(key))).status).toBe(401);
    expect((await call('GET', `/${id}`)).body.state).toBe('expired');
  });

  it.each([
    ['no name', { name: undefined }, '/name'],
    ['a name of two lines', { name: 'a\nb' }, '/name'],
    ['a name that begins like an option', { name: '-rf' }, '/name'],
    ['no scope', { scopes: [] }, '/scopes'],
    ['a scope that is none', { scopes: ['inference:invoke', 'all'] }, '/scopes/1'],
    ['a scope twice', { scopes: ['models:read', 'models:read'] }, '/scopes'],
    ['a limit of nothing', { limits: { requestsPerMinute: 0 } }, '/limits/requestsPerMinute'],
    ['a limit that is unknown', { limits: { requestsPerDay: 1 } }, '/limits/requestsPerDay'],
    ['an end in the past', { expiresAt: Date.now() - 1 }, '/expiresAt'],
    ['an end as text', { expiresAt: '2031-01-01' }, '/expiresAt'],
    ['a key of its own choice', { key: 'sk-serin-easy' }, '/key'],
  ])('is refused with %s, by the name of the field', async (_what, change, pointer) => {
    const reply = await create(change);
    expect(reply.status).toBe(400);
    expect(reply.body.errors?.map((error) => error.pointer)).toEqual([pointer]);
  });

  it('is refused under the name of an active key, in whatever case, and allowed when that one is over', async () => {
    const taken = name();
    const { id } = (await create({ name: taken })).body;
    expect(await create({ name: taken.toUpperCase() })).toMatchObject({ status: 409, body: { code: 'api-key.name-taken' } });
    await call('DELETE', `/${id}`);
    expect((await create({ name: taken })).status).toBe(201);
  });
});

it('a key is not made beside ten thousand active ones', async () => {
  const { manager } = controller.test.database;
  const many = `insert into api_keys (id, name, prefix, hash, scopes)
    select gen_random_uuid(), 'many-' || n, 'sk', sha256(n::text::bytea), '{}' from generate_series(1, 10000) n`;
  await manager.query(many);
  expect(await create({})).toMatchObject({ status: 422, body: { code: 'api-key.too-many' } });
  await manager.query(`delete from api_keys where name like 'many-%'`);
  expect((await create({})).status).toBe(201);
});

describe('a key that may make keys', () => {
  it('grants no scope that it lacks', async () => {
    const { key } = await keyWith(['keys:write', 'models:read']);
    const refused = await create({ scopes: ['models:read', 'models:write', 'audit:read'] }, bearer(key));
    expect(refused).toMatchObject({ status: 403, body: { code: 'auth.forbidden', errors: [{ pointer: '/scopes' }] } });
    expect(refused.body.detail).toContain('models:write, audit:read');
    expect((await create({ scopes: ['models:read', 'keys:write'] }, bearer(key))).status).toBe(201);
  });

  it('makes none that outlives it', async () => {
    const expiresAt = Date.now() + 3_600_000;
    const { key } = await keyWith(['keys:write', 'inference:invoke'], { expiresAt });
    for (const later of [null, expiresAt + 1]) {
      expect(await create({ expiresAt: later }, bearer(key))).toMatchObject({ status: 403, body: { errors: [{ pointer: '/expiresAt' }] } });
    }
    expect((await create({}, bearer(key))).body.expiresAt).toBe(expiresAt);
  });

  it('changes and revokes none that may do more than it', async () => {
    const { key } = await keyWith(['keys:write', 'inference:invoke']);
    const victim = await keyWith(['rollouts:write']);
    const limits = { requestsPerMinute: 1 };
    for (const reply of [
      await call('PATCH', `/${victim.id}`, { limits }, bearer(key)),
      await call('DELETE', `/${victim.id}`, undefined, bearer(key)),
    ]) {
      expect(reply).toMatchObject({ status: 403, body: { code: 'auth.forbidden' } });
      expect(reply.body.detail).toContain('rollouts:write');
    }
    expect((await call('GET', `/${victim.id}`)).body).toMatchObject({ state: 'active', limits: null, revision: 1 });
  });

  it('is asked for by scope, and reading by another', async () => {
    const stranger = bearer((await keyWith(allScopes.filter((scope) => !scope.startsWith('keys:')))).key);
    const reader = bearer((await keyWith(['keys:read'])).key);
    const { id } = await keyWith(['inference:invoke']);
    const writes = [
      ['POST', '', { name: name(), scopes: ['inference:invoke'] }],
      ['PATCH', `/${id}`, { limits: null }],
      ['DELETE', `/${id}`, undefined],
    ] as const;
    for (const [method, at, body] of writes) {
      for (const who of [stranger, reader]) expect((await call(method, at, body, who)).status).toBe(403);
    }
    for (const at of ['', `/${id}`]) {
      expect((await call('GET', at, undefined, stranger)).status).toBe(403);
      expect((await call('GET', at, undefined, reader)).status).toBe(200);
      expect((await call('GET', at, undefined, bearer('sk-serin-nobody'))).status).toBe(401);
    }
  });

  it('leaves nothing behind when it is revoked while it asks', async () => {
    const { id, key } = await keyWith(['keys:write', 'inference:invoke']);
    const asked = { name: name(), scopes: ['inference:invoke'] };
    let asking: Promise<Reply<unknown>> | null = null;
    await controller.test.database.transaction(async (tx) => {
      const keys = new ApiKeyStore();
      await keys.takeTurn(tx);
      asking = call('POST', '', asked, bearer(key));
      await untilWaiting();
      await keys.revoke(tx, id);
    });
    expect(((await asking) as Reply<Problem> | null)?.status).toBe(401);
    const { body } = await call<{ items: ApiKeyResource[] }>('GET', '?limit=200');
    expect(body.items.filter((one) => one.name === asked.name)).toEqual([]);
  });
});

/** Until a session waits for its turn to change keys. */
async function untilWaiting(): Promise<void> {
  for (let look = 0; look < 500; look += 1) {
    const [row] = await controller.test.database.manager.query<{ waiting: number }[]>(
      `select count(*)::int as waiting from pg_locks where locktype = 'advisory' and not granted
       and database = (select oid from pg_database where datname = current_database())`,
    );
    if ((row?.waiting ?? 0) > 0) return;
    await new Promise((done) => setTimeout(done, 20));
  }
  throw new Error('nobody waits');
}

describe('limits', () => {
  it('are replaced whole, for whoever has read the key as it is', async () => {
    const { id } = await keyWith(['inference:invoke'], { limits: { requestsPerMinute: 5, concurrentRequests: 2 } });
    const limits = { requestsPerMinute: null, tokensPerMinute: 9_000, concurrentRequests: null };
    const changed = await call('PATCH', `/${id}`, { limits: { tokensPerMinute: 9_000 } }, { 'if-match': '"1"' });
    expect(changed).toMatchObject({ status: 200, body: { limits, revision: 2 } });
    expect(changed.headers.get('etag')).toBe('"2"');
    const late = await call('PATCH', `/${id}`, { limits: null }, { 'if-match': '"1"' });
    expect(late).toMatchObject({ status: 412, body: { code: 'api-key.revision-lost' } });
    expect((await call('PATCH', `/${id}`, { limits: null })).body).toMatchObject({ limits: null, revision: 3 });
    expect((await auditOf(id)).slice(1)).toMatchObject([
      { action: 'api-key.limits-set', detail: { from: { requestsPerMinute: 5 }, to: limits } },
      { action: 'api-key.limits-set', detail: { from: limits, to: null } },
    ]);
  });

  it.each([
    ['nothing', {}, '/limits'],
    ['a scope', { limits: null, scopes: ['keys:write'] }, '/scopes'],
    ['a negative number', { limits: { tokensPerMinute: -1 } }, '/limits/tokensPerMinute'],
  ])('are all that a change may name: %s is refused', async (_what, body, pointer) => {
    const { id } = await keyWith(['inference:invoke']);
    const reply = await call('PATCH', `/${id}`, body);
    expect([reply.status, reply.body.errors?.map((error) => error.pointer)]).toEqual([400, [pointer]]);
  });

  it('of a revoked key are not changed any more', async () => {
    const { id } = await keyWith(['inference:invoke']);
    await call('DELETE', `/${id}`);
    expect(await call('PATCH', `/${id}`, { limits: null })).toMatchObject({ status: 409, body: { code: 'api-key.ended' } });
  });
});

describe('revoking', () => {
  it('ends a key at once, and a second time changes nothing', async () => {
    const { id, key } = await keyWith(['models:read']);
    const gone = await call('DELETE', `/${id}`);
    expect(gone).toMatchObject({ status: 200, body: { state: 'revoked', self: false } });
    expect((await controller.call('GET', '/api/v1/models', undefined, bearer(key))).status).toBe(401);
    expect((await call('DELETE', `/${id}`)).body).toEqual(gone.body);
    expect((await auditOf(id)).map(({ action }) => action)).toEqual(['api-key.created', 'api-key.revoked']);
  });

  it('of the key that asks is done, and said', async () => {
    const { id, key } = await keyWith(['keys:write']);
    expect(await call('DELETE', `/${id}`, undefined, bearer(key))).toMatchObject({ status: 200, body: { state: 'revoked', self: true } });
    expect((await call('DELETE', `/${id}`, undefined, bearer(key))).status).toBe(401);
    expect((await auditOf(id)).at(-1)).toMatchObject({ action: 'api-key.revoked', detail: { self: true } });
  });

  it('is not done to a key that somebody has changed since', async () => {
    const { id } = await keyWith(['inference:invoke']);
    await call('PATCH', `/${id}`, { limits: { requestsPerMinute: 1 } });
    expect((await call('DELETE', `/${id}`, undefined, { 'if-match': '"1"' })).status).toBe(412);
    expect((await call('GET', `/${id}`)).body.state).toBe('active');
  });

  it('of what is not there is a 404', async () => {
    for (const [method, at] of [
      ['DELETE', randomUUID()],
      ['DELETE', 'nonsense'],
      ['GET', randomUUID()],
      ['PATCH', 'nonsense'],
    ] as const) {
      const reply = await call(method, `/${at}`, method === 'PATCH' ? { limits: null } : undefined);
      expect(reply).toMatchObject({ status: 404, body: { code: 'api-key.not-found' } });
    }
  });
});

describe('the last key that may make keys', () => {
  it('is not revoked, also not by two who revoke each other at once', async () => {
    const admins = await controller.test.database.manager.query<{ id: string }[]>(`select id from api_keys where name = 'test-admin'`);
    const admin = admins[0]?.id ?? '';
    const refused = await call('DELETE', `/${admin}`);
    expect(refused).toMatchObject({ status: 409, body: { code: 'api-key.lockout-refused' } });
    // A second one that ends does not count: nobody could make a third after it.
    await keyWith(allScopes, { expiresAt: Date.now() + 3_600_000 });
    expect((await call('DELETE', `/${admin}`)).status).toBe(409);
    const second = await keyWith(allScopes);
    const both = await Promise.all([call('DELETE', `/${second.id}`), call('DELETE', `/${admin}`, undefined, bearer(second.key))]);
    const statuses = both.map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
    // Put back for what follows.
    await controller.test.database.manager.query('update api_keys set revoked_at = null where id = $1', [admin]);
  });
});

describe('the list', () => {
  it('has all keys, newest first, in pages', async () => {
    const made = [];
    for (let i = 0; i < 5; i += 1) made.push((await create({})).body.id);
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page: Reply<{ items: ApiKeyResource[]; nextCursor: string | null }> = await call(
        'GET',
        `?limit=3${cursor === null ? '' : `&cursor=${cursor}`}`,
      );
      expect(page.body.items.length).toBeLessThanOrEqual(3);
      seen.push(...page.body.items.map(({ id }) => id));
      cursor = page.body.nextCursor;
    } while (cursor !== null);
    expect(seen.slice(0, 5)).toEqual(made.toReversed());
    expect(new Set(seen).size).toBe(seen.length);
    const [row] = await controller.test.database.manager.query<{ keys: number }[]>('select count(*)::int as keys from api_keys');
    expect(seen).toHaveLength(row?.keys ?? -1);
  });

  it.each(['?limit=0', '?limit=201', '?cursor=1', '?state=all'])('is refused as %s', async (query) => {
    expect((await call('GET', query)).status).toBe(400);
  });
});
