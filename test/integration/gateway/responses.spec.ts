// `/v1/responses` without a memory: what it takes, what it answers whole and as typed events, and what it refuses by name.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FakeEngine } from '#libs/engine';
import { post } from '../../support/client.js';
import { aGateway, aKey, aVersion, fakeFactory, publish, type TestGateway, untilServing } from '../../support/gateway.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';

let test: TestDatabase;
let gateway: TestGateway;
let at: { url: string; key: string };
const engine = new FakeEngine();
const poor = new FakeEngine({ capabilities: { topLogprobs: 0, constraints: false, tools: false } });

beforeAll(async () => {
  test = await createTestDatabase();
  const key = await aKey(test);
  const [v1, other] = [aVersion('v1'), aVersion('poor', undefined, 'poor')];
  const routes = [v1, other].map(({ id, model }) => ({ model, stable: id, rollout: null }));
  const generation = await publish(test, { routes, versions: [v1, other] });
  gateway = await aGateway(test.url, { factory: fakeFactory({ v1: engine, poor }) });
  await untilServing(gateway.url, generation);
  at = { url: gateway.url, key };
});
afterAll(async () => {
  await gateway?.remove();
  await test?.drop();
});
beforeEach(() => {
  engine.behaviour = {};
  engine.seen.length = 0;
});

const asked = { model: 'support', input: 'Hi' };
const parameters = { type: 'object', properties: { order: { type: 'integer' } }, required: ['order'], additionalProperties: false };
const tool = { type: 'function', name: 'look_up', description: 'Looks up.', parameters, strict: true };

interface Event {
  type: string;
  sequence_number: number;
  output_index?: number;
  delta?: string;
  item?: Record<string, unknown>;
  response?: Record<string, unknown>;
}

/** Every event, with its name checked against its type. */
async function eventsOf(body: object): Promise<Event[]> {
  const { text } = await post(at, '/v1/responses', { ...asked, stream: true, ...body });
  return text
    .split('\n\n')
    .filter((block) => block !== '')
    .map((block) => {
      const [name, data] = block.split('\n');
      const event = JSON.parse(data?.slice('data: '.length) ?? '') as Event;
      expect(name).toBe(`event: ${event.type}`);
      return event;
    });
}

