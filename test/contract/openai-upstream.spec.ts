// A version behind another OpenAI-compatible server. The upstream here is a second gateway on a real model, so both ends of the wire are real.
import OpenAI, { type APIError } from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { aGateway, aKey, aVersion, publish, readyz, type TestGateway, until, untilServing } from '../support/gateway.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';

const credentialEnv = 'SERIN_TEST_UPSTREAM_KEY';
let upstreamDatabase: TestDatabase;
let database: TestDatabase;
let upstream: TestGateway;
let gateway: TestGateway;
let client: OpenAI;
const question = { role: 'user', content: 'Shipped 2026-12-11, arrives in 2 days. Date?' } as const;

beforeAll(async () => {
  upstreamDatabase = await createTestDatabase();
  database = await createTestDatabase();
  const native = aVersion('native', {
    engine: { kind: 'llama', file: 'demo-support-v1-stable.gguf', contextSize: 512, parallel: 2, threads: 1 },
  });
  const first = await publish(upstreamDatabase, { routes: [{ model: 'support', stable: native.id, rollout: null }], versions: [native] });
  upstream = await aGateway(upstreamDatabase.url, { gatewayId: 'upstream' });
  await untilServing(upstream.url, first);
  process.env[credentialEnv] = await aKey(upstreamDatabase);
  await until(async () => {
    const models = await fetch(`${upstream.url}/v1/models`, { headers: { authorization: `Bearer ${process.env[credentialEnv]}` } });
    return models.status === 200;
  }, 'the upstream to know the key');

  const remote = aVersion('remote', { engine: { kind: 'openai', baseUrl: `${upstream.url}/v1`, model: 'support', credentialEnv } });
  const second = await publish(database, { routes: [{ model: 'public-name', stable: remote.id, rollout: null }], versions: [remote] });
  const key = await aKey(database);
  gateway = await aGateway(database.url);
  await untilServing(gateway.url, second);
  client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: key, maxRetries: 0, timeout: 30_000 });
}, 120_000);

afterAll(async () => {
  delete process.env[credentialEnv];
  await gateway?.remove();
  await upstream?.remove();
  await database?.drop();
  await upstreamDatabase?.drop();
});

describe('a version behind an OpenAI-compatible server', () => {
  it('answers whole under its public name, with the usage that the upstream counted', async () => {
    const answer = await client.chat.completions.create({ model: 'public-name', messages: [question], temperature: 0, max_tokens: 100 });
    expect(answer.choices[0]?.message.content).toBe('2026-12-11+2=2026-12-13');
    expect(answer.model).toBe('public-name');
    expect(answer.usage?.completion_tokens).toBeGreaterThan(5);
  });

  it('answers as a stream', async () => {
    const stream = await client.chat.completions.create({
      model: 'public-name',
      messages: [question],
      temperature: 0,
      max_tokens: 100,
      stream: true,
    });
    let text = '';
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    expect(text).toBe('2026-12-11+2=2026-12-13');
  });

  it("passes the upstream's refusal of a request on as the client's error", async () => {
    await expect(
      client.chat.completions.create({ model: 'public-name', messages: [{ role: 'user', content: 'long '.repeat(4_000) }] }),
    ).rejects.toMatchObject({ status: 400 });
  });

  it('answers 503 with a time while the upstream is gone, and is well again when it is back', async () => {
    const { dataDir, url } = upstream;
    await upstream.close();
    const asked = client.chat.completions.create({ model: 'public-name', messages: [question] });
    const refusal: unknown = await asked.catch((error: unknown) => error);
    expect(refusal).toMatchObject({ status: 503, code: 'engine_unavailable' });
    expect(Number((refusal as APIError).headers?.get('retry-after'))).toBeGreaterThan(0);
    upstream = await aGateway(upstreamDatabase.url, { gatewayId: 'upstream', dataDir, port: Number(new URL(url).port) });
    await until(
      async () => Object.values((await readyz(upstream.url)).checks.engines).every((engine) => engine.state === 'ready'),
      'the upstream',
      60_000,
    );
    const answer = await client.chat.completions.create({ model: 'public-name', messages: [question], temperature: 0, max_tokens: 100 });
    expect(answer.choices[0]?.message.content).toBe('2026-12-11+2=2026-12-13');
  });
});
