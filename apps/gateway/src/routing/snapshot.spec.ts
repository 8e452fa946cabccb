// The copy on disk: whole or refused, readable by the next release and from the one before.
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RoutingTable } from '#libs/rollout';
import { type Knowledge, loadSnapshot, saveSnapshot, snapshotFile, supersedes } from './snapshot.js';
import { checkTable } from './table-check.js';

const table = (generation = 7, incarnation = 'a'): RoutingTable => ({
  incarnation,
  generation,
  routes: [
    { model: 'support', stable: 'v1', rollout: { id: 'r', candidate: 'v2', weight: 0.05, epoch: 1, salt: '0'.repeat(32) } },
    { model: 'empty', stable: null, rollout: null },
  ],
  versions: Object.fromEntries(['v1', 'v2'].map((id) => [id, { id, model: 'support', label: id, digest: '0', spec: { any: 'thing' } }])),
});
const limits = { requestsPerMinute: 60, tokensPerMinute: null, concurrentRequests: 2 };
const key = { name: 'shop', scopes: ['inference:invoke'], expiresAt: 5_000, limits };
const knowledge: Knowledge = { table: table(), keys: { ff00: key }, gateways: 3 };

let dir: string;
let file: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'serin-snapshot-'));
  file = snapshotFile(dir);
  await saveSnapshot(file, knowledge);
});
afterAll(async () => {
  await rm(dir, { recursive: true });
});

/** As a release wrote it, with the checksum of its own content. */
async function written(format: number, snapshot: unknown): Promise<string> {
  const path = join(dir, `format-${format}.json`);
  const sha256 = createHash('sha256').update(JSON.stringify(snapshot)).digest('hex');
  await writeFile(path, JSON.stringify({ format, sha256, snapshot }));
  return path;
}

describe('a snapshot on disk', () => {
  it('is read as it was written: table, keys, limits, and by how many they are shared', async () => {
    expect(await loadSnapshot(file)).toEqual({ ok: true, value: knowledge });
  });

  it('of format 1, without limits and gateways, is read: its keys have the defaults', async () => {
    const { limits: _, ...before } = key;
    const path = await written(1, { table: table(), keys: { ff00: before } });
    expect(await loadSnapshot(path)).toEqual({
      ok: true,
      value: { table: table(), keys: { ff00: { ...before, limits: null } }, gateways: 1 },
    });
  });

  it('keeps what a newer release put into a table, and is refused when the format is newer', async () => {
    const newer = { ...table(), regions: ['eu'] };
    const path = await written(2, { ...knowledge, table: newer });
    expect(await loadSnapshot(path)).toMatchObject({ ok: true, value: { table: newer } });
    expect(await loadSnapshot(await written(3, knowledge))).toMatchObject({ ok: false, fault: { code: 'snapshot.unreadable' } });
  });

  it('is refused when it is cut off anywhere, or any byte was changed', async () => {
    const whole = await readFile(file);
    const damaged = join(dir, 'damaged.json');
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: whole.length - 1 }), fc.integer({ min: 1, max: 255 }), fc.boolean(), async (at, flip, cut) => {
        const bytes = Buffer.from(cut ? whole.subarray(0, at) : whole);
        if (!cut) bytes.writeUInt8((bytes[at] ?? 0) ^ flip, at);
        await writeFile(damaged, bytes);
        const loaded = await loadSnapshot(damaged);
        // Other ways to write the same JSON are the same snapshot: `{"a":1}` and `{ "a":1}` differ in no value.
        if (loaded.ok) expect(loaded.value).toEqual(knowledge);
        else expect(loaded.fault.code).toBe('snapshot.unreadable');
      }),
      { numRuns: 500 },
    );
  });

  it('is refused when its table cannot be served by, however well it is signed', async () => {
    const path = await written(2, { ...knowledge, table: { ...table(), versions: {} } });
    expect(await loadSnapshot(path)).toMatchObject({ ok: false, fault: { code: 'snapshot.unreadable' } });
  });

  it('that is not there is another fault than one that is damaged', async () => {
    expect(await loadSnapshot(join(dir, 'none.json'))).toMatchObject({ ok: false, fault: { code: 'snapshot.missing' } });
  });

  it('is readable by nobody else, for it tells who may ask what', async () => {
    expect((await stat(file)).mode & 0o077).toBe(0);
  });
});

describe('a table that was read', () => {
  it.each([
    ['a higher generation', table(8), true],
    ['the same generation', table(7), false],
    ['a lower generation', table(6), false],
    ['a lower generation of another incarnation', table(1, 'b'), true],
  ])('with %s supersedes the one in use: %s', (_what, incoming, taken) => {
    expect(supersedes(incoming, table())).toBe(taken);
    expect(supersedes(incoming, null)).toBe(true);
  });

  const route = table().routes[0];
  it.each([
    ['a stable version that is missing', { routes: [{ ...route, stable: 'v9' }] }, 'v9'],
    ['a candidate that is missing', { versions: { v1: table().versions['v1'] } }, 'v2'],
    ['a version named like a method of objects', { routes: [{ ...route, stable: 'constructor' }] }, 'constructor'],
    ['two routes of a model', { routes: [route, route] }, 'two routes'],
    ['a weight of 200%', { routes: [{ ...route, rollout: { ...route?.rollout, weight: 2 } }] }, 'weight'],
    ['a weight that is no number', { routes: [{ ...route, rollout: { ...route?.rollout, weight: 'half' } }] }, 'weight'],
    ['no salt', { routes: [{ ...route, rollout: { ...route?.rollout, salt: '' } }] }, 'salt'],
    ['routes that are no list', { routes: {} }, 'routes'],
    ['no generation', { generation: null }, 'generation'],
  ])('is invalid with %s, and the reason names it', (_what, change, named) => {
    const checked = checkTable({ ...table(), ...change });
    expect(checked).toMatchObject({ ok: false, fault: { code: 'table.invalid' } });
    expect(checked.ok ? '' : checked.fault.message).toContain(named);
  });
});
