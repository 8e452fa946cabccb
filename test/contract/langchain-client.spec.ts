// LangChain's OpenAI classes against the gateway, on an upstream and on a real model.
import { type BaseMessage, HumanMessage, ToolMessage } from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type BothEngines, bothEngines, callsOnce, usual } from '../support/both-engines.js';
import { until } from '../support/gateway.js';

let served: BothEngines;

beforeAll(async () => {
  served = await bothEngines();
}, 120_000);
afterAll(async () => await served?.remove());
afterEach(() => usual(served.upstream));

const question = 'Shipped 2026-12-11, arrives in 2 days. Date?';
const answers = { far: 'Hello there, you two.', near: '2026-12-11+2=2026-12-13' } as const;
const parameters = {
  type: 'object' as const,
  properties: { order: { type: 'integer', minimum: 1, maximum: 99 } },
  required: ['order'],
  additionalProperties: false,
};
const order = expect.any(Number) as number;
const lookUp = tool(() => 'On its way.', { name: 'look_up', description: 'Looks an order up.', schema: parameters });

const chatBy = (model: string, useResponsesApi: boolean, apiKey = served.key): ChatOpenAI =>
  new ChatOpenAI({
    model,
    apiKey,
    useResponsesApi,
    temperature: 0,
    maxTokens: 100,
    maxRetries: 0,
    configuration: { baseURL: served.baseUrl },
    // Nothing is stored here, and this class asks for it otherwise.
    ...(useResponsesApi ? { zdrEnabled: true } : {}),
  });

const ways = [
  ['completions', 'far', false],
  ['completions', 'near', false],
  ['responses', 'far', true],
  ['responses', 'near', true],
] as const;

describe.each(ways)('LangChain by chat %s on %s', (_way, name, responses) => {
  it('is answered whole, with usage', async () => {
    const answer = await chatBy(name, responses).invoke(question);
    expect(answer.text).toBe(answers[name]);
    expect(answer).toMatchObject({ usage_metadata: { output_tokens: expect.toSatisfy((count: number) => count > 4) } });
  });

  it('is answered as a stream', async () => {
    const pieces: string[] = [];
    for await (const piece of await chatBy(name, responses).stream(question)) pieces.push(piece.text);
    expect(pieces.filter((piece) => piece !== '').length).toBeGreaterThan(1);
    expect(pieces.join('')).toBe(answers[name]);
  });

  it('gives a call, takes its result, and gets the answer', async () => {
    callsOnce(served.upstream);
    const chat = chatBy(name, responses);
    const messages: BaseMessage[] = [new HumanMessage(question)];
    // By name: for responses this class does not send "required".
    const called = await chat.bindTools([lookUp], { tool_choice: 'look_up' }).invoke(messages);
    const [call] = called.tool_calls ?? [];
    expect(call).toMatchObject({ name: 'look_up', args: { order } });
    messages.push(called, new ToolMessage({ content: 'On its way.', tool_call_id: call?.id ?? '' }));
    const answered = await chat.bindTools([lookUp], { tool_choice: 'none' }).invoke(messages);
    expect(answered.tool_calls ?? []).toEqual([]);
    if (name === 'far') expect(answered.text).toBe('It is on its way.');
    else expect(answered.text).not.toBe('');
  });

  it('gets an object by its schema', async () => {
    served.upstream.says = () => '{"order":7}';
    const chat = chatBy(name, responses).withStructuredOutput(parameters, { name: 'order', method: 'jsonSchema', strict: true });
    expect(await chat.invoke(question)).toEqual({ order });
  });

  it('stops the upstream when its stream is aborted', async () => {
    served.upstream.tokenMs = 30;
    const { abandoned } = served.upstream;
    const abort = new AbortController();
    const read = async (): Promise<void> => {
      for await (const _piece of await chatBy(name, responses).stream(question, { signal: abort.signal })) abort.abort();
    };
    await expect(read()).rejects.toThrow();
    if (name === 'far') await until(() => served.upstream.abandoned > abandoned, 'the upstream to be left');
    served.upstream.tokenMs = 0;
    expect((await chatBy(name, responses).invoke(question)).text).toBe(answers[name]);
  });

  it('throws the status of a refusal', async () => {
    await expect(chatBy(name, responses, 'sk-serin-wrong').invoke(question)).rejects.toMatchObject({ status: 401 });
    await expect(chatBy('nobody', responses).invoke(question)).rejects.toMatchObject({ status: 404 });
  });
});

describe('embeddings by LangChain', () => {
  it.each(['far', 'near'] as const)('are one unit vector a text on %s', async (model) => {
    served.upstream.embeddings = [
      [3, 4],
      [4, 3],
    ];
    const made = new OpenAIEmbeddings({ model, apiKey: served.key, maxRetries: 0, configuration: { baseURL: served.baseUrl } });
    const vectors = await made.embedDocuments(['Shipped today.', 'Where is it?']);
    expect(vectors).toHaveLength(2);
    for (const vector of vectors) expect(Math.hypot(...vector)).toBeCloseTo(1, 3);
  });
});
