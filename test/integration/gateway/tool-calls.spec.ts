// Functions that a client offers: checked by name, given to whatever engine answers, and its calls told as OpenAI tells them.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ok } from '#libs/base';
import { FakeEngine, HttpEngine } from '#libs/engine';
import { chunksOf, post } from '../../support/client.js';
import { aGateway, aKey, aVersion, publish, type TestGateway, untilServing } from '../../support/gateway.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';
import { FakeUpstream } from '../../support/upstream.js';

let test: TestDatabase;
let gateway: TestGateway;
let at: { url: string; key: string };
const near = new FakeEngine();
const mute = new FakeEngine({ capabilities: { tools: false } });
const upstream = new FakeUpstream('vllm');

beforeAll(async () => {
  test = await createTestDatabase();
  const key = await aKey(test);
  const baseUrl = await upstream.start();
  const versions = [aVersion('near'), aVersion('mute', undefined, 'mute'), aVersion('far', undefined, 'far')];
  const generation = await publish(test, {
    routes: versions.map(({ id, model }) => ({ model, stable: id, rollout: null })),
    versions,
  });
  const factory = async (_spec: unknown, { label }: { label: string }) =>
    ok(label === 'near' ? near : label === 'mute' ? mute : new HttpEngine({ baseUrl, model: 'fake-model' }));
  gateway = await aGateway(test.url, { factory });
  await untilServing(gateway.url, generation);
  at = { url: gateway.url, key };
});
afterAll(async () => {
  await gateway?.remove();
  await upstream.stop();
  await test?.drop();
});
beforeEach(() => {
  near.behaviour = {};
  near.seen.length = 0;
  upstream.calls = () => null;
});

const parameters = { type: 'object', properties: { order: { type: 'integer' } }, required: ['order'], additionalProperties: false };
const tool = (name: string) => ({ type: 'function', function: { name, description: `Does ${name}.`, parameters, strict: true } });
const asked = { model: 'support', messages: [{ role: 'user', content: 'Where is order 7?' }], tools: [tool('look_up'), tool('cancel')] };

interface Call {
  index?: number;
  id?: string;
  type?: string;
  function: { name?: string; arguments: string };
}
interface Whole {
  choices: { message: { content: string | null; tool_calls?: Call[] }; finish_reason: string }[];
}
interface Chunk {
  choices: { index: number; delta: { role?: string; content?: string | null; tool_calls?: Call[] }; finish_reason: string | null }[];
}

const twoCalls = [
  { index: 0, id: 'call_a', name: 'look_up', arguments: '' },
  { index: 0, arguments: '{"order":' },
  { index: 0, arguments: ' 7}' },
  { index: 1, name: 'cancel', arguments: '{"order": 8}' },
];

describe('functions that are offered', () => {
  it('reach the engine as the client chose among them', async () => {
    const use = async (more: object) => {
      near.seen.length = 0;
      expect((await post(at, '/v1/chat/completions', { ...asked, ...more })).status).toBe(200);
      return near.seen[0]?.tools;
    };
    const names = (await use({}))?.tools.map((one) => one.name);
    expect(names).toEqual(['look_up', 'cancel']);
    expect(await use({})).toMatchObject({ choice: 'auto', parallel: true, tools: [{ description: 'Does look_up.', parameters }, {}] });
    expect(await use({ tool_choice: 'none' })).toBeUndefined();
    expect(await use({ tool_choice: 'required', parallel_tool_calls: false })).toMatchObject({ choice: 'required', parallel: false });
    expect(await use({ tool_choice: { type: 'function', function: { name: 'cancel' } } })).toMatchObject({ choice: { name: 'cancel' } });
    const narrowed = {
      type: 'allowed_tools',
      allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'cancel' } }] },
    };
    expect(await use({ tool_choice: narrowed })).toMatchObject({ choice: 'required', tools: [{ name: 'cancel' }] });
    expect(await use({ tools: [] })).toBeUndefined();
  });

  it('are told with the calls and results of earlier turns', async () => {
    const call = { id: 'call_1', type: 'function', function: { name: 'look_up', arguments: '{"order":7}' } };
    await post(at, '/v1/chat/completions', {
      ...asked,
      messages: [
        ...asked.messages,
        { role: 'assistant', content: null, tool_calls: [call], refusal: null },
        { role: 'tool', tool_call_id: 'call_1', content: [{ type: 'text', text: 'On its way.' }] },
      ],
    });
    expect(near.seen[0]?.prompt).toEqual({
      kind: 'chat',
      messages: [
        asked.messages[0],
        { role: 'assistant', content: '', toolCalls: [{ id: 'call_1', name: 'look_up', arguments: '{"order":7}' }] },
        { role: 'tool', content: 'On its way.', toolCallId: 'call_1' },
      ],
    });
  });

  it.each<[string, object, string]>([
    ['a name with blanks', { tools: [tool('look up')] }, 'tools.0.function.name'],
    ['a name that is too long', { tools: [tool('x'.repeat(65))] }, 'tools.0.function.name'],
    ['two functions of one name', { tools: [tool('a'), tool('a')] }, 'tools'],
    ['too many functions', { tools: Array.from({ length: 129 }, (_, index) => tool(`f${index}`)) }, 'tools'],
    [
      'parameters that are no object',
      { tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'string' } } }] },
      'tools.0.function.parameters',
    ],
    [
      'huge parameters',
      { tools: [{ type: 'function', function: { name: 'f', parameters: { description: 'x'.repeat(70_000) } } }] },
      'tools.0.function.parameters',
    ],
    ["a server's own tool", { tools: [{ type: 'web_search' }] }, 'tools.0.type'],
    ['a choice without functions', { tools: undefined, tool_choice: 'required' }, 'tool_choice'],
    ['a choice of another function', { tool_choice: { type: 'function', function: { name: 'pay' } } }, 'tool_choice'],
    ['a choice that is none', { tool_choice: 'any' }, 'tool_choice'],
    ['a grammar beside them', { grammar: 'root ::= "a"' }, 'grammar'],
    ['a result without its call', { messages: [{ role: 'tool', content: 'x' }] }, 'messages.0.tool_call_id'],
    [
      'calls of a user',
      { messages: [{ role: 'user', content: 'x', tool_calls: [{ id: 'a', function: { name: 'f', arguments: '' } }] }] },
      'messages.0.tool_calls',
    ],
    ['a message without content', { messages: [{ role: 'user' }] }, 'messages.0.content'],
    [
      'an image',
      {
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'x' },
              { type: 'image_url', image_url: { url: 'https://x' } },
            ],
          },
        ],
      },
      'messages.0.content.1.type',
    ],
  ])('are refused by the field: %s', async (_what, more, param) => {
    const { status, body } = await post(at, '/v1/chat/completions', { ...asked, ...more });
    expect([status, body.error.code, body.error.param]).toEqual([400, 'invalid_value', param]);
    expect(near.seen).toEqual([]);
  });

  it('are refused where the engine calls none, and harmless when they may not be called', async () => {
    const { status, body } = await post(at, '/v1/chat/completions', { ...asked, model: 'mute' });
    expect([status, body.error.code, body.error.param]).toEqual([400, 'unsupported_parameter', 'tools']);
  });
});

