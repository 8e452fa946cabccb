// The official OpenAI client with functions and responses, on an upstream and on a real model: the same code works on both.
import OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type BothEngines, bothEngines, callsOnce, usual } from '../support/both-engines.js';

let served: BothEngines;
let client: OpenAI;

beforeAll(async () => {
  served = await bothEngines();
  client = new OpenAI({ baseURL: served.baseUrl, apiKey: served.key, maxRetries: 0, timeout: 30_000 });
}, 120_000);
afterAll(async () => await served?.remove());
afterEach(() => usual(served.upstream));

const question = 'Shipped 2026-12-11, arrives in 2 days. Date?';
const answers = { far: 'Hello there, you two.', near: '2026-12-11+2=2026-12-13' } as const;
const parameters = {
  type: 'object',
  properties: { order: { type: 'integer', minimum: 1, maximum: 99 } },
  required: ['order'],
  additionalProperties: false,
};
const look = { name: 'look_up', description: 'Looks an order up.', parameters, strict: true };
const tools: OpenAI.ChatCompletionFunctionTool[] = [{ type: 'function', function: look }];
const responseTools: OpenAI.Responses.FunctionTool[] = [{ type: 'function', ...look }];
const order = expect.any(Number) as number;

describe.each(['far', 'near'] as const)('functions on %s', (model) => {
  it('are called, told their result, and answered from', async () => {
    callsOnce(served.upstream);
    const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: question }];
    const called = await client.chat.completions.create({ model, messages, tools, tool_choice: 'required', temperature: 0 });
    const [choice] = called.choices;
    expect(choice?.finish_reason).toBe('tool_calls');
    const [call] = choice?.message.tool_calls ?? [];
    if (call?.type !== 'function' || !choice) throw new Error('no function was called');
    expect(call.function.name).toBe('look_up');
    expect(JSON.parse(call.function.arguments)).toEqual({ order });

    // The message goes back as it came: what a client does.
    messages.push(choice.message, { role: 'tool', tool_call_id: call.id, content: 'On its way.' });
    const answered = await client.chat.completions.create({ model, messages, tools, tool_choice: 'none', temperature: 0, max_tokens: 40 });
    expect(answered.choices[0]?.message.tool_calls ?? []).toEqual([]);
    expect(answered.choices[0]?.message.content).not.toBe('');
    if (model === 'far') expect(answered.choices[0]?.message.content).toBe('It is on its way.');
  });

  it('are put together from a stream by the client itself', async () => {
    callsOnce(served.upstream);
    const stream = client.chat.completions.stream({
      model,
      messages: [{ role: 'user', content: question }],
      tools,
      tool_choice: { type: 'function', function: { name: 'look_up' } },
      temperature: 0,
    });
    const whole = await stream.finalChatCompletion();
    expect(whole.choices[0]?.message.tool_calls).toMatchObject([{ type: 'function', function: { name: 'look_up' } }]);
    expect(whole.choices[0]?.message.tool_calls?.[0]?.function.parsed_arguments).toEqual({ order });
  });
});

describe('the loop of the client', () => {
  it('calls functions until there is an answer', async () => {
    // A model that was not trained on functions calls none by itself, so only the upstream is asked.
    callsOnce(served.upstream);
    const asked: unknown[] = [];
    const runner = client.chat.completions.runTools({
      model: 'far',
      messages: [{ role: 'user', content: question }],
      tools: [
        {
          type: 'function',
          function: {
            name: 'look_up',
            description: 'Looks an order up.',
            parameters,
            parse: JSON.parse,
            function: (given: unknown) => {
              asked.push(given);
              return 'On its way.';
            },
          },
        },
      ],
    });
    expect(await runner.finalContent()).toBe('It is on its way.');
    expect(asked).toEqual([{ order: 7 }]);
  });
});

describe.each(['far', 'near'] as const)('responses on %s', (model) => {
  it('come whole, with their text and usage', async () => {
    const response = await client.responses.create({ model, input: question, temperature: 0, max_output_tokens: 100, store: false });
    expect(response.output_text).toBe(answers[model]);
    expect(response.status).toBe('completed');
    expect(response.usage?.total_tokens).toBe((response.usage?.input_tokens ?? 0) + (response.usage?.output_tokens ?? 0));
    expect(response.usage?.output_tokens).toBeGreaterThan(4);
  });

  it('come as events that the client puts together to the same response', async () => {
    const stream = client.responses.stream({ model, input: question, temperature: 0, max_output_tokens: 100 });
    let text = '';
    stream.on('response.output_text.delta', ({ delta }) => {
      text += delta;
    });
    const response = await stream.finalResponse();
    expect(text).toBe(answers[model]);
    expect(response.output_text).toBe(answers[model]);
    expect(response.usage?.output_tokens).toBeGreaterThan(4);
  });

  it('call functions, and go on from their results', async () => {
    callsOnce(served.upstream);
    const input: OpenAI.Responses.ResponseInput = [{ role: 'user', content: question }];
    const asked = { model, tools: responseTools, temperature: 0, store: false } as const;
    const called = await client.responses.stream({ ...asked, input, tool_choice: 'required' }).finalResponse();
    const call = called.output.find((item) => item.type === 'function_call');
    expect(call?.name).toBe('look_up');
    expect(JSON.parse(call?.arguments ?? '')).toEqual({ order });
    // The client adds what it parsed to the items; a caller who sends them back means the call alone.
    input.push({ type: 'function_call', call_id: call?.call_id ?? '', name: 'look_up', arguments: call?.arguments ?? '' });
    input.push({ type: 'function_call_output', call_id: call?.call_id ?? '', output: 'On its way.' });
    const answered = await client.responses.create({ ...asked, input, tool_choice: 'none', max_output_tokens: 40 });
    expect(answered.output.map((item) => item.type)).toEqual(['message']);
    if (model === 'far') expect(answered.output_text).toBe('It is on its way.');
  });

  it('hold their text to a schema', async () => {
    served.upstream.says = () => '{"order":7}';
    const format = { type: 'json_schema', name: 'order', schema: parameters, strict: true } as const;
    const response = await client.responses.create({ model, input: question, text: { format }, temperature: 0, max_output_tokens: 60 });
    expect(JSON.parse(response.output_text)).toEqual({ order });
  });

  it("throw the client's own error class for every refusal", async () => {
    const stranger = new OpenAI({ baseURL: served.baseUrl, apiKey: 'sk-serin-wrong', maxRetries: 0 });
    await expect(stranger.responses.create({ model, input: 'Hi' })).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
    await expect(client.responses.create({ model: 'nobody', input: 'Hi' })).rejects.toBeInstanceOf(OpenAI.NotFoundError);
    await expect(client.responses.create({ model, input: 'Hi', store: true })).rejects.toMatchObject({ status: 400, param: 'store' });
  });
});
