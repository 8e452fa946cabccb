// The official OpenAI client with every field that steers an answer, on an upstream and on a real model: what it asks arrives, and what it gets it can read.
import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type BothEngines, bothEngines, usual } from '../support/both-engines.js';

let served: BothEngines;
let client: OpenAI;

beforeAll(async () => {
  served = await bothEngines();
  client = new OpenAI({ baseURL: served.baseUrl, apiKey: served.key, maxRetries: 0, timeout: 30_000 });
}, 120_000);
afterAll(async () => await served?.remove());
afterEach(() => usual(served.upstream));

const messages = [{ role: 'user' as const, content: 'Shipped 2026-12-11, arrives in 2 days. Date?' }];
const answers = { far: 'Hello there, you two.', near: '2026-12-11+2=2026-12-13' } as const;
const engines = ['far', 'near'] as const;

it('the models are listed and found by their names', async () => {
  const names = (await client.models.list()).data.map((model) => model.id);
  expect(names.sort()).toEqual([...engines]);
  for (const model of engines) expect(await client.models.retrieve(model)).toMatchObject({ id: model, object: 'model', owned_by: 'serin' });
  await expect(client.models.retrieve('nobody')).rejects.toBeInstanceOf(OpenAI.NotFoundError);
});

describe.each(engines)('a chat on %s', (model) => {
  const ask = async (more: Partial<OpenAI.ChatCompletionCreateParamsNonStreaming> = {}) =>
    await client.chat.completions.create({ model, messages, temperature: 0, max_tokens: 60, ...more });
  const asked = () => served.upstream.last.body;

  it('is answered whole, under its public name, with usage and the headers of the gateway', async () => {
    const { data, response } = await client.chat.completions.create({ model, messages, temperature: 0, max_tokens: 60 }).withResponse();
    expect(data).toMatchObject({
      object: 'chat.completion',
      model,
      choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: answers[model] } }],
    });
    expect(data.usage?.total_tokens).toBe((data.usage?.prompt_tokens ?? 0) + (data.usage?.completion_tokens ?? 0));
    expect(data.usage?.completion_tokens).toBeGreaterThan(4);
    expect(response.headers.get('x-serin-version')).toBe(model);
    expect(data).toMatchObject({ _request_id: response.headers.get('x-request-id') });
  });

  it.each([true, false])('streams its pieces, and usage only to who asked for it (asked: %s)', async (include_usage) => {
    const stream = await client.chat.completions.create({
      ...{ model, messages, temperature: 0, max_tokens: 60, stream: true },
      ...(include_usage ? { stream_options: { include_usage } } : {}),
    });
    const chunks: OpenAI.ChatCompletionChunk[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    const said = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').filter((text) => text !== '');
    expect(said.length).toBeGreaterThan(1);
    expect(said.join('')).toBe(answers[model]);
    expect(chunks.findLast((chunk) => chunk.choices.length > 0)?.choices[0]?.finish_reason).toBe('stop');
    expect(new Set(chunks.map((chunk) => chunk.model))).toEqual(new Set([model]));
    const told = chunks.filter((chunk) => chunk.usage);
    if (include_usage) expect(told).toMatchObject([{ choices: [], usage: { completion_tokens: expect.any(Number) } }]);
    else expect(chunks.every((chunk) => !('usage' in chunk) && chunk.choices.length > 0)).toBe(true);
    // The gateway counts by it either way.
    if (model === 'far') expect(asked()['stream_options']).toEqual({ include_usage: true });
  });

  it.each([true, false])('tells log probabilities whose bytes are its text (stream: %s)', async (streamed) => {
    const wanted = { model, messages, temperature: 0, max_tokens: 60, logprobs: true, top_logprobs: 3 } as const;
    const { choices } = streamed ? await client.chat.completions.stream(wanted).finalChatCompletion() : await ask(wanted);
    const steps = choices[0]?.logprobs?.content ?? [];
    expect(Buffer.from(steps.flatMap((step) => step.bytes ?? [])).toString('utf8')).toContain(answers[model]);
    expect(steps.every((step) => step.top_logprobs.length === 3 && step.logprob <= 0)).toBe(true);
  });

  it('tells the log probabilities of the answer alone when no others are asked for', async () => {
    const { choices } = await ask({ logprobs: true });
    expect(choices[0]?.logprobs?.content?.length).toBeGreaterThan(4);
    expect(choices[0]?.logprobs?.content?.every((step) => step.top_logprobs.length === 0)).toBe(true);
    expect((await ask()).choices[0]?.logprobs ?? null).toBeNull();
  });

  it('gives several answers to one question, whole and streamed', async () => {
    const whole = await ask({ n: 2 });
    const streamed = await client.chat.completions.stream({ model, messages, temperature: 0, max_tokens: 60, n: 2 }).finalChatCompletion();
    for (const { choices } of [whole, streamed]) {
      expect(choices.map((choice) => [choice.index, choice.message.content])).toEqual([
        [0, answers[model]],
        [1, answers[model]],
      ]);
    }
  });

  it('takes its seed', async () => {
    // Hot enough that two answers without a seed are never the same.
    const drawn = async (seed: number) => (await ask({ temperature: 2, logit_bias: { 4: -100 }, seed })).choices[0]?.message.content;
    expect(await drawn(7)).toBe(await drawn(7));
    if (model === 'far') expect(asked()).toMatchObject({ seed: 7, temperature: 2 });
    else expect(await drawn(8)).not.toBe(await drawn(7));
  });

  it('ends where it was told to', async () => {
    const short = await ask({ max_completion_tokens: 2 });
    expect(short.choices[0]?.finish_reason).toBe('length');
    expect(short.usage?.completion_tokens).toBe(2);
    const stopped = await ask({ stop: ['=', 'END'] });
    if (model === 'far') expect(asked()['stop']).toEqual(['=', 'END']);
    else expect(stopped.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: '2026-12-11+2' } });
  });

  it('moves the probabilities of tokens', async () => {
    const wishes = { frequency_penalty: 2, presence_penalty: 2 };
    const [plain, moved] = [await ask(), await ask(wishes)];
    if (model === 'far') expect(asked()).toMatchObject(wishes);
    else expect(moved.choices[0]?.message.content).not.toBe(plain.choices[0]?.message.content);
    // Token 4 of the demo model ends an answer.
    const endless = await ask({ logit_bias: { 4: -100 }, max_tokens: 40 });
    if (model === 'far') expect(asked()['logit_bias']).toEqual({ 4: -100 });
    else expect(endless.choices[0]?.finish_reason).toBe('length');
  });

  it('has the shape that was asked for', async () => {
    served.upstream.says = () => '{"order":7}';
    const order = z.object({ order: z.int().min(1).max(99) });
    const parsed = await client.chat.completions.parse({
      ...{ model, messages, temperature: 0, max_tokens: 60 },
      response_format: zodResponseFormat(order, 'order'),
    });
    expect(parsed.choices[0]?.message.parsed).toEqual({ order: expect.any(Number) });
    if (model === 'far') expect(asked()).toMatchObject({ response_format: { type: 'json_schema', json_schema: { name: 'order' } } });
  });

  it('takes what only describes it, and hands no name of a user on', async () => {
    const answer = await ask({ metadata: { team: 'support' }, user: 'u-1', store: false, service_tier: 'auto' });
    expect(answer.choices[0]?.message.content).toBe(answers[model]);
    if (model === 'far') for (const field of ['metadata', 'user', 'store']) expect(asked()).not.toHaveProperty(field);
  });
});

