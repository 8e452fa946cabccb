// The official OpenAI client over the whole surface of the gateway: its types, its decoders and its stream accumulator find what they expect.
import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { FakeEngine } from '#libs/engine';
import { aGateway, aKey, aVersion, fakeFactory, publish, type TestGateway, untilServing } from '../support/gateway.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';

let test: TestDatabase;
let gateway: TestGateway;
let client: OpenAI;
const engine = new FakeEngine();
const messages = [{ role: 'user' as const, content: 'Hi' }];

beforeAll(async () => {
  test = await createTestDatabase();
  const key = await aKey(test);
  const v1 = aVersion('v1');
  const generation = await publish(test, { routes: [{ model: 'support', stable: v1.id, rollout: null }], versions: [v1] });
  gateway = await aGateway(test.url, { factory: fakeFactory({ v1: engine }) });
  await untilServing(gateway.url, generation);
  client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: key, maxRetries: 0, timeout: 30_000 });
});
afterAll(async () => {
  await gateway?.remove();
  await test?.drop();
});
beforeEach(() => {
  engine.behaviour = {};
  engine.seen.length = 0;
});

describe('the openai client', () => {
  it('gets several choices with their log probabilities', async () => {
    engine.behaviour = { tokens: (_request, choice) => ['Answer', ` ${choice}`], cachedTokens: 2 };
    const answer = await client.chat.completions.create({ model: 'support', messages, n: 3, logprobs: true, top_logprobs: 4, seed: 1 });
    expect(answer.choices.map((choice) => choice.message.content)).toEqual(['Answer 0', 'Answer 1', 'Answer 2']);
    for (const choice of answer.choices) {
      const steps = choice.logprobs?.content ?? [];
      expect(steps.map((step) => step.token).join('')).toBe(choice.message.content);
      expect(steps.every((step) => step.top_logprobs.length === 4 && (step.logprob ?? 1) <= 0)).toBe(true);
      expect(Buffer.from(steps.flatMap((step) => step.bytes ?? [])).toString('utf8')).toBe(choice.message.content);
    }
    expect(answer.usage?.prompt_tokens_details?.cached_tokens).toBe(2);
    expect(answer.system_fingerprint).toMatch(/^fp_/);
  });

  it('parses what a JSON schema promised it', async () => {
    const order = z.object({ id: z.int(), items: z.array(z.string()) });
    engine.behaviour = { tokens: () => ['{"id": 7, ', '"items": ["tea"]}'] };
    const answer = await client.chat.completions.parse({ model: 'support', messages, response_format: zodResponseFormat(order, 'order') });
    expect(answer.choices[0]?.message.parsed).toEqual({ id: 7, items: ['tea'] });
    expect(engine.seen[0]?.constraint).toMatchObject({ kind: 'jsonSchema', schema: { type: 'object', required: ['id', 'items'] } });
  });

  it('puts a stream of several choices together as the whole answer', async () => {
    const pizza = Buffer.from('Größe 🍕', 'utf8');
    engine.behaviour = { tokens: (_request, choice) => [...pizza].map((byte) => Uint8Array.of(byte)).concat(Buffer.from(` ${choice}`)) };
    const stream = client.chat.completions.stream({
      model: 'support',
      messages,
      n: 2,
      logprobs: true,
      top_logprobs: 1,
      stream_options: { include_usage: true },
    });
    const answer = await stream.finalChatCompletion();
    expect(answer.choices.map((choice) => [choice.index, choice.message.content, choice.finish_reason])).toEqual([
      [0, 'Größe 🍕 0', 'stop'],
      [1, 'Größe 🍕 1', 'stop'],
    ]);
    for (const choice of answer.choices) {
      expect(Buffer.from(choice.logprobs?.content?.flatMap((step) => step.bytes ?? []) ?? []).toString('utf8')).toBe(
        choice.message.content,
      );
    }
    expect(answer.usage?.completion_tokens).toBe(2 * (pizza.length + 1));
  });

  it('completes plain prompts, whole and streamed', async () => {
    engine.behaviour = { tokens: ({ prompt }) => [prompt.kind === 'text' ? prompt.text : 'ids', '!'] };
    const answer = await client.completions.create({ model: 'support', prompt: ['one', 'two'], logprobs: 2 });
    expect(answer.choices.map((choice) => choice.text)).toEqual(['one!', 'two!']);
    expect(answer.choices[1]?.logprobs?.text_offset).toEqual([0, 3]);
    const stream = await client.completions.create({
      model: 'support',
      prompt: [1, 2],
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = '';
    let usage: OpenAI.CompletionUsage | null | undefined;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.text ?? '';
      usage = chunk.usage ?? usage;
    }
    expect(text).toBe('ids!');
    expect(usage).toMatchObject({ prompt_tokens: 2, completion_tokens: 2, total_tokens: 4 });
  });

  it('decodes embeddings, which it asks for as base64, to the numbers that it gets as floats', async () => {
    const ask = async (more: Partial<OpenAI.EmbeddingCreateParams>) =>
      await client.embeddings.create({ model: 'support', input: ['one', 'two'], ...more });
    const [packed, plain] = [await ask({}), await ask({ encoding_format: 'float' })];
    expect(plain.data).toHaveLength(2);
    expect(packed.data.map((one) => [...one.embedding])).toEqual(plain.data.map((one) => one.embedding.map(Math.fround)));
    expect(packed.usage).toEqual({ prompt_tokens: 2, total_tokens: 2 });
  });

  it('reaches the extension by its generic call', async () => {
    const scored = await client.post<{ best: { raw: number } }>('/score', {
      body: { model: 'support', input: 'Is it?', continuations: [' No', ' Yes'] },
    });
    expect([0, 1]).toContain(scored.best.raw);
  });

  it('sees uncertainty only when it asks, in a stream too', async () => {
    const opted = { headers: { 'x-serin-uncertainty': '1' } };
    const whole = await client.chat.completions.create({ model: 'support', messages }, opted);
    expect(whole).toHaveProperty('serin.uncertainty.0.tokens', [0.3, 0.3]);
    const stream = await client.chat.completions.create({ model: 'support', messages, stream: true }, opted);
    let last: object = {};
    let text = '';
    for await (const chunk of stream) {
      last = chunk;
      text += chunk.choices[0]?.delta.content ?? '';
    }
    expect(text).toBe('Hello there');
    expect(last).toHaveProperty('serin.uncertainty.0.kind', 'exact');
    expect(await client.chat.completions.create({ model: 'support', messages })).not.toHaveProperty('serin');
  });

  it('throws its own errors with the field and with the time to wait', async () => {
    await expect(client.embeddings.create({ model: 'support', input: '' })).rejects.toMatchObject({ status: 400, param: 'input' });
    await expect(client.completions.create({ model: 'support', prompt: 'x', echo: true })).rejects.toMatchObject({
      status: 400,
      code: 'unsupported_parameter',
      param: 'echo',
    });
    engine.behaviour = { failWith: () => ({ code: 'engine.overloaded', message: 'full', retryable: true, retryAfterMs: 4_200 }) };
    const error: unknown = await client.chat.completions.create({ model: 'support', messages }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OpenAI.RateLimitError);
    expect((error as InstanceType<typeof OpenAI.RateLimitError>).headers?.get('retry-after')).toBe('5');
  });
});