describe('calls of an answer', () => {
  it('come whole, with null for the text that was not said', async () => {
    near.behaviour = { calls: () => twoCalls };
    const { body } = await post<Whole>(at, '/v1/chat/completions', asked);
    expect(body.choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { content: null } });
    expect(body.choices[0]?.message.tool_calls).toEqual([
      { id: 'call_a', type: 'function', function: { name: 'look_up', arguments: '{"order": 7}' } },
      { id: expect.stringMatching(/^call_[0-9a-f]{24}$/), type: 'function', function: { name: 'cancel', arguments: '{"order": 8}' } },
    ]);
  });

  it('come in pieces: the first of a call names it, the others add to its arguments', async () => {
    near.behaviour = { calls: () => twoCalls, tokens: () => ['Let me see.'] };
    const { text } = await post(at, '/v1/chat/completions', { ...asked, stream: true });
    const deltas = chunksOf<Chunk>(text).flatMap(({ choices }) => choices.map(({ delta, finish_reason }) => finish_reason ?? delta));
    expect(deltas).toEqual([
      { role: 'assistant', content: '' },
      { content: 'Let me see.' },
      { tool_calls: [{ index: 0, id: 'call_a', type: 'function', function: { name: 'look_up', arguments: '' } }] },
      { tool_calls: [{ index: 0, function: { arguments: '{"order":' } }] },
      { tool_calls: [{ index: 0, function: { arguments: ' 7}' } }] },
      {
        tool_calls: [
          { index: 1, id: expect.stringMatching(/^call_/), type: 'function', function: { name: 'cancel', arguments: '{"order": 8}' } },
        ],
      },
      'tool_calls',
    ]);
  });

  it('stay with their choice', async () => {
    near.behaviour = {
      calls: (_request, choice) => [{ index: 0, id: `call_${choice}`, name: 'look_up', arguments: `{"order":${choice}}` }],
    };
    const { body } = await post<Whole>(at, '/v1/chat/completions', { ...asked, n: 2 });
    expect(body.choices.map((choice) => choice.message.tool_calls?.[0]?.function.arguments)).toEqual(['{"order":0}', '{"order":1}']);
  });
});

describe('an upstream', () => {
  it('is given functions, choice and earlier turns as the client wrote them, and its calls come back', async () => {
    upstream.calls = () => [{ name: 'look_up', arguments: '{"order": 7}' }];
    const call = { id: 'call_0', type: 'function', function: { name: 'look_up', arguments: '{}' } };
    const messages = [
      ...asked.messages,
      { role: 'assistant', tool_calls: [call] },
      { role: 'tool', tool_call_id: 'call_0', content: 'no' },
    ];
    const body = { ...asked, model: 'far', messages, tool_choice: 'required', parallel_tool_calls: false };
    const whole = await post<Whole>(at, '/v1/chat/completions', body);
    expect(upstream.last.body).toMatchObject({ tools: asked.tools, tool_choice: 'required', parallel_tool_calls: false });
    expect(upstream.last.body['messages']).toEqual(messages);
    expect(whole.body.choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { content: null } });
    const calls = [{ id: 'call_1', type: 'function', function: { name: 'look_up', arguments: '{"order": 7}' } }];
    expect(whole.body.choices[0]?.message.tool_calls).toEqual(calls);
    const streamed = await post(at, '/v1/chat/completions', { ...body, stream: true });
    const pieces = chunksOf<Chunk>(streamed.text).flatMap((chunk) => chunk.choices[0]?.delta.tool_calls ?? []);
    expect(pieces.map((piece) => piece.function.arguments).join('')).toBe('{"order": 7}');
    expect(pieces.filter((piece) => piece.id !== undefined)).toHaveLength(1);
  });
});
