// The headers by which a client steers a request: uncertainty, priority, deadline; what they show, whom they bind, what they leave behind.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FakeEngine } from '#libs/engine';
import { WindowStore } from '#libs/storage';
import { chunksOf, type ErrorBody, post } from '../../support/client.js';
import { aGateway, aKey, aVersion, fakeFactory, publish, type TestGateway, until, untilServing } from '../../support/gateway.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';

let test: TestDatabase;
let gateway: TestGateway;
let at: { url: string; key: string };
let weak: { url: string; key: string };
const engine = new FakeEngine();
const rolloutId = randomUUID();

beforeAll(async () => {
  test = await createTestDatabase();
  const key = await aKey(test);
  const weakKey = await aKey(test, ['inference:invoke']);
  const v1 = aVersion('v1');
  // Seen with every request: weight 1, and the candidate is the engine under test.
  const [quiet, candidate] = [aVersion('quiet', undefined, 'observed'), aVersion('v1', undefined, 'observed')];
  const rollout = { id: rolloutId, candidate: candidate.id, weight: 1, epoch: 1, salt: '0'.repeat(32) };
  const generation = await publish(test, {
    routes: [
      { model: 'support', stable: v1.id, rollout: null },
      { model: 'observed', stable: quiet.id, rollout },
    ],
    versions: [v1, quiet, candidate],
  });
  gateway = await aGateway(test.url, { factory: fakeFactory({ v1: engine }) });
  await untilServing(gateway.url, generation);
  at = { url: gateway.url, key };
  weak = { url: gateway.url, key: weakKey };
});
afterAll(async () => {
  await gateway?.remove();
  await test?.drop();
});
beforeEach(() => {
  engine.behaviour = {};
  engine.seen.length = 0;
});

const chat = { model: 'support', messages: [{ role: 'user', content: 'Hi' }] };
const path = '/v1/chat/completions';

describe('x-serin-uncertainty: 1', () => {
  const header = { 'x-serin-uncertainty': '1' };
  const entropies = [0.12345, 1.5, 0.3];

  it('adds the entropy of every token, per choice, to a whole answer', async () => {
    engine.behaviour = {
      tokens: () => ['a', 'b', 'c'],
      uncertainty: (choice, index) => ({ kind: 'exact', entropyNats: (entropies[index] ?? 0) + choice, nllNats: 0.5, marginNats: 2 }),
    };
    const { body } = await post<{ serin: unknown }>(at, path, { ...chat, n: 2 }, header);
    const mean = (0.12345 + 1.5 + 0.3) / 3;
    expect(body.serin).toEqual({
      version: 'v1',
      uncertainty: [
        {
          index: 0,
          kind: 'exact',
          entropy_mean: Number(mean.toFixed(6)),
          entropy_max: 1.5,
          nll_mean: 0.5,
          margin_mean: 2,
          tokens: [0.123, 1.5, 0.3],
        },
        {
          index: 1,
          kind: 'exact',
          entropy_mean: Number((mean + 1).toFixed(6)),
          entropy_max: 2.5,
          nll_mean: 0.5,
          margin_mean: 2,
          tokens: [1.123, 2.5, 1.3],
        },
      ],
    });
  });

  it('shows the bounds of an upstream as bounds, with the mass they do not know', async () => {
    engine.behaviour = {
      tokens: () => ['a', 'b'],
      uncertainty: (_choice, index) => ({
        kind: 'bounds',
        lowerNats: 0.2 + index,
        upperNats: 0.6 + index,
        restMass: 0.1,
        k: 20,
        nllNats: 0.4,
      }),
    };
    const { body } = await post<{ serin: { uncertainty: object[] } }>(at, path, chat, header);
    expect(body.serin.uncertainty).toEqual([
      {
        index: 0,
        kind: 'bounds',
        entropy_lower_mean: 0.7,
        entropy_upper_mean: 1.1,
        censored_mass_mean: 0.1,
        nll_mean: 0.4,
        tokens: [
          [0.2, 0.6, 0.1],
          [1.2, 1.6, 0.1],
        ],
      },
    ]);
  });

  it('says none where the engine does not tell it of every token', async () => {
    engine.behaviour = {
      uncertainty: (_choice, index) => (index === 0 ? { kind: 'none' } : { kind: 'exact', entropyNats: 1, nllNats: 1, marginNats: 1 }),
    };
    const { body } = await post<{ serin: { uncertainty: object[] } }>(at, path, chat, header);
    expect(body.serin.uncertainty).toEqual([{ index: 0, kind: 'none' }]);
  });

  it.each([
    [path, chat],
    ['/v1/completions', { model: 'support', prompt: 'Hi' }],
  ])('comes in the last chunk of a stream of %s, and in no other', async (to, body) => {
    for (const include_usage of [true, false]) {
      const { text } = await post(at, to, { ...body, stream: true, stream_options: { include_usage } }, header);
      const chunks = chunksOf<{ choices: unknown[]; usage?: object | null; serin?: { version: string; uncertainty: object[] } }>(text);
      const last = chunks.pop();
      expect(last?.choices).toEqual([]);
      expect(last?.serin).toMatchObject({ version: 'v1', uncertainty: [{ index: 0, kind: 'exact', tokens: [0.3, 0.3] }] });
      expect(last?.usage !== undefined).toBe(include_usage);
      expect(chunks.some((chunk) => 'serin' in chunk)).toBe(false);
    }
  });
});

