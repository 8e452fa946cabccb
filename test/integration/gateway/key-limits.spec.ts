// The limits of a key as a client meets them: headers on every answer, 429 with the time to wait, and everything given back that was not used.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type KeyLimits, unlimited } from '#libs/contract';
import { ApiKeyStore } from '#libs/storage';
import { type ErrorBody, post, type Reply } from '../../support/client.js';
import { aGateway, aVersion, fakeFactory, publish, type TestGateway, until, untilServing } from '../../support/gateway.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';
import { RawClient, rawPost } from '../../support/raw-client.js';
import { RelayEngine } from '../../support/relay-engine.js';

const path = '/v1/chat/completions';
const messages = [{ role: 'user', content: 'Hi' }];
/** Answered by the upstream's bytes, and from tokens. */
const [shortWay, longWay] = ['relayed', 'told'];
const engine = new RelayEngine();
let test: TestDatabase;
let gateway: TestGateway;

beforeAll(async () => {
  test = await createTestDatabase();
  const [relayed, told] = [aVersion('relayed', undefined, shortWay), aVersion('told', undefined, longWay)];
  const generation = await publish(test, {
    routes: [relayed, told].map(({ model, id }) => ({ model, stable: id, rollout: null })),
    versions: [relayed, told],
  });
  gateway = await aGateway(test.url, { factory: fakeFactory({ relayed: engine }) });
  await untilServing(gateway.url, generation);
});
afterAll(async () => {
  await gateway?.remove();
  await test?.drop();
});
beforeEach(() => {
  engine.relayed.length = 0;
  engine.serve = (one) => {
    if (one.request.stream) one.write('data: [DONE]\n\n');
    else one.answer('{"choices":[]}');
    if (one.request.stream) one.end();
  };
});

/** A key that the gateway knows. Of a limit of two a minute the next one is there in half a minute. */
async function keyWith(limits: Partial<KeyLimits> | null): Promise<{ id: string; key: string }> {
  const made = await new ApiKeyStore().create(test.database.manager, {
    name: 'shop',
    scopes: ['inference:invoke'],
    limits: limits && { ...unlimited, ...limits },
  });
  const headers = { authorization: `Bearer ${made.key}` };
  await until(async () => (await fetch(`${gateway.url}/v1/models`, { headers })).status === 200, 'the key to be known');
  return made;
}

const ask = async (key: string, more: object = {}, at = gateway.url): Promise<Reply<ErrorBody>> =>
  await post({ url: at, key }, path, { model: shortWay, messages, ...more });

const rateHeaders = ({ headers }: Reply<ErrorBody>): Record<string, string> =>
  Object.fromEntries([...headers].filter(([name]) => name.startsWith('x-ratelimit-')).map(([name, value]) => [name.slice(12), value]));

describe('requests a minute', () => {
  it.each([
    ['bytes of the upstream, whole', { model: shortWay }],
    ['bytes of the upstream, streamed', { model: shortWay, stream: true }],
    ['answers made from tokens', { model: longWay }],
    ['answers made from tokens, streamed', { model: longWay, stream: true }],
  ])('are told with %s', async (_what, body) => {
    const { key } = await keyWith({ requestsPerMinute: 2 });
    const first = await ask(key, body);
    expect(first.status).toBe(200);
    expect(rateHeaders(first)).toEqual({
      'limit-requests': '2',
      'remaining-requests': '1',
      'reset-requests': expect.stringMatching(/^(30|29\.\d+)s$/),
    });
    expect(rateHeaders(await ask(key, body))['remaining-requests']).toBe('0');
    const refused = await ask(key, body);
    expect(refused).toMatchObject({ status: 429, body: { error: { code: 'rate_limit_exceeded' } } });
    expect(refused.body.error.message).toContain('"shop" may make 2 requests per minute');
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(20);
    expect(rateHeaders(refused)['remaining-requests']).toBe('0');
  });

  it('are one purse for all endpoints, and looking at the models is free', async () => {
    const { key } = await keyWith({ requestsPerMinute: 1 });
    expect((await ask(key)).status).toBe(200);
    for (const other of ['/v1/completions', '/v1/responses', '/v1/embeddings', '/v1/score']) {
      expect((await post({ url: gateway.url, key }, other, { model: shortWay, input: 'Hi', prompt: 'Hi' })).status).toBe(429);
    }
    expect((await fetch(`${gateway.url}/v1/models`, { headers: { authorization: `Bearer ${key}` } })).status).toBe(200);
  });

  it('that are refused for their content have been asked, and say what is left', async () => {
    const { key } = await keyWith({ requestsPerMinute: 2 });
    const wrong = await ask(key, { model: 'nothing' });
    expect([wrong.status, rateHeaders(wrong)['remaining-requests']]).toEqual([404, '1']);
  });

  it('follow a change of the limits, up and away', async () => {
    const { id, key } = await keyWith({ requestsPerMinute: 1 });
    expect([(await ask(key)).status, (await ask(key)).status]).toEqual([200, 429]);
    const keys = new ApiKeyStore();
    await keys.setLimits(test.database.manager, id, { ...unlimited, requestsPerMinute: 1_000 });
    await until(async () => (await ask(key)).status === 200, 'the higher limit');
    await keys.setLimits(test.database.manager, id, null);
    await until(async () => Object.keys(rateHeaders(await ask(key))).length === 0, 'no limit');
  });
});

