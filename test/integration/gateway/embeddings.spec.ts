// POST /v1/embeddings: vectors in the order of the inputs, in both encodings, from stable whatever a rollout does.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FakeEngine } from '#libs/engine';
import { type ErrorBody, post } from '../../support/client.js';
import { aGateway, aKey, aVersion, fakeFactory, publish, type TestGateway, untilServing } from '../../support/gateway.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';

let test: TestDatabase;
let gateway: TestGateway;
let at: { url: string; key: string };
const stable = new FakeEngine({ dimensions: 4 });
const candidate = new FakeEngine({ dimensions: 4 });
const mute = new FakeEngine({ capabilities: { embeddings: false } });

beforeAll(async () => {
  test = await createTestDatabase();
  const [v1, v2, muteStable] = [aVersion('v1'), aVersion('v2'), aVersion('mute', undefined, 'mute')];
  const rollout = { id: '00000000-0000-4000-8000-000000000002', candidate: v2.id, weight: 1, epoch: 1, salt: '0'.repeat(32) };
  const generation = await publish(test, {
    routes: [
      { model: 'support', stable: v1.id, rollout },
      { model: 'mute', stable: muteStable.id, rollout: null },
    ],
    versions: [v1, v2, muteStable],
  });
  const key = await aKey(test);
  gateway = await aGateway(test.url, { factory: fakeFactory({ v1: stable, v2: candidate, mute }) });
  await untilServing(gateway.url, generation);
  at = { url: gateway.url, key };
});
afterAll(async () => {
  await gateway?.remove();
  await test?.drop();
});
beforeEach(() => {
  stable.behaviour = { dimensions: 4 };
  stable.seenEmbeds.length = 0;
});

interface Embeddings<Vector> {
  object: string;
  model: string;
  data: { object: string; index: number; embedding: Vector }[];
  usage: { prompt_tokens: number; total_tokens: number };
}

describe('POST /v1/embeddings', () => {
  it('gives a vector of unit length for each input, with the usage', async () => {
    const { status, body } = await post<Embeddings<number[]>>(at, '/v1/embeddings', { model: 'support', input: ['one two', 'three'] });
    expect(status).toBe(200);
    expect(body).toMatchObject({ object: 'list', model: 'support', usage: { prompt_tokens: 3, total_tokens: 3 } });
    expect(body.data.map(({ object, index }) => [object, index])).toEqual([
      ['embedding', 0],
      ['embedding', 1],
    ]);
    for (const { embedding } of body.data) expect(Math.hypot(...embedding)).toBeCloseTo(1, 12);
    expect(stable.seenEmbeds[0]).toMatchObject({ inputs: ['one two', 'three'], ticket: { priority: 'live', deadlineMs: 900_000 } });
  });

  it.each<[unknown, unknown]>([
    ['one', ['one']],
    [[1, 2], [[1, 2]]],
    [
      [[1], [2, 3]],
      [[1], [2, 3]],
    ],
  ])('reads the input %j', async (input, inputs) => {
    expect((await post(at, '/v1/embeddings', { model: 'support', input })).status).toBe(200);
    expect(stable.seenEmbeds[0]?.inputs).toEqual(inputs);
  });

  it('packs the same numbers as base64 of little-endian floats', async () => {
    const ask = async (encoding_format: string) =>
      await post<Embeddings<unknown>>(at, '/v1/embeddings', { model: 'support', input: 'one', encoding_format });
    const plain = (await ask('float')).body.data[0]?.embedding as number[];
    const packed = Buffer.from((await ask('base64')).body.data[0]?.embedding as string, 'base64');
    expect(packed).toHaveLength(16);
    expect(plain.map((_, index) => packed.readFloatLE(index * 4))).toEqual(plain.map(Math.fround));
  });

  it('asks stable while a rollout gives everything to the candidate, and the candidate when it is pinned', async () => {
    await post(at, '/v1/embeddings', { model: 'support', input: 'one' });
    expect([stable.seenEmbeds.length, candidate.seenEmbeds.length]).toEqual([1, 0]);
    const pinned = await post(at, '/v1/embeddings', { model: 'support', input: 'one' }, { 'x-serin-version': 'v2' });
    expect(pinned.headers.get('x-serin-version')).toBe('v2');
    expect(candidate.seenEmbeds).toHaveLength(1);
  });

  it.each<[object, number, string, string]>([
    [{ input: '' }, 400, 'invalid_value', 'input'],
    [{ input: [] }, 400, 'invalid_value', 'input'],
    [{ input: [1.5] }, 400, 'invalid_value', 'input'],
    [{ encoding_format: 'hex' }, 400, 'invalid_value', 'encoding_format'],
    [{ dimensions: 2 }, 400, 'unsupported_parameter', 'dimensions'],
    [{ n: 2 }, 400, 'unknown_parameter', 'n'],
    [{ model: 'mute' }, 400, 'unsupported_parameter', 'model'],
    [{ model: 'nobody' }, 404, 'model_not_found', 'model'],
  ])('refuses %j', async (extra, status, code, param) => {
    const reply = await post<ErrorBody>(at, '/v1/embeddings', { model: 'support', input: 'one', ...extra });
    expect([reply.status, reply.body.error.code, reply.body.error.param]).toEqual([status, code, param]);
  });

  it('says when a busy engine will have room', async () => {
    stable.behaviour = { failWith: () => ({ code: 'engine.overloaded', message: 'full', retryable: true, retryAfterMs: 2_001 }) };
    const { status, headers } = await post(at, '/v1/embeddings', { model: 'support', input: 'one' });
    expect([status, headers.get('retry-after')]).toEqual([429, '3']);
  });
});