describe('the ticket of a request', () => {
  it('names the key as tenant, the same for one key and another for another, never the key', async () => {
    await post(at, path, chat);
    await post(at, path, chat);
    await until(async () => (await post(weak, path, chat)).status === 200, 'the key to be known');
    const tenants = engine.seen.map((request) => request.ticket?.tenant ?? '');
    expect(tenants[0]).toMatch(/^[0-9a-f]{16}$/);
    expect(tenants[1]).toBe(tenants[0]);
    expect(tenants.at(-1)).not.toBe(tenants[0]);
    expect(engine.seen[0]?.ticket).toMatchObject({ priority: 'live', deadlineMs: 900_000 });
  });

  it('has the deadline and the priority that the headers say', async () => {
    await post(at, path, chat, { 'x-serin-timeout-ms': '60000', 'x-serin-priority': 'shadow' });
    expect(engine.seen[0]?.ticket).toMatchObject({ priority: 'shadow', deadlineMs: 60_000 });
  });

  it('ends what is not whole within the deadline, and stops the engine', async () => {
    engine.behaviour = { firstTokenMs: 10_000 };
    const before = engine.cancelled;
    const { status, body } = await post<ErrorBody>(at, path, chat, { 'x-serin-timeout-ms': '50' });
    expect([status, body.error.code]).toEqual([504, 'timeout']);
    expect(engine.cancelled).toBe(before + 1);
  });

  it('is lower than live only for keys that may pin', async () => {
    await until(async () => (await post(weak, path, chat)).status === 200, 'the key to be known');
    for (const priority of ['evaluation', 'shadow']) {
      const { status, body } = await post(weak, path, chat, { 'x-serin-priority': priority });
      expect([status, body.error.code]).toEqual([403, 'missing_scope']);
    }
    expect((await post(weak, path, chat, { 'x-serin-priority': 'live' })).status).toBe(200);
  });

  it.each([
    ['x-serin-timeout-ms', '0'],
    ['x-serin-timeout-ms', '600001'],
    ['x-serin-timeout-ms', '1.5'],
    ['x-serin-timeout-ms', 'soon'],
    ['x-serin-priority', 'urgent'],
    ['x-serin-uncertainty', 'yes'],
  ])('is refused for %s: %s', async (name, value) => {
    const { status, body } = await post(at, path, chat, { [name]: value });
    expect([status, body.error.code, body.error.param]).toEqual([400, 'invalid_value', name]);
  });
});

describe('Retry-After', () => {
  it.each([
    [undefined, '1'],
    [1, '1'],
    [1_000, '1'],
    [12_345, '13'],
  ])('of a full engine that has room in %s ms is %s seconds', async (retryAfterMs, seconds) => {
    engine.behaviour = {
      failWith: () => ({
        code: 'engine.overloaded',
        message: 'full',
        retryable: true,
        ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      }),
    };
    const { status, headers, body } = await post(at, path, chat);
    expect([status, headers.get('retry-after'), body.error.code, body.error.type]).toEqual([
      429,
      seconds,
      'overloaded',
      'rate_limit_error',
    ]);
  });

  it('is there while a version comes back, too', async () => {
    engine.behaviour = { failWith: () => ({ code: 'engine.not-loaded', message: 'restarts', retryable: true, retryAfterMs: 3_500 }) };
    const { status, headers } = await post(at, path, chat);
    expect([status, headers.get('retry-after')]).toEqual([503, '4']);
  });
});

describe('the observation of a request', () => {
  const observed = { ...chat, model: 'observed' };

  it('is one whatever the number of answers, counts all tokens, and leaves bounds out of entropy', async () => {
    engine.behaviour = {
      tokens: () => ['a', 'b'],
      uncertainty: (choice) => ({ kind: 'exact', entropyNats: choice === 0 ? 0.5 : 1.5, nllNats: 0.5, marginNats: 1 }),
    };
    await post(at, path, { ...observed, n: 3 }, { 'x-serin-class': 'several' });
    engine.behaviour = {
      uncertainty: () => ({ kind: 'bounds', lowerNats: 0.1, upperNats: 0.9, restMass: 0.2, k: 5, nllNats: 0.7 }),
    };
    await post(at, path, observed, { 'x-serin-class': 'bounded' });
    await post(at, path, observed, { 'x-serin-class': 'background', 'x-serin-priority': 'evaluation' });
    await post(at, '/v1/score', { model: 'observed', input: 'a b' }, { 'x-serin-class': 'scored' });
    const windows = async () => await new WindowStore().ofRollout(test.database.manager, rolloutId);
    await until(async () => (await windows()).some((window) => window.key.promptClass === 'bounded'), 'the windows');
    const of = async (name: string) => (await windows()).filter((window) => window.key.promptClass === name);
    const [several] = await of('several');
    expect(several?.counts).toMatchObject({ responses: 1 });
    expect([...(several?.counts.histograms.entropy.values() ?? [])]).toEqual([1]);
    const [bounded] = await of('bounded');
    expect(bounded?.counts.responses).toBe(1);
    expect(bounded?.counts.histograms.entropy.size).toBe(0);
    expect(await of('background')).toEqual([]);
    expect(await of('scored')).toEqual([]);
  });
});
