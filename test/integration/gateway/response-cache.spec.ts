// The response cache in a whole gateway, on both ways to an engine: who is given an answer again, who never is, and what it leaves behind.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FakeEngine } from '#libs/engine';
import type { ServedVersion } from '#libs/rollout';
import { ApiKeyStore } from '#libs/storage';
import { post } from '../../support/client.js';
import { aGateway, aKey, aVersion, fakeFactory, publish, readyz, type TestGateway, until, untilServing } from '../../support/gateway.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';
import { RelayEngine } from '../../support/relay-engine.js';

let test: TestDatabase;
let gateway: TestGateway;
let at: { url: string; key: string };
const near = new FakeEngine();
const far = new RelayEngine();
const [stable, candidate] = [new FakeEngine(), new FakeEngine()];
const rolloutId = randomUUID();
const path = '/v1/chat/completions';
const use = { 'x-serin-cache': 'use' };
const digests = new Map<string, ServedVersion>();
const version = (label: string, model: string, digit: string): ServedVersion => {
  const one = { ...aVersion(label, undefined, model), digest: digit.repeat(64) };
  digests.set(label, one);
  return one;
};
const versions = [version('near', 'near', '1'), version('far', 'far', '2'), version('v1', 'rolled', '3'), version('v2', 'rolled', '4')];
const idOf = (label: string): string => digests.get(label)?.id ?? '';
let asked = 0;
const ask = (model: string, more: object = {}) => ({
  model,
  messages: [{ role: 'user', content: `Question ${asked}` }],
  temperature: 0,
  ...more,
});

async function roll(weight: number): Promise<void> {
  const rollout = { id: rolloutId, candidate: idOf('v2'), weight, epoch: 1, salt: '0'.repeat(32) };
  const routes = [
    { model: 'near', stable: idOf('near'), rollout: null },
    { model: 'far', stable: idOf('far'), rollout: null },
    { model: 'rolled', stable: idOf('v1'), rollout },
  ];
  await untilServing(gateway.url, await publish(test, { routes, versions }));
}

beforeAll(async () => {
  test = await createTestDatabase();
  const key = await aKey(test);
  gateway = await aGateway(test.url, {
    factory: fakeFactory({ near, far, v1: stable, v2: candidate }),
    cache: { bytes: 1_000_000, ttlMs: 60_000 },
  });
  await roll(0);
  at = { url: gateway.url, key };
});
afterAll(async () => {
  await gateway?.remove();
  await test?.drop();
});
beforeEach(() => {
  asked += 1;
  // No two answers of an engine are the same.
  let answers = 0;
  const next = (): number => {
    answers += 1;
    return answers;
  };
  const behaviour = { tokens: () => ['Answer', ` ${next()}`] };
  for (const one of [near, stable, candidate]) one.behaviour = behaviour;
  far.serve = (one) => {
    const answer = next();
    const event = `data: {"choices":[{"index":0,"delta":{"content":"${answer}"}}]}\n\n`;
    if (!one.request.stream) return one.answer(`{"answer":${answer}}`);
    one.write(event);
    one.write(`${event}data: [DONE]\n\n`);
    one.end();
  };
});

const cacheOf = (answer: { headers: Headers }): string | null => answer.headers.get('x-serin-cache');
const figures = async (): Promise<Record<string, number>> => {
  const answer = await fetch(`${gateway.url}/readyz?verbose`, { signal: AbortSignal.timeout(5_000) });
  return ((await answer.json()) as { checks: { cache: Record<string, number> } }).checks.cache;
};

describe.each(['near', 'far'])('an answer of the %s engine', (model) => {
  it.each([false, true])('is given again, byte for byte, under its own request id (stream: %s)', async (stream) => {
    const first = await post(at, path, ask(model, { stream }), use);
    const again = await post(at, path, ask(model, { stream }), use);
    expect([cacheOf(first), cacheOf(again)]).toEqual(['miss', 'hit']);
    expect(again.text).toBe(first.text);
    expect(again.status).toBe(200);
    for (const name of ['content-type', 'x-serin-version', 'cache-control']) expect(again.headers.get(name)).toBe(first.headers.get(name));
    expect(again.headers.get('x-request-id')).not.toBe(first.headers.get('x-request-id'));
  });

  it('is given again whatever the order of the fields', async () => {
    const first = await post(at, path, ask(model), use);
    const again = await post(at, path, Object.fromEntries(Object.entries(ask(model)).reverse()), use);
    expect([cacheOf(again), again.text]).toEqual(['hit', first.text]);
  });

  it.each<[string, object, Record<string, string>]>([
    ['to who did not ask for it', {}, {}],
    ['where chance decides', { temperature: 0.7 }, use],
    ['where something else is asked', { max_tokens: 7 }, use],
    ['as a stream of a whole', { stream: true }, use],
  ])('is not given again %s', async (_who, more, headers) => {
    const first = await post(at, path, ask(model), use);
    const other = await post(at, path, ask(model, more), headers);
    expect(other.text).not.toBe(first.text);
    expect(cacheOf(other)).toBe(headers === use ? ('temperature' in more ? 'bypass' : 'miss') : null);
  });

  it('is not given to another key', async () => {
    const first = await post(at, path, ask(model), use);
    const another = { ...at, key: await aKey(test) };
    await until(async () => (await post(another, path, ask(model))).status === 200, 'the key to be known');
    const other = await post(another, path, ask(model), use);
    expect(cacheOf(other)).toBe('miss');
    expect(other.text).not.toBe(first.text);
  });
});

