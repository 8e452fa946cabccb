// Model files that are missing, damaged, lying or hostile: that version fails and says why, its rollout ends, and stable answers through all of it.
import { createHash } from 'node:crypto';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestController, type TestController } from '../../support/controller.js';
import { aGateway, aKey, demoModels, readyz, type TestGateway, until } from '../../support/gateway.js';
import { ggufBytes } from '../../support/gguf.js';

const stableFile = 'demo-support-v1-stable.gguf';
let models: string;
let sound: Buffer;
let controller: TestController;
let gateway: TestGateway;
let key: string;

beforeAll(async () => {
  models = await mkdtemp(join(tmpdir(), 'serin-bad-models-'));
  await copyFile(join(demoModels, stableFile), join(models, stableFile));
  sound = await readFile(join(models, stableFile));
  controller = await startTestController();
  key = await aKey(controller.test);
  await controller.call('POST', '/api/v1/models', { name: 'support' });
  await register('v1', { file: stableFile });
  await controller.call('PATCH', '/api/v1/models/support', { stable: 'v1' });
  gateway = await aGateway(controller.test.url, { modelRoots: [models] });
  await until(async () => (await answer()) === 200, 'stable answers', 60_000);
}, 120_000);

afterAll(async () => {
  await gateway?.remove();
  await controller?.close();
  await rm(models, { recursive: true, force: true });
});

async function register(label: string, engine: object) {
  return await controller.call<{ id: string }>('POST', '/api/v1/models/support/versions', {
    label,
    spec: { engine: { kind: 'llama', contextSize: 256, parallel: 1, ...engine } },
  });
}

async function answer(): Promise<number> {
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'support', max_tokens: 4, messages: [{ role: 'user', content: 'Hi' }] }),
    signal: AbortSignal.timeout(30_000),
  });
  await response.arrayBuffer();
  return response.status;
}

/** The sound model with the four bytes behind a metadata key replaced. */
function patched(metadataKey: string, bytes: Buffer): Buffer {
  const copy = Buffer.from(sound);
  const at = copy.indexOf(metadataKey);
  if (at < 0) throw new Error(`the model has no ${metadataKey}`);
  bytes.copy(copy, at + metadataKey.length + 4);
  return copy;
}
const float = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
};

interface Rollout {
  phase: string;
  weightPct: number;
  reason: { code: string; text?: string } | null;
}

/** Registers the version, starts its rollout and follows it to its end while users ask stable. */
async function rolledOut(label: string, engine: object): Promise<{ rollout: Rollout; statuses: number[]; id: string; versionId: string }> {
  const version = await register(label, engine);
  const started = await controller.call<{ id: string }>('POST', '/api/v1/models/support/rollouts', { candidate: label });
  const { id } = started.body;
  const statuses: number[] = [];
  const get = async () => (await controller.call<Rollout>('GET', `/api/v1/rollouts/${id}`)).body;
  await until(
    async () => {
      statuses.push(await answer());
      return (await get()).phase === 'rolledBack';
    },
    `the rollout of ${label} to end`,
    45_000,
  );
  return { rollout: await get(), statuses, id, versionId: version.body.id };
}

describe('a version whose model file', () => {
  it.each<[string, string, () => Buffer | null, object, RegExp]>([
    ['is not there', 'missing', () => null, {}, /version\.file-missing: .* Field: spec\.engine\.file\. Copy the file/],
    [
      'was cut off',
      'truncated',
      () => sound.subarray(0, 1_000_000),
      {},
      /gguf\.truncated: .* Field: spec\.engine\.file\. Copy the file again/,
    ],
    [
      'claims 2^62 tensors',
      'absurd',
      () => ggufBytes({ tensorCount: 2n ** 62n }),
      {},
      /gguf\.absurd: .* Field: spec\.engine\.file\. Use a GGUF file/,
    ],
    [
      'claims 513 blocks',
      'blocks',
      () =>
        ggufBytes({
          metadata: [
            ['general.architecture', { type: 'text', value: 'llama' }],
            ['llama.block_count', { type: 'u32', value: 513 }],
          ],
        }),
      {},
      /gguf\.absurd: .*block_count is 513/,
    ],
    ['is no model', 'noise', () => Buffer.from('<html>404 Not Found</html>'.repeat(9)), {}, /gguf\.not-gguf: /],
    [
      'is not the one that was registered',
      'digest',
      () => sound,
      { sha256: createHash('sha256').update('another').digest('hex') },
      /version\.digest-mismatch: .* Field: spec\.engine\.sha256\. Restore the registered file/,
    ],
    [
      'passes our look at it and is refused by the native library',
      'refused',
      () => patched('llama.attention.head_count', Buffer.alloc(4)),
      {},
      /the library cannot load this file/,
    ],
    [
      'aborts the native library only on its first token',
      'late',
      () => patched('llama.attention.layer_norm_rms_epsilon', float(-1)),
      {},
      /died on its first token \(signal SIGABRT/,
    ],
  ])('%s fails by itself: its rollout ends before any user met it, stable answers on', async (_what, label, bytes, engine, told) => {
    const content = bytes();
    if (content) await writeFile(join(models, `${label}.gguf`), content);
    const { rollout, statuses, id, versionId } = await rolledOut(label, { file: `${label}.gguf`, ...engine });
    expect(rollout).toMatchObject({ phase: 'rolledBack', weightPct: 0, reason: { code: 'engine.failed' } });
    expect(rollout.reason?.text).toMatch(told);
    expect(new Set(statuses)).toEqual(new Set([200]));
    const [left] = await controller.test.database.manager.query<{ transitions: string[]; stable: string; routed: string[] }[]>(
      `select (select array_agg(transition order by seq) from rollout_events where rollout_id = $1) as transitions,
         (select v.label from models m join versions v on v.id = m.stable_version_id where m.name = 'support') as stable,
         (select array_agg(key) from routing_table, jsonb_object_keys(body::jsonb->'versions') as key) as routed`,
      [id],
    );
    expect(left).toMatchObject({ transitions: ['create', 'rollback'], stable: 'v1' });
    expect(left?.routed).not.toContain(versionId);
  });

  it('does not name a place outside the model roots: it is refused when it is registered', async () => {
    const before = await controller.test.database.manager.query<unknown[]>('select id from versions');
    for (const file of ['/etc/passwd', '../secret.gguf', 'a/../../b.gguf', 'a\\..\\..\\b.gguf', 'C:\\b.gguf', 'a\0.gguf'])
      expect(await register('outside', { file }), file).toMatchObject({
        status: 400,
        body: { code: 'request.invalid', errors: [{ pointer: '/spec/engine/file', detail: expect.stringContaining('SERIN_MODEL_ROOTS') }] },
      });
    expect(await controller.test.database.manager.query<unknown[]>('select id from versions')).toEqual(before);
  });

  it('leaves the engine of stable as it was: the same process, never restarted', async () => {
    const { checks } = await readyz(gateway.url);
    const engines = Object.values(checks.engines);
    expect(engines).toEqual([expect.objectContaining({ state: 'ready', crashes: 0 })]);
  });
});
