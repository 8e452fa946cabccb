import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Window, WindowBook } from '#libs/analysis';
import { ApiKeyStore, GatewayStore, hashKey, Listener, ModelStore, RoutingStore, VersionStore, WindowStore } from '#libs/storage';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';
import { migrations } from '#migrations';

let test: TestDatabase;
beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(async () => {
  await test.drop();
});

const spec = (file: string) => ({ engine: { kind: 'llama', file }, sampling: {} });

async function aModel(): Promise<{ modelId: string; name: string }> {
  const name = `model-${randomUUID()}`;
  const created = await new ModelStore().create(test.database.manager, { id: randomUUID(), name, defaultPlan: {} });
  if (!created.ok) throw new Error(created.fault.message);
  return { modelId: created.value.id, name };
}

describe('models', () => {
  it('refuse a second one of the same name and say so', async () => {
    const { name } = await aModel();
    const again = await new ModelStore().create(test.database.manager, { id: randomUUID(), name, defaultPlan: {} });
    expect(again).toMatchObject({ ok: false, fault: { code: 'model.name-taken', field: 'name' } });
  });

  it('change their default plan only for whoever read the newest revision', async () => {
    const { modelId } = await aModel();
    const store = new ModelStore();
    expect(await store.setDefaultPlan(test.database.manager, modelId, { alpha: 0.02 }, 1)).toBe(true);
    expect(await store.setDefaultPlan(test.database.manager, modelId, { alpha: 0.05 }, 1)).toBe(false);
    expect((await store.byId(test.database.manager, modelId))?.defaultPlan).toEqual({ alpha: 0.02 });
  });
});

describe('versions', () => {
  const register = async (modelId: string, label: string, file: string) =>
    await new VersionStore().register(test.database.manager, {
      id: randomUUID(),
      modelId,
      label,
      spec: spec(file),
      lineage: {},
      createdBy: 'test',
    });

  it('are the same for the same content under the same label', async () => {
    const { modelId } = await aModel();
    const first = await register(modelId, 'v1', 'a.gguf');
    const second = await register(modelId, 'v1', 'a.gguf');
    expect(first).toMatchObject({ ok: true, value: { created: true } });
    expect(second).toMatchObject({ ok: true, value: { created: false } });
    if (first.ok && second.ok) expect(second.value.version.id).toBe(first.value.version.id);
  });

  it('refuse a label that means other content, and content that has another label', async () => {
    const { modelId } = await aModel();
    await register(modelId, 'v1', 'a.gguf');
    expect(await register(modelId, 'v1', 'b.gguf')).toMatchObject({ ok: false, fault: { code: 'version.label-taken' } });
    expect(await register(modelId, 'v2', 'a.gguf')).toMatchObject({ ok: false, fault: { code: 'version.content-known' } });
  });

  it('cannot be changed or deleted, not even by SQL', async () => {
    const { modelId } = await aModel();
    await register(modelId, 'v1', 'a.gguf');
    await expect(test.database.manager.query(`update versions set label = 'v9' where model_id = $1`, [modelId])).rejects.toThrow(
      /immutable/,
    );
    await expect(test.database.manager.query(`delete from versions where model_id = $1`, [modelId])).rejects.toThrow(/immutable/);
  });
});

describe('the routing table', () => {
  it('grows by one generation, names the stable version and notifies', async () => {
    const { modelId, name } = await aModel();
    const version = await new VersionStore().register(test.database.manager, {
      id: randomUUID(),
      modelId,
      label: 'v1',
      spec: spec('a.gguf'),
      lineage: {},
      createdBy: 'test',
    });
    if (!version.ok) throw new Error(version.fault.message);
    const notices: string[] = [];
    const connected = Promise.withResolvers<void>();
    const heard = Promise.withResolvers<void>();
    const listener = new Listener({
      url: test.url,
      applicationName: 'test-listener',
      channels: ['serin_routing'],
      onConnected: () => connected.resolve(),
      onNotice: (_channel, payload) => {
        notices.push(payload);
        heard.resolve();
      },
    });
    listener.start();
    await connected.promise;
    const routing = new RoutingStore();
    const before = await routing.generation(test.database.manager);
    const generation = await test.database.transaction(async (tx) => {
      await new ModelStore().setStable(tx, modelId, version.value.version.id);
      return await routing.rebuild(tx);
    });
    await heard.promise;
    await listener.close();
    expect(generation).toBe(before + 1);
    expect(notices).toEqual([String(generation)]);
    const table = await routing.read(test.database.manager);
    expect(table?.routes.find((route) => route.model === name)?.stable).toBe(version.value.version.id);
    expect(table?.versions[version.value.version.id]?.label).toBe('v1');
    expect(await routing.read(test.database.manager, { incarnation: table?.incarnation ?? '', generation })).toBeNull();
  });

  it('serialises two changes at once: neither is lost', async () => {
    const routing = new RoutingStore();
    const before = await routing.generation(test.database.manager);
    await Promise.all([1, 2, 3].map(async () => await test.database.transaction(async (tx) => await routing.rebuild(tx))));
    expect(await routing.generation(test.database.manager)).toBe(before + 3);
  });
});