describe('what is not whole is not kept', () => {
  it('an error', async () => {
    near.behaviour = { failWith: () => ({ code: 'engine.failed', message: 'no', retryable: false }) };
    expect((await post(at, path, ask('near'), use)).status).toBe(502);
    near.behaviour = {};
    const good = await post(at, path, ask('near'), use);
    expect([good.status, cacheOf(good)]).toEqual([200, 'miss']);
  });

  it.each(['near', 'far'])('a stream of the %s engine that broke off', async (model) => {
    near.behaviour = { tokens: () => ['a', 'b', 'c'], dieAfterTokens: 2 };
    const usual = far.serve;
    far.serve = (one) => {
      one.write('data: {"choices":[{"index":0,"delta":{"content":"half"}}]}\n\n');
      one.fail({ code: 'engine.crashed', message: 'gone', retryable: false });
    };
    const cut = await post(at, path, ask(model, { stream: true }), use);
    expect(cut.text).not.toContain('[DONE]');
    near.behaviour = {};
    far.serve = usual;
    const good = await post(at, path, ask(model, { stream: true }), use);
    expect(cacheOf(good)).toBe('miss');
    expect(good.text).toContain('[DONE]');
  });

  it("stable's answer in place of a candidate's", async () => {
    await roll(1);
    candidate.behaviour = { failWith: () => ({ code: 'engine.failed', message: 'no', retryable: false }) };
    for (let n = 0; n < 2; n += 1) {
      const rescued = await post(at, path, ask('rolled'), use);
      expect([cacheOf(rescued), rescued.headers.get('x-serin-version')]).toEqual(['miss', 'v1']);
    }
    await roll(0);
  });
});

describe('a rollout', () => {
  it("has answers of its own: a candidate's are out of reach once it is taken back", async () => {
    const before = await post(at, path, ask('rolled'), use);
    await roll(1);
    const during = await post(at, path, ask('rolled'), use);
    expect([cacheOf(during), during.headers.get('x-serin-version')]).toEqual(['miss', 'v2']);
    expect(cacheOf(await post(at, path, ask('rolled'), use))).toBe('hit');
    await roll(0);
    const after = await post(at, path, ask('rolled'), use);
    expect([cacheOf(after), after.headers.get('x-serin-version'), after.text]).toEqual(['hit', 'v1', before.text]);
  });

  it('compares neither what is given again nor what one arm could have given again', async () => {
    const windows = async (): Promise<unknown> =>
      await test.database.manager.query(
        'select arm, sum(responses)::int as n from windows where version_id = $1 and prompt_class = $2 group by arm order by arm',
        [idOf('v2'), 'known'],
      );
    const count = (rows: { arm: string | null; n: number }[], arm: string | null): number => rows.find((row) => row.arm === arm)?.n ?? 0;
    await post(at, path, ask('rolled'), { ...use, 'x-serin-class': 'known' });
    await roll(1);
    // Known to stable; then known to the candidate; then new.
    for (let n = 0; n < 3; n += 1) await post(at, path, ask('rolled'), { ...use, 'x-serin-class': 'known' });
    await post(at, path, ask('rolled', { max_tokens: 3 }), { ...use, 'x-serin-class': 'known' });
    await until(async () => {
      const now = (await windows()) as { arm: string | null; n: number }[];
      return count(now, null) === 1 && count(now, 'candidate') === 1;
    }, 'one answer of the candidate with its arm and one without');
    await roll(0);
  });
});

describe('the cache', () => {
  it('counts, and costs a key no tokens', async () => {
    const limits = { requestsPerMinute: null, tokensPerMinute: 100_000, concurrentRequests: null };
    const { key } = await new ApiKeyStore().create(test.database.manager, { name: 'poor', scopes: ['inference:invoke'], limits });
    const poor = { ...at, key };
    await until(async () => (await post(poor, path, ask('near'))).status === 200, 'the key to be known');
    const before = await figures();
    const left = (answer: { headers: Headers }): number => Number(answer.headers.get('x-ratelimit-remaining-tokens'));
    await post(poor, path, ask('near'), use);
    const answers = [];
    for (let n = 0; n < 3; n += 1) answers.push(await post(poor, path, ask('near'), use));
    // What drains meanwhile is more, what is held is the same.
    expect(left(answers[2] as (typeof answers)[0])).toBeGreaterThanOrEqual(left(answers[0] as (typeof answers)[0]));
    await post(at, path, ask('near', { temperature: 1 }), use);
    const after = await figures();
    const grown = Object.fromEntries(['hits', 'misses', 'bypasses'].map((name) => [name, (after[name] ?? 0) - (before[name] ?? 0)]));
    expect(grown).toEqual({ hits: 3, misses: 1, bypasses: 1 });
    expect(after['bytes']).toBeGreaterThan(0);
  });

  it('is asked for by one word only', async () => {
    const answer = await post(at, path, ask('near'), { 'x-serin-cache': 'yes' });
    expect([answer.status, answer.body.error.param]).toEqual([400, 'x-serin-cache']);
  });

  it('that has no memory answers everybody anew, and says so', async () => {
    const other = await aGateway(test.url, { factory: fakeFactory({ near }), gatewayId: 'without' });
    await untilServing(other.url, (await readyz(gateway.url)).checks.routingTable?.generation ?? 0);
    const to = { ...at, url: other.url };
    const [first, again] = [await post(to, path, ask('near'), use), await post(to, path, ask('near'), use)];
    expect([cacheOf(first), cacheOf(again)]).toEqual(['bypass', 'bypass']);
    expect(again.text).not.toBe(first.text);
    await other.remove();
  });
});
