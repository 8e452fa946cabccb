// Every field of chat and plain completions: what reaches the engine, what comes back, and who is refused before any engine is asked.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FakeEngine } from '#libs/engine';
import { chunksOf, type ErrorBody, post } from '../../support/client.js';
import { aGateway, aKey, aVersion, fakeFactory, publish, type TestGateway, untilServing } from '../../support/gateway.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';

let test: TestDatabase;
let gateway: TestGateway;
let at: { url: string; key: string };
const full = new FakeEngine();
const poor = new FakeEngine({
  capabilities: { topLogprobs: 0, choices: 1, constraints: false, penalties: false, scoring: false, embeddings: false },
});

beforeAll(async () => {
  test = await createTestDatabase();
  const key = await aKey(test);
  const [v1, poorOne, v2] = [
    aVersion('v1', { engine: { kind: 'llama', file: 'v1.gguf' }, sampling: { temperature: 0.5, topK: 7 }, systemPrompt: 'Be brief.' }),
    aVersion('poor', undefined, 'poor'),
    aVersion('v2', undefined, 'mixed'),
  ];
  const poorCandidate = aVersion('poor', undefined, 'mixed');
  const generation = await publish(test, {
    routes: [
      { model: 'support', stable: v1.id, rollout: null },
      { model: 'poor', stable: poorOne.id, rollout: null },
      {
        model: 'mixed',
        stable: v2.id,
        rollout: {
          id: '00000000-0000-4000-8000-000000000001',
          candidate: poorCandidate.id,
          weight: 0,
          epoch: 1,
          salt: '00112233445566778899aabbccddeeff',
        },
      },
    ],
    versions: [v1, poorOne, v2, poorCandidate],
  });
  gateway = await aGateway(test.url, { factory: fakeFactory({ v1: full, poor }) });
  await untilServing(gateway.url, generation);
  at = { url: gateway.url, key };
});
afterAll(async () => {
  await gateway?.remove();
  await test?.drop();
});
beforeEach(() => {
  full.behaviour = {};
  full.seen.length = 0;
});

const chat = { model: 'support', messages: [{ role: 'user', content: 'Hi' }] };
const text = { model: 'support', prompt: 'Once' };

interface Likely {
  token: string;
  logprob: number;
  bytes: number[];
}
interface ChatAnswer {
  object: string;
  system_fingerprint: string;
  choices: {
    index: number;
    message: { content: string };
    finish_reason: string;
    logprobs: { content: (Likely & { top_logprobs: Likely[] })[]; refusal: null } | null;
  }[];
  usage: { prompt_tokens: number; completion_tokens: number; prompt_tokens_details: { cached_tokens: number } };
  serin?: unknown;
}
interface TextAnswer {
  object: string;
  choices: {
    index: number;
    text: string;
    finish_reason: string;
    logprobs: { tokens: string[]; token_logprobs: number[]; top_logprobs: Record<string, number>[]; text_offset: number[] } | null;
  }[];
  usage: { completion_tokens: number };
}