describe('tokens a minute', () => {
  it('are held while a request runs, and settled by what it used', async () => {
    const { key } = await keyWith({ tokensPerMinute: 200 });
    const large = { max_tokens: 150 };
    engine.serve = null;
    const first = ask(key, large);
    await until(() => engine.relayed.length === 1, 'the first request');
    const refused = await ask(key, large);
    expect(refused).toMatchObject({ status: 429, body: { error: { code: 'rate_limit_exceeded' } } });
    expect(refused.body.error.message).toContain('200 tokens per minute');
    expect(Number(rateHeaders(refused)['remaining-tokens'])).toBeLessThan(50);
    // Six tokens, by its usage.
    engine.last.answer('{}');
    const answered = await first;
    expect([answered.status, rateHeaders(answered)['limit-tokens']]).toEqual([200, '200']);
    engine.serve = (one) => one.answer('{}');
    expect((await ask(key, large)).status).toBe(200);
  });

  it('are given back whole when the version fails before its first token', async () => {
    const { key } = await keyWith({ tokensPerMinute: 100 });
    engine.serve = (one) => one.fail({ code: 'engine.upstream-error', message: 'broken', retryable: false });
    expect((await ask(key, { max_tokens: 80 })).status).toBe(502);
    engine.serve = (one) => one.answer('{}');
    expect((await ask(key, { max_tokens: 80 })).status).toBe(200);
  });
});

describe('requests at once', () => {
  it('are as many as the limit, until one has been answered or its client has left', async () => {
    const { key } = await keyWith({ concurrentRequests: 2 });
    engine.serve = null;
    const answered = ask(key);
    const leaving = new RawClient(gateway.url).send(rawPost(key, { model: shortWay, messages }));
    await until(() => engine.relayed.length === 2, 'two requests');
    const refused = await ask(key);
    expect(refused).toMatchObject({ status: 429, body: { error: { code: 'rate_limit_exceeded' } } });
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(rateHeaders(refused)).toEqual({});
    const both = [...engine.relayed];
    leaving.close();
    await until(() => both.some((one) => one.cancelled), 'the departure');
    both.find((one) => !one.cancelled)?.answer('{}');
    expect((await answered).status).toBe(200);
    engine.serve = (one) => one.answer('{}');
    expect([(await ask(key)).status, (await ask(key)).status]).toEqual([200, 200]);
  });

  it('hold a place as long as a stream lasts', async () => {
    const { key } = await keyWith({ concurrentRequests: 1 });
    engine.serve = (one) => one.write('data: {"choices":[]}\n\n');
    const streaming = new RawClient(gateway.url).send(rawPost(key, { model: shortWay, messages, stream: true }));
    await streaming.untilReceived('choices');
    expect((await ask(key)).status).toBe(429);
    engine.last.write('data: [DONE]\n\n');
    engine.last.end();
    await streaming.untilReceived('[DONE]');
    engine.serve = (one) => one.answer('{}');
    await until(async () => (await ask(key)).status === 200, 'the place');
    streaming.close();
  });
});

describe('the defaults of a gateway', () => {
  it('bind keys that have no limits, and no others', async () => {
    const [without, own, free] = [await keyWith(null), await keyWith({ requestsPerMinute: 5 }), await keyWith({})];
    const second = await aGateway(test.url, {
      gatewayId: 'with-defaults',
      factory: fakeFactory({ relayed: engine }),
      keyLimits: { ...unlimited, requestsPerMinute: 2 },
    });
    try {
      await until(async () => (await ask(free.key, {}, second.url)).status === 200, 'readiness');
      const [bound, higher, none] = await Promise.all([without, own, free].map(async ({ key }) => await ask(key, {}, second.url)));
      // Two gateways share what the key of five may ask.
      expect([bound, higher, none].map((reply) => reply && rateHeaders(reply)['limit-requests'])).toEqual(['1', '2', undefined]);
    } finally {
      await second.remove();
    }
  });
});