describe('a response', () => {
  it('is one message with the text, its usage, and what was asked', async () => {
    engine.behaviour = { cachedTokens: 2 };
    const { status, body } = await post<Record<string, unknown>>(at, '/v1/responses', {
      ...asked,
      instructions: 'Be brief.',
      max_output_tokens: 9,
      temperature: 0,
      metadata: { trace: 'x' },
      store: false,
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      id: expect.stringMatching(/^resp/),
      object: 'response',
      status: 'completed',
      error: null,
      incomplete_details: null,
      instructions: 'Be brief.',
      max_output_tokens: 9,
      metadata: { trace: 'x' },
      model: 'support',
      store: false,
      previous_response_id: null,
      output: [
        {
          id: expect.stringMatching(/^msg_/),
          type: 'message',
          role: 'assistant',
          status: 'completed',
          content: [{ type: 'output_text', text: 'Hello there', annotations: [] }],
        },
      ],
      usage: { output_tokens: 2, input_tokens_details: { cached_tokens: 2 }, output_tokens_details: { reasoning_tokens: 0 } },
    });
    expect(engine.seen[0]).toMatchObject({
      prompt: {
        kind: 'chat',
        messages: [
          { role: 'system', content: 'Be brief.' },
          { role: 'user', content: 'Hi' },
        ],
      },
      sampling: { maxTokens: 9, temperature: 0 },
    });
  });

  it('reads items of earlier turns: texts, calls beside them, results, and thoughts left out', async () => {
    await post(at, '/v1/responses', {
      ...asked,
      input: [
        { role: 'user', content: [{ type: 'input_text', text: 'Where is 7?' }] },
        { type: 'reasoning', id: 'rs_1', summary: [] },
        {
          type: 'message',
          id: 'msg_1',
          status: 'completed',
          role: 'assistant',
          content: [{ type: 'output_text', text: 'Let me see.', annotations: [] }],
        },
        { type: 'function_call', call_id: 'call_1', name: 'look_up', arguments: '{"order":7}' },
        { type: 'function_call', call_id: 'call_2', name: 'look_up', arguments: '{"order":8}' },
        { type: 'function_call_output', call_id: 'call_1', output: 'On its way.' },
        { type: 'function_call_output', call_id: 'call_2', output: [{ type: 'input_text', text: 'Lost.' }] },
      ],
      tools: [tool],
    });
    expect(engine.seen[0]).toMatchObject({
      prompt: {
        messages: [
          { role: 'user', content: 'Where is 7?' },
          {
            role: 'assistant',
            content: 'Let me see.',
            toolCalls: [
              { id: 'call_1', name: 'look_up', arguments: '{"order":7}' },
              { id: 'call_2', name: 'look_up', arguments: '{"order":8}' },
            ],
          },
          { role: 'tool', toolCallId: 'call_1', content: 'On its way.' },
          { role: 'tool', toolCallId: 'call_2', content: 'Lost.' },
        ],
      },
      tools: { tools: [{ name: 'look_up', description: 'Looks up.', parameters }], choice: 'auto', parallel: true },
    });
  });

  it('gives wishes of shape, choice and log probabilities to the engine', async () => {
    engine.behaviour = { tokens: () => ['{}'] };
    const format = { type: 'json_schema', name: 'answer', schema: parameters, strict: true };
    const { body } = await post<{ output: { content: { logprobs: unknown[] }[] }[] }>(at, '/v1/responses', {
      ...asked,
      text: { format },
      include: ['message.output_text.logprobs'],
      top_logprobs: 2,
      tools: [tool],
      tool_choice: { type: 'function', name: 'look_up' },
    });
    expect(engine.seen[0]).toMatchObject({
      constraint: { kind: 'jsonSchema', schema: parameters },
      topLogprobs: 2,
      tools: { choice: { name: 'look_up' } },
    });
    expect(body.output[0]?.content[0]?.logprobs).toMatchObject([{ token: '{}', top_logprobs: [{ token: '{}' }, {}] }]);
  });

  it('tells calls as items of their own, and that it was cut', async () => {
    engine.behaviour = { calls: () => [{ index: 0, id: 'call_9', name: 'look_up', arguments: '{"order":7}' }] };
    const called = await post<{ output: unknown[] }>(at, '/v1/responses', { ...asked, tools: [tool] });
    expect(called.body.output).toEqual([
      {
        id: expect.stringMatching(/^fc_/),
        type: 'function_call',
        status: 'completed',
        call_id: 'call_9',
        name: 'look_up',
        arguments: '{"order":7}',
      },
    ]);
    engine.behaviour = {};
    const cut = await post<object>(at, '/v1/responses', { ...asked, max_output_tokens: 1 });
    expect(cut.body).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      output: [{ status: 'incomplete' }],
    });
  });

  it.each<[string, object, string, string]>([
    ['a wish to be stored', { store: true }, 'unsupported_parameter', 'store'],
    ['a memory of an earlier one', { previous_response_id: 'resp_1' }, 'unsupported_parameter', 'previous_response_id'],
    ['a conversation', { conversation: 'conv_1' }, 'unsupported_parameter', 'conversation'],
    ['work in the background', { background: true }, 'unsupported_parameter', 'background'],
    ['a cut of the input', { truncation: 'auto' }, 'unsupported_parameter', 'truncation'],
    ['no input', { input: undefined }, 'invalid_value', 'input'],
    ['an empty input', { input: [] }, 'invalid_value', 'input'],
    [
      'a reference',
      {
        input: [
          { role: 'user', content: 'x' },
          { type: 'item_reference', id: 'msg_1' },
        ],
      },
      'invalid_value',
      'input.1.type',
    ],
    ['an item of another kind', { input: [{ type: 'computer_call' }] }, 'invalid_value', 'input.0.type'],
    [
      'an image',
      { input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'x' }] }] },
      'invalid_value',
      'input.0.content.0.type',
    ],
    ['a call without its id', { input: [{ type: 'function_call', name: 'f', arguments: '' }] }, 'invalid_value', 'input.0.call_id'],
    ["a server's own tool", { tools: [{ type: 'web_search' }] }, 'invalid_value', 'tools.0.type'],
    ['a choice without functions', { tool_choice: 'required' }, 'invalid_value', 'tool_choice'],
    ['an unknown field', { seed: 1 }, 'unknown_parameter', 'seed'],
    [
      'a shape that the engine does not hold',
      { model: 'poor', text: { format: { type: 'json_object' } } },
      'unsupported_parameter',
      'text.format',
    ],
    ['tools that the engine does not call', { model: 'poor', tools: [tool] }, 'unsupported_parameter', 'tools'],
    [
      'log probabilities that it does not tell',
      { model: 'poor', include: ['message.output_text.logprobs'] },
      'unsupported_parameter',
      'include',
    ],
  ])('is refused for %s', async (_what, more, code, param) => {
    const { status, body } = await post(at, '/v1/responses', { ...asked, ...more });
    expect([status, body.error.code, body.error.param]).toEqual([400, code, param]);
    expect(body.error.message.length).toBeGreaterThan(20);
    expect(engine.seen).toEqual([]);
  });
});