describe.each(engines)('a completion of plain text on %s', (model) => {
  const ask = async (more: Partial<OpenAI.CompletionCreateParamsNonStreaming> = {}) =>
    await client.completions.create({ model, prompt: 'Shipped', temperature: 0, max_tokens: 4, ...more });

  it('goes on from the prompt, with log probabilities in the older form', async () => {
    const { choices, usage, object } = await ask({ logprobs: 2 });
    expect(object).toBe('text_completion');
    expect(usage?.completion_tokens).toBe(4);
    const [choice] = choices;
    expect(choice?.text).not.toBe('');
    expect(choice?.logprobs?.tokens).toHaveLength(4);
    expect(choice?.logprobs?.token_logprobs?.every((logprob) => logprob <= 0)).toBe(true);
    if (model === 'far') expect(served.upstream.last).toMatchObject({ path: '/v1/completions', body: { prompt: 'Shipped', logprobs: 2 } });
  });

  it('takes several prompts and token ids, and numbers the answers through', async () => {
    const { choices } = await ask({ prompt: ['Shipped', 'Where is'], n: 2 });
    expect(choices.map((choice) => choice.index)).toEqual([0, 1, 2, 3]);
    expect((await ask({ prompt: [5, 6, 7] })).choices).toHaveLength(1);
  });

  it('streams the same text', async () => {
    const stream = await client.completions.create({
      ...{ model, prompt: 'Shipped', temperature: 0, max_tokens: 4, stream: true },
      stream_options: { include_usage: true },
    });
    let text = '';
    let usage: OpenAI.CompletionUsage | null | undefined;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.text ?? '';
      usage = chunk.usage ?? usage;
    }
    expect(text).toBe((await ask()).choices[0]?.text);
    expect(usage?.completion_tokens).toBe(4);
  });
});

describe.each(engines)('embeddings on %s', (model) => {
  it('are the same numbers as base64, which the client asks for, and as floats', async () => {
    served.upstream.embeddings = [
      [3, 4],
      [4, 3],
    ];
    const made = async (more: Partial<OpenAI.EmbeddingCreateParams>) =>
      await client.embeddings.create({ model, input: ['Shipped today.', 'Where is it?'], ...more });
    const [packed, plain] = [await made({}), await made({ encoding_format: 'float' })];
    expect(packed.data.map(({ index }) => index)).toEqual([0, 1]);
    expect(packed.data.map(({ embedding }) => [...embedding])).toEqual(plain.data.map(({ embedding }) => embedding.map(Math.fround)));
    for (const { embedding } of plain.data) expect(Math.hypot(...embedding)).toBeCloseTo(1, 5);
    expect(plain.usage.prompt_tokens).toBeGreaterThan(1);
  });

  it('are refused in another length than the model gives', async () => {
    served.upstream.embeddings = [[3, 4]];
    await expect(client.embeddings.create({ model, input: 'Hi', dimensions: 2 })).rejects.toMatchObject({
      status: 400,
      code: 'unsupported_parameter',
      param: 'dimensions',
    });
  });
});

describe('scores', () => {
  const score = async (model: string) =>
    await client.post<{ best: { raw: number } }>('/score', {
      body: { model, input: { messages }, continuations: [answers.near.replace('13', '19'), answers.near] },
    });

  it('tell on a native model which text it would rather write', async () => {
    expect((await score('near')).best.raw).toBe(1);
  });

  it('are refused by name where the upstream tells none', async () => {
    await expect(score('far')).rejects.toMatchObject({ status: 400, code: 'unsupported_parameter', param: 'model' });
  });
});