describe('a chat completion', () => {
  it('gives every wish to the engine, over the settings of the version', async () => {
    const reply = await post(at, '/v1/chat/completions', {
      ...chat,
      n: 3,
      seed: 7,
      stop: ['END'],
      max_completion_tokens: 9,
      temperature: 0,
      frequency_penalty: 0.5,
      presence_penalty: -0.5,
      repeat_penalty: 1.1,
      logit_bias: { '42': -100, '7': 5 },
      top_k: 3,
      min_p: 0.1,
      logprobs: true,
      top_logprobs: 2,
      grammar: 'root ::= "a"',
    });
    expect(reply.status).toBe(200);
    expect(full.seen[0]).toMatchObject({
      prompt: { kind: 'chat', messages: [{ role: 'system', content: 'Be brief.' }, chat.messages[0]] },
      choices: 3,
      topLogprobs: 2,
      constraint: { kind: 'gbnf', grammar: 'root ::= "a"' },
      sampling: {
        temperature: 0,
        topK: 3,
        minP: 0.1,
        maxTokens: 9,
        seed: 7,
        stop: ['END'],
        frequencyPenalty: 0.5,
        presencePenalty: -0.5,
        repeatPenalty: 1.1,
      },
    });
    expect(new Map(full.seen[0]?.sampling.logitBias)).toEqual(
      new Map([
        [42, -100],
        [7, 5],
      ]),
    );
  });

  it('leaves out what nobody wished, so that the version decides', async () => {
    await post(at, '/v1/chat/completions', {
      ...chat,
      frequency_penalty: 0,
      logit_bias: {},
      repeat_penalty: 1,
      n: 1,
      response_format: null,
    });
    const [seen] = full.seen;
    expect(seen?.sampling).toEqual({ temperature: 0.5, topP: 1, topK: 7, minP: 0, maxTokens: 1_024, stop: [] });
    expect(seen).not.toHaveProperty('choices');
    expect(seen).not.toHaveProperty('topLogprobs');
    expect(seen).not.toHaveProperty('constraint');
  });

  it('comes with its choices, log probabilities, usage and fingerprint in the shape of OpenAI and nothing else', async () => {
    full.behaviour = {
      tokens: (_request, choice) => (choice === 0 ? ['A', ' b'] : ['C', ' d', ' e', ' f']),
      cachedTokens: 3,
    };
    const { body } = await post<ChatAnswer>(at, '/v1/chat/completions', { ...chat, n: 2, max_tokens: 3, logprobs: true, top_logprobs: 2 });
    expect(body.object).toBe('chat.completion');
    expect(body.system_fingerprint).toMatch(/^fp_[0-9a-f]{12}$/);
    expect(body.choices.map(({ index, message, finish_reason }) => [index, message.content, finish_reason])).toEqual([
      [0, 'A b', 'stop'],
      [1, 'C d e', 'length'],
    ]);
    expect(body.choices[1]?.logprobs?.content.map((step) => step.token)).toEqual(['C', ' d', ' e']);
    expect(body.choices[0]?.logprobs).toMatchObject({
      refusal: null,
      content: [
        {
          token: 'A',
          logprob: -0.1,
          bytes: [65],
          top_logprobs: [
            { token: 'A', logprob: -0.1, bytes: [65] },
            { token: ' other0', logprob: -3 },
          ],
        },
        { token: ' b' },
      ],
    });
    expect(body.usage).toMatchObject({ completion_tokens: 5, prompt_tokens_details: { cached_tokens: 3 } });
    expect(body).not.toHaveProperty('serin');
  });

  it('tells the log probability of its own tokens alone when no others are asked for, and null without the wish', async () => {
    const own = await post<ChatAnswer>(at, '/v1/chat/completions', { ...chat, logprobs: true });
    expect(own.body.choices[0]?.logprobs?.content.map((step) => step.top_logprobs)).toEqual([[], []]);
    expect((await post<ChatAnswer>(at, '/v1/chat/completions', chat)).body.choices[0]?.logprobs).toBeNull();
  });

  it.each([
    [{ type: 'json_object' }, { kind: 'jsonObject' }],
    [
      {
        type: 'json_schema',
        json_schema: { name: 'order', strict: true, schema: { type: 'object', properties: { id: { type: 'integer' } } } },
      },
      { kind: 'jsonSchema', schema: { type: 'object', properties: { id: { type: 'integer' } } } },
    ],
    [{ type: 'text' }, undefined],
  ])('is held to the response format %j', async (response_format, constraint) => {
    expect((await post(at, '/v1/chat/completions', { ...chat, response_format })).status).toBe(200);
    expect(full.seen[0]?.constraint).toEqual(constraint);
  });

  it.each<[string, object, string]>([
    ['n', { n: 17 }, 'n'],
    ['n of zero', { n: 0 }, 'n'],
    ['top_logprobs without logprobs', { top_logprobs: 2 }, 'top_logprobs'],
    ['top_logprobs', { logprobs: true, top_logprobs: 21 }, 'top_logprobs'],
    ['logprobs as a number', { logprobs: 3 }, 'logprobs'],
    ['a penalty', { frequency_penalty: 3 }, 'frequency_penalty'],
    ['a bias', { logit_bias: { '5': 101 } }, 'logit_bias.5'],
    ['a bias for a word', { logit_bias: { hello: 1 } }, 'logit_bias.hello'],
    ['too many biases', { logit_bias: Object.fromEntries(Array.from({ length: 1_025 }, (_, id) => [id, 1])) }, 'logit_bias'],
    ['an unknown format', { response_format: { type: 'xml' } }, 'response_format.type'],
    [
      'a schema without its name',
      { response_format: { type: 'json_schema', json_schema: { schema: {} } } },
      'response_format.json_schema.name',
    ],
    [
      'a huge schema',
      { response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { description: 'x'.repeat(70_000) } } } },
      'response_format.json_schema.schema',
    ],
    [
      'a deep schema',
      {
        response_format: { type: 'json_schema', json_schema: { name: 'x', schema: JSON.parse(`${'{"a":'.repeat(40)}1${'}'.repeat(40)}`) } },
      },
      'response_format.json_schema.schema',
    ],
    ['two formats at once', { grammar: 'root ::= "a"', response_format: { type: 'json_object' } }, 'grammar'],
    ['a repeat penalty', { repeat_penalty: 0 }, 'repeat_penalty'],
    ['too many stops', { stop: ['a', 'b', 'c', 'd', 'e'] }, 'stop'],
  ])('refuses %s out of bounds by its name', async (_what, extra, param) => {
    const { status, body } = await post(at, '/v1/chat/completions', { ...chat, ...extra });
    expect(status).toBe(400);
    expect(body.error).toMatchObject({ code: 'invalid_value', param, type: 'invalid_request_error' });
    expect(full.seen).toEqual([]);
  });

  it.each<[object, string]>([
    [{ n: 2 }, 'n'],
    [{ logprobs: true }, 'logprobs'],
    [{ logprobs: true, top_logprobs: 3 }, 'top_logprobs'],
    [{ frequency_penalty: 1 }, 'frequency_penalty'],
    [{ presence_penalty: 1 }, 'presence_penalty'],
    [{ repeat_penalty: 1.2 }, 'repeat_penalty'],
    [{ logit_bias: { '1': 1 } }, 'logit_bias'],
    [{ response_format: { type: 'json_object' } }, 'response_format'],
    [{ grammar: 'root ::= "a"' }, 'grammar'],
  ])('refuses %j when one arm cannot honour it, whatever the coin says', async (extra, param) => {
    for (const model of ['poor', 'mixed']) {
      const { status, body } = await post(at, '/v1/chat/completions', { ...chat, model, ...extra });
      expect([model, status, body.error.code, body.error.param]).toEqual([model, 400, 'unsupported_parameter', param]);
    }
    const pinned = await post(at, '/v1/chat/completions', { ...chat, model: 'mixed', ...extra }, { 'x-serin-version': 'v2' });
    expect(pinned.status).toBe(200);
    expect(poor.seen).toEqual([]);
  });
});