describe('a streamed response', () => {
  it('opens, fills and closes its message, and ends with the same object as a whole one', async () => {
    const events = await eventsOf({});
    expect(events.map((event) => event.type)).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ]);
    expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, index) => index));
    const whole = await post<Record<string, unknown>>(at, '/v1/responses', asked);
    const last = events.at(-1)?.response ?? {};
    const unalike = { id: null, created_at: null };
    const withoutIds = (response: Record<string, unknown>) =>
      JSON.stringify({ ...response, ...unalike }).replaceAll(/"(msg|fc|rs)_[^"]+"/g, '"$1"');
    expect(withoutIds(last)).toBe(withoutIds(whole.body));
  });

  it('tells calls piece by piece beside the text before them', async () => {
    engine.behaviour = {
      tokens: () => ['See: '],
      calls: () => [
        { index: 0, id: 'call_1', name: 'look_up', arguments: '{"ord' },
        { index: 0, arguments: 'er":7}' },
        { index: 1, name: 'look_up', arguments: '{}' },
      ],
    };
    const events = await eventsOf({ tools: [tool] });
    const deltas = events.filter((event) => event.type === 'response.function_call_arguments.delta');
    expect(deltas.map(({ output_index, delta }) => [output_index, delta])).toEqual([
      [1, '{"ord'],
      [1, 'er":7}'],
      [2, '{}'],
    ]);
    expect(events.filter((event) => event.type === 'response.output_item.done').map((event) => event.item)).toMatchObject([
      { type: 'message', content: [{ text: 'See: ' }] },
      { type: 'function_call', call_id: 'call_1', name: 'look_up', arguments: '{"order":7}', status: 'completed' },
      { type: 'function_call', call_id: expect.stringMatching(/^call_/), arguments: '{}' },
    ]);
    expect(events.at(-1)?.response).toMatchObject({ status: 'completed', output: [{}, {}, {}] });
  });

  it('ends as incomplete when it was cut by its length', async () => {
    const events = await eventsOf({ max_output_tokens: 1 });
    expect(events.at(-1)).toMatchObject({ type: 'response.incomplete', response: { incomplete_details: { reason: 'max_output_tokens' } } });
  });

  it('ends as failed, and with the error that clients throw, when the engine dies in the middle', async () => {
    engine.behaviour = { dieAfterTokens: 1 };
    const events = await eventsOf({});
    expect(events.slice(-2)).toMatchObject([
      { type: 'response.failed', response: { status: 'failed', error: { code: 'server_error' } } },
      { type: 'error', code: 'engine_failed' },
    ]);
  });
});