describe('windows', () => {
  const versionId = randomUUID();
  const rolloutId = randomUUID();

  function someWindows(assignedAt: number): Window[] {
    const book = new WindowBook();
    for (const entropyMeanNats of [0.2, 0.3]) {
      book.add({
        model: 'm',
        versionId,
        rolloutId,
        epoch: 1,
        arm: 'candidate',
        promptClass: 'plain',
        unit: randomUUID(),
        assignedAt,
        outcome: 'ok',
        finishReason: 'stop',
        queueWaitMs: 0,
        ttftMs: 5,
        interTokenMs: 1,
        totalMs: 20,
        inputTokens: 10,
        outputTokens: 5,
        entropyMeanNats,
        entropyMaxNats: 1,
        nllMeanNats: 0.1,
        refused: false,
        looped: false,
        countedUnfinished: false,
        costMicros: null,
      });
    }
    return book.drain();
  }

  it('are counted once however often a flush is repeated, and come back as they went in', async () => {
    const store = new WindowStore();
    const bootId = randomUUID();
    const windows = someWindows(1_700_000_000_500);
    for (let attempt = 0; attempt < 3; attempt += 1) await store.insert(test.database.manager, bootId, 1, windows);
    const stored = await store.ofRollout(test.database.manager, rolloutId);
    expect(stored).toEqual(windows);
  });

  it('go to daily partitions once these exist, and leave by whole days', async () => {
    const store = new WindowStore();
    const now = Date.UTC(2026, 0, 10, 12);
    for (const _again of [1, 2]) await test.database.transaction(async (tx) => await store.ensurePartitions(tx, now, 1));
    await store.insert(test.database.manager, randomUUID(), 1, someWindows(now));
    const [placed] = await test.database.manager.query(
      `select tableoid::regclass::text as name from windows where second_at = to_timestamp($1 / 1000.0)`,
      [now],
    );
    expect(placed.name).toBe('windows_20260110');
    expect(await store.dropBefore(test.database.manager, Date.UTC(2026, 0, 10))).toEqual(['windows_20260109']);
  });
});

describe('gateways', () => {
  it('are live while they report and forgotten when they say goodbye', async () => {
    const store = new GatewayStore();
    const bootId = randomUUID();
    await store.report(test.database.manager, {
      id: 'g1',
      bootId,
      incarnation: null,
      generation: 7,
      engines: {},
      droppedWindows: 0,
      address: null,
    });
    expect(await store.list(test.database.manager)).toMatchObject([{ id: 'g1', generation: 7, live: true }]);
    expect((await store.list(test.database.manager, 0))[0]?.live).toBe(false);
    await store.remove(test.database.manager, 'g1', randomUUID());
    expect(await store.list(test.database.manager)).toHaveLength(1);
    await store.remove(test.database.manager, 'g1', bootId);
    expect(await store.list(test.database.manager)).toHaveLength(0);
  });
});

describe('API keys', () => {
  it('are stored as a hash only and stop working when revoked', async () => {
    const store = new ApiKeyStore();
    const { id, key } = await store.create(test.database.manager, { name: 'ci', scopes: ['models:read'] });
    expect(key).toMatch(/^sk-serin-[A-Za-z0-9_-]{43}$/);
    const dump = JSON.stringify(await test.database.manager.query('select * from api_keys'));
    expect(dump).not.toContain(key);
    expect((await store.byKey(test.database.manager, key))?.hash.equals(hashKey(key))).toBe(true);
    expect(await store.revoke(test.database.manager, id)).toBe(true);
    expect(await store.byKey(test.database.manager, key)).toBeNull();
  });

  it('do not outlive their expiry', async () => {
    const store = new ApiKeyStore();
    const { key } = await store.create(test.database.manager, { name: 'old', scopes: [], expiresAt: 1 });
    expect(await store.byKey(test.database.manager, key)).toBeNull();
  });
});

describe('migrations', () => {
  it('go down to nothing and up again', async () => {
    const other = await createTestDatabase();
    for (const _ of migrations) await other.database.dataSource.undoLastMigration({ transaction: 'each' });
    const left = await other.database.manager.query(
      `select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and relname <> 'schema_migrations'`,
    );
    expect(left).toEqual([]);
    await other.database.migrate();
    expect((await other.database.manager.query('select count(*)::int as n from routing_table'))[0].n).toBe(1);
    await other.drop();
  });
});