describe('a streamed chat completion', () => {
  it('begins each choice with its role, brings log probabilities per chunk, and ends with finish, usage and end mark', async () => {
    full.behaviour = { tokens: (_request, choice) => (choice === 0 ? ['A'] : ['B', ' c']) };
    const { text: wire, headers } = await post(at, '/v1/chat/completions', {
      ...chat,
      n: 2,
      stream: true,
      stream_options: { include_usage: true },
      logprobs: true,
      top_logprobs: 1,
    });
    expect(headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    const chunks = chunksOf<{
      object: string;
      choices: {
        index: number;
        delta: { role?: string; content?: string };
        finish_reason: string | null;
        logprobs: { content: Likely[] } | null;
      }[];
      usage: { completion_tokens: number } | null;
    }>(wire);
    expect(new Set(chunks.map((chunk) => chunk.object))).toEqual(new Set(['chat.completion.chunk']));
    expect(chunks.flatMap(({ choices }) => choices.map(({ index, delta, finish_reason }) => [index, delta, finish_reason]))).toEqual([
      [0, { role: 'assistant', content: '' }, null],
      [0, { content: 'A' }, null],
      [1, { role: 'assistant', content: '' }, null],
      [1, { content: 'B' }, null],
      [1, { content: ' c' }, null],
      [0, {}, 'stop'],
      [1, {}, 'stop'],
    ]);
    expect(chunks[4]?.choices[0]?.logprobs).toMatchObject({ content: [{ token: ' c', top_logprobs: [{ token: ' c' }] }] });
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 3 } });
    expect(chunks.slice(0, -1).every((chunk) => chunk.usage === null)).toBe(true);
  });

  it('says nothing of usage when nobody asked', async () => {
    const { text: wire } = await post(at, '/v1/chat/completions', { ...chat, stream: true });
    expect(wire).not.toContain('usage');
    expect(wire).not.toContain('serin"');
  });
});

