// The AI SDK against the gateway, by both of its providers, on an upstream and on a real model.
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import {
  APICallError,
  embedMany,
  generateObject,
  generateText,
  jsonSchema,
  type LanguageModel,
  type ModelMessage,
  stepCountIs,
  streamText,
  type ToolSet,
  tool,
} from 'ai';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type BothEngines, bothEngines, callsOnce, usual } from '../support/both-engines.js';
import { until } from '../support/gateway.js';

let served: BothEngines;

beforeAll(async () => {
  served = await bothEngines();
}, 120_000);
afterAll(async () => await served?.remove());
afterEach(() => usual(served.upstream));

const prompt = 'Shipped 2026-12-11, arrives in 2 days. Date?';
const answers = { far: 'Hello there, you two.', near: '2026-12-11+2=2026-12-13' } as const;
/** Responses keep nothing here, so the provider is told to send items and not references to them. */
const providerOptions = { openai: { store: false } };
const usually = { temperature: 0, maxRetries: 0, maxOutputTokens: 100, providerOptions } as const;
const orderSchema = jsonSchema<{ order: number }>({
  type: 'object',
  properties: { order: { type: 'integer', minimum: 1, maximum: 99 } },
  required: ['order'],
  additionalProperties: false,
});
const order = expect.any(Number) as number;

/** Told by its general type: the inferred one does not fit exact optional properties. */
const tools: ToolSet = { look_up: tool({ description: 'Looks an order up.', inputSchema: orderSchema }) as ToolSet[string] };

type Way = 'compatible' | 'chat' | 'responses';
function modelBy(way: Way, model: string, apiKey = served.key): LanguageModel {
  const baseURL = served.baseUrl;
  if (way === 'compatible') return createOpenAICompatible({ name: 'serin', baseURL, apiKey, supportsStructuredOutputs: true })(model);
  const provider = createOpenAI({ baseURL, apiKey });
  return way === 'chat' ? provider.chat(model) : provider.responses(model);
}

const ways = (['compatible', 'chat', 'responses'] as const).flatMap((way) => [[way, 'far'] as const, [way, 'near'] as const]);

