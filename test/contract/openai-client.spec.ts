// The official OpenAI client against the gateway, on a real model: whatever the client promises its users must hold here.
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { aGateway, aKey, aVersion, publish, type TestGateway, untilServing } from '../support/gateway.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';

let test: TestDatabase;
let gateway: TestGateway;
let client: OpenAI;
let key: string;
const question = { role: 'user', content: 'Shipped 2026-12-11, arrives in 2 days. Date?' } as const;

beforeAll(async () => {
  test = await createTestDatabase();
  key = await aKey(test);
  const v1 = aVersion('v1', {
    engine: { kind: 'llama', file: 'demo-support-v1-stable.gguf', contextSize: 512, parallel: 2, threads: 1 },
    sampling: { maxTokens: 120 },
  });
  const generation = await publish(test, { routes: [{ model: 'support', stable: v1.id, rollout: null }], versions: [v1] });
  gateway = await aGateway(test.url);
  await untilServing(gateway.url, generation);
  client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: key, maxRetries: 0, timeout: 30_000 });
}, 90_000);

afterAll(async () => {
  await gateway?.remove();
  await test?.drop();
});

describe('the openai client', () => {
  it('lists the models in service', async () => {
    const models = await client.models.list();
    expect(models.data.map((model) => model.id)).toEqual(['support']);
    expect(await client.models.retrieve('support')).toMatchObject({ id: 'support', object: 'model', owned_by: 'serin' });
  });

  it('gets a whole answer with usage and the serving version in a header', async () => {
    const { data, response } = await client.chat.completions
      .create({ model: 'support', messages: [question], temperature: 0 })
      .withResponse();
    expect(data.choices[0]?.message.content).toBe('2026-12-11+2=2026-12-13');
    expect(data.choices[0]?.finish_reason).toBe('stop');
    expect(data.usage?.total_tokens).toBe((data.usage?.prompt_tokens ?? 0) + (data.usage?.completion_tokens ?? 0));
    expect(data.usage?.completion_tokens).toBeGreaterThan(5);
    expect(response.headers.get('x-serin-version')).toBe('v1');
    expect(response.headers.get('x-request-id')).toBeTruthy();
  });

  it('streams the same text piece by piece and ends with usage when it asked for it', async () => {
    const stream = await client.chat.completions.create({
      model: 'support',
      messages: [question],
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = '';
    let pieces = 0;
    let usage: OpenAI.CompletionUsage | null | undefined;
    let finish: string | null = null;
    for await (const chunk of stream) {
      const piece = chunk.choices[0]?.delta.content ?? '';
      if (piece) pieces += 1;
      text += piece;
      finish = chunk.choices[0]?.finish_reason ?? finish;
      usage = chunk.usage ?? usage;
    }
    expect(text).toBe('2026-12-11+2=2026-12-13');
    expect(pieces).toBeGreaterThan(1);
    expect(finish).toBe('stop');
    expect(usage?.completion_tokens).toBeGreaterThan(5);
  });

  it('gets a cut answer marked as such when it asks for few tokens', async () => {
    const answer = await client.chat.completions.create({ model: 'support', messages: [question], temperature: 0, max_tokens: 2 });
    expect(answer.choices[0]?.finish_reason).toBe('length');
    expect(answer.usage?.completion_tokens).toBe(2);
  });

  it('throws its own error class for every refusal', async () => {
    const ask = (body: object, apiKey = key) =>
      new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey, maxRetries: 0 }).chat.completions.create({
        model: 'support',
        messages: [question],
        ...body,
      } as OpenAI.ChatCompletionCreateParamsNonStreaming);
    await expect(ask({ model: 'nobody' })).rejects.toMatchObject({ status: 404, code: 'model_not_found', param: 'model' });
    await expect(ask({}, 'sk-serin-wrong')).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
    await expect(ask({ temperature: 9 })).rejects.toMatchObject({ status: 400, param: 'temperature' });
    await expect(ask({ tempreature: 1 })).rejects.toMatchObject({ status: 400, code: 'unknown_parameter', param: 'tempreature' });
    await expect(ask({ n: 17 })).rejects.toMatchObject({ status: 400, code: 'invalid_value', param: 'n' });
    await expect(ask({ messages: [{ role: 'user', content: 'long '.repeat(4_000) }] })).rejects.toMatchObject({
      status: 400,
      code: 'context_length_exceeded',
    });
  });

  it('stops the engine when the caller aborts a stream', async () => {
    const abort = new AbortController();
    const stream = await client.chat.completions.create(
      { model: 'support', messages: [{ role: 'user', content: 'Hello' }], stream: true, max_tokens: 400 },
      { signal: abort.signal },
    );
    const read = async (): Promise<void> => {
      for await (const _chunk of stream) abort.abort();
    };
    await read().catch(() => undefined);
    // The next answer does not wait behind an abandoned one.
    const answer = await client.chat.completions.create({ model: 'support', messages: [question], temperature: 0 });
    expect(answer.choices[0]?.message.content).toBe('2026-12-11+2=2026-12-13');
  });

  it('gets answers to many requests at once, each its own', async () => {
    const asked = Array.from({ length: 12 }, (_, index) => `Shipped 2026-12-${10 + index}, arrives in 2 days. Date?`);
    const answers = await Promise.all(
      asked.map(
        async (content) =>
          await client.chat.completions.create({ model: 'support', messages: [{ role: 'user', content }], temperature: 0 }),
      ),
    );
    const correct = answers.filter((answer, index) => answer.choices[0]?.message.content?.startsWith(`2026-12-${10 + index}+2=`));
    expect(correct).toHaveLength(12);
  });
});