describe('a plain completion', () => {
  it('takes the prompt as it stands, without template and system prompt, and 16 tokens unless told otherwise', async () => {
    const { body } = await post<TextAnswer>(at, '/v1/completions', text);
    expect(body).toMatchObject({
      object: 'text_completion',
      choices: [{ index: 0, text: 'Hello there', finish_reason: 'stop', logprobs: null }],
    });
    expect(full.seen[0]).toMatchObject({ prompt: { kind: 'text', text: 'Once' }, sampling: { maxTokens: 16 } });
    await post(at, '/v1/completions', { ...text, prompt: [5, 6, 7], max_tokens: 2 });
    expect(full.seen[1]).toMatchObject({ prompt: { kind: 'tokens', tokens: [5, 6, 7] }, sampling: { maxTokens: 2 } });
  });

  it('numbers the answers of several prompts through and adds up their usage', async () => {
    full.behaviour = {
      tokens: ({ prompt }, choice) => [prompt.kind === 'text' ? prompt.text : prompt.kind, ` ${choice}`],
    };
    const { body } = await post<TextAnswer>(at, '/v1/completions', { model: 'support', prompt: ['x', 'y', 'z'], n: 2 });
    expect(body.choices.map(({ index, text: answer }) => [index, answer])).toEqual([
      [0, 'x 0'],
      [1, 'x 1'],
      [2, 'y 0'],
      [3, 'y 1'],
      [4, 'z 0'],
      [5, 'z 1'],
    ]);
    expect(body.usage.completion_tokens).toBe(12);
    expect(new Set(full.seen.map((request) => request.id)).size).toBe(3);
  });

  it('fails as a whole when one of its prompts does, and stops the others', async () => {
    const before = full.cancelled;
    let asked = 0;
    full.behaviour = {
      firstTokenMs: 5_000,
      failWith: () => {
        asked += 1;
        return asked === 2 ? { code: 'engine.context-overflow', message: 'prompt 1 is too long', retryable: false } : null;
      },
    };
    const { status, body } = await post(at, '/v1/completions', { model: 'support', prompt: ['x', 'y', 'z'] });
    expect([status, body.error.code, body.error.param]).toEqual([400, 'context_length_exceeded', 'prompt']);
    expect(full.cancelled - before).toBe(2);
  });

  it('tells log probabilities as parallel arrays whose offsets point into the text, also where tokens split characters', async () => {
    const pizza = Buffer.from('🍕', 'utf8');
    full.behaviour = { tokens: () => ['Größe', pizza.subarray(0, 2), pizza.subarray(2), ' ok'] };
    const { body } = await post<TextAnswer>(at, '/v1/completions', { ...text, logprobs: 1 });
    expect(body.choices[0]).toMatchObject({
      text: 'Größe🍕 ok',
      logprobs: {
        tokens: ['Größe', 'bytes:\\xf0\\x9f', 'bytes:\\x8d\\x95', ' ok'],
        token_logprobs: [-0.1, -0.1, -0.1, -0.1],
        text_offset: [0, 5, 6, 6],
      },
    });
    expect(body.choices[0]?.logprobs?.top_logprobs[3]).toEqual({ ' ok': -0.1 });
  });

  it('streams chunks whose offsets go on', async () => {
    const { text: wire } = await post(at, '/v1/completions', { ...text, stream: true, logprobs: 0 });
    const chunks = chunksOf<TextAnswer>(wire);
    expect(chunks.map(({ choices: [choice] }) => [choice?.text, choice?.logprobs?.text_offset, choice?.finish_reason])).toEqual([
      ['Hello', [0], null],
      [' there', [5], null],
      ['', undefined, 'stop'],
    ]);
  });

  it.each<[object, string, string]>([
    [{ echo: true }, 'unsupported_parameter', 'echo'],
    [{ suffix: 'end' }, 'unsupported_parameter', 'suffix'],
    [{ best_of: 2 }, 'unsupported_parameter', 'best_of'],
    [{ logprobs: 21 }, 'invalid_value', 'logprobs'],
    [{ prompt: [] }, 'invalid_value', 'prompt'],
    [{ prompt: Array.from({ length: 17 }, () => 'x') }, 'invalid_value', 'prompt'],
    [{ prompt: [1, 'x'] }, 'invalid_value', 'prompt'],
    [{ prompt: [-1] }, 'invalid_value', 'prompt.0'],
    [{ prompt: undefined }, 'invalid_value', 'prompt'],
    [{ prompt: Array.from({ length: 16 }, () => 'x'), n: 5 }, 'invalid_value', 'n'],
    [{ messages: [] }, 'unknown_parameter', 'messages'],
  ])('refuses %j', async (extra, code, param) => {
    const { status, body } = await post<ErrorBody>(at, '/v1/completions', { ...text, ...extra });
    expect([status, body.error.code, body.error.param]).toEqual([400, code, param]);
    expect(full.seen).toEqual([]);
  });

  it('refuses log probabilities that an engine does not tell', async () => {
    const { body } = await post(at, '/v1/completions', { ...text, model: 'poor', logprobs: 2 });
    expect(body.error).toMatchObject({ code: 'unsupported_parameter', param: 'logprobs' });
  });
});