describe.each(ways)('the AI SDK by %s on %s', (way, name) => {
  it('generates a text with its usage', async () => {
    const { text, finishReason, usage, warnings } = await generateText({ ...usually, model: modelBy(way, name), prompt });
    expect(text).toBe(answers[name]);
    expect(finishReason).toBe('stop');
    expect(usage.outputTokens).toBeGreaterThan(4);
    expect(usage.totalTokens).toBe((usage.inputTokens ?? 0) + (usage.outputTokens ?? 0));
    expect(warnings ?? []).toEqual([]);
  });

  it('streams a text piece by piece', async () => {
    const result = streamText({ ...usually, model: modelBy(way, name), system: 'Be brief.', prompt });
    const pieces: string[] = [];
    for await (const piece of result.textStream) pieces.push(piece);
    expect(pieces.length).toBeGreaterThan(1);
    expect(pieces.join('')).toBe(await result.text);
    if (name === 'far') expect(pieces.join('')).toBe(answers.far);
    expect(await result.finishReason).toBe('stop');
    // The compatible provider asks for no usage of a stream by itself.
    if (way !== 'compatible') expect((await result.usage).outputTokens).toBeGreaterThan(0);
  });

  it('gives a call, takes its result, and gets the answer', async () => {
    callsOnce(served.upstream);
    const model = modelBy(way, name);
    const messages: ModelMessage[] = [{ role: 'user', content: prompt }];
    const called = await generateText({ ...usually, model, messages, tools, toolChoice: 'required' });
    expect(called.finishReason).toBe('tool-calls');
    const [call] = called.toolCalls;
    expect(call).toMatchObject({ toolName: 'look_up', input: { order } });
    const output = { type: 'text', value: 'On its way.' } as const;
    messages.push(...called.response.messages);
    messages.push({ role: 'tool', content: [{ type: 'tool-result', toolCallId: call?.toolCallId ?? '', toolName: 'look_up', output }] });
    const answered = await generateText({ ...usually, model, messages, tools, toolChoice: 'none' });
    expect(answered.toolCalls).toEqual([]);
    if (name === 'far') expect(answered.text).toBe('It is on its way.');
    else expect(answered.text).not.toBe('');
  });

  it('streams a call with its arguments', async () => {
    callsOnce(served.upstream);
    const result = streamText({ ...usually, model: modelBy(way, name), prompt, tools, toolChoice: { type: 'tool', toolName: 'look_up' } });
    expect(await result.toolCalls).toMatchObject([{ toolName: 'look_up', input: { order } }]);
    expect(await result.finishReason).toBe('tool-calls');
  });

  it('generates an object by its schema', async () => {
    served.upstream.says = () => '{"order":7}';
    const { object } = await generateObject({ ...usually, model: modelBy(way, name), prompt, schema: orderSchema, schemaName: 'order' });
    expect(object).toEqual({ order });
  });

  it('stops the upstream when a stream is aborted, and is answered again', async () => {
    served.upstream.tokenMs = 30;
    const { abandoned } = served.upstream;
    const abort = new AbortController();
    const result = streamText({ ...usually, model: modelBy(way, name), prompt, abortSignal: abort.signal, onAbort: () => undefined });
    const seen: string[] = [];
    for await (const part of result.fullStream) {
      seen.push(part.type);
      if (part.type === 'text-delta') abort.abort();
    }
    expect(seen).toContain('abort');
    if (name === 'far') await until(() => served.upstream.abandoned > abandoned, 'the upstream to be left');
    served.upstream.tokenMs = 0;
    expect((await generateText({ ...usually, model: modelBy(way, name), prompt })).text).toBe(answers[name]);
  });

  it('throws its own error with the status and the words of the gateway', async () => {
    const fails = async (model: LanguageModel) => await generateText({ ...usually, model, prompt }).catch((error: unknown) => error);
    const stranger = await fails(modelBy(way, name, 'sk-serin-wrong'));
    expect(APICallError.isInstance(stranger)).toBe(true);
    expect(stranger).toMatchObject({ statusCode: 401, isRetryable: false });
    const unknown = await fails(modelBy(way, `no-${name}`));
    expect(unknown).toMatchObject({ statusCode: 404, isRetryable: false, message: expect.stringContaining(`no-${name}`) });
  });
});

describe('the loop of the AI SDK', () => {
  it.each(['compatible', 'chat', 'responses'] as const)('runs functions by %s until there is an answer', async (way) => {
    callsOnce(served.upstream);
    const asked: unknown[] = [];
    const look = tool({
      description: 'Looks an order up.',
      inputSchema: orderSchema,
      execute: async (given) => {
        asked.push(given);
        return { state: 'on its way' };
      },
    });
    const { text, steps } = await generateText({
      ...usually,
      model: modelBy(way, 'far'),
      prompt,
      tools: { look_up: look },
      stopWhen: stepCountIs(3),
    });
    expect(text).toBe('It is on its way.');
    expect(asked).toEqual([{ order: 7 }]);
    expect(steps).toHaveLength(2);
  });
});

describe('embeddings by the AI SDK', () => {
  it.each(['far', 'near'] as const)('are one unit vector a text on %s', async (name) => {
    served.upstream.embeddings = [
      [3, 4],
      [4, 3],
    ];
    const providers = [
      createOpenAI({ baseURL: served.baseUrl, apiKey: served.key }),
      createOpenAICompatible({ name: 'serin', baseURL: served.baseUrl, apiKey: served.key }),
    ];
    for (const provider of providers) {
      const { embeddings, usage } = await embedMany({
        model: provider.textEmbeddingModel(name),
        values: ['Shipped today.', 'Where is it?'],
        maxRetries: 0,
      });
      expect(embeddings).toHaveLength(2);
      for (const vector of embeddings) expect(Math.hypot(...vector)).toBeCloseTo(1, 3);
      expect(usage.tokens).toBeGreaterThan(1);
    }
  });
});
