import { describe, expect, it } from 'vitest';
import { EngineError, type GenerateRequest, type Sampling } from '../engine.js';
import type { Dialect } from './dialect.js';
import { type PreparedRequest, prepareRequest } from './request-body.js';
import type { UpstreamFacts } from './upstream-facts.js';

const plain: Sampling = { temperature: 1, topP: 1, topK: 0, minP: 0, maxTokens: 10, stop: [] };
const facts: UpstreamFacts = {
  dialect: 'vllm',
  version: '0.11.2',
  chat: { topLogprobs: 20 },
  completions: { topLogprobs: 5 },
  rawLogprobs: true,
  usageInStreams: true,
  cachedTokens: true,
  endMark: true,
  maxTokensField: 'max_tokens',
  contextSize: 4_096,
  vocabularySize: null,
  maxParallel: null,
};

function prepared(
  more: Partial<GenerateRequest> = {},
  known: Partial<UpstreamFacts> = {},
  sampledTop: number | null = null,
): PreparedRequest & { json: Record<string, unknown> } {
  const request: GenerateRequest = {
    id: 'r',
    prompt: { kind: 'chat', messages: [{ role: 'user', content: 'Hi' }] },
    sampling: plain,
    ...more,
  };
  const made = prepareRequest(request, { model: 'm', facts: { ...facts, ...known }, sampledTop });
  return { ...made, json: JSON.parse(made.body) as Record<string, unknown> };
}

function refusal(more: Partial<GenerateRequest>, known: Partial<UpstreamFacts> = {}): unknown {
  try {
    prepared(more, known);
  } catch (error) {
    return (error as EngineError).fault;
  }
  throw new Error('it was not refused');
}

describe('what an upstream is sent', () => {
  it('is a stream of the configured model, to the endpoint of the prompt', () => {
    expect(prepared()).toMatchObject({
      endpoint: 'chat/completions',
      json: { model: 'm', stream: true, stream_options: { include_usage: true }, max_tokens: 10 },
    });
    expect(prepared({ prompt: { kind: 'text', text: 'a' } })).toMatchObject({ endpoint: 'completions', json: { prompt: 'a' } });
    expect(prepared({ prompt: { kind: 'tokens', tokens: [1, 2] } }).json['prompt']).toEqual([1, 2]);
    expect(prepared({}, { usageInStreams: false }).json).not.toHaveProperty('stream_options');
    expect(prepared({}, { maxTokensField: 'max_completion_tokens' }).json).toMatchObject({ max_completion_tokens: 10 });
  });

  it('takes from the body what belongs to the answer, and never what leads elsewhere or is ours', () => {
    const tools = [{ type: 'function', function: { name: 'f' } }];
    const body = {
      tools,
      tool_choice: 'auto',
      reasoning_effort: 'low',
      verbosity: null,
      model: 'gpt-5',
      messages: [{ role: 'user', content: 'other' }],
      prompt: 'other',
      stream: false,
      stream_options: { include_usage: false },
      max_tokens: 1_000_000,
      n: 99,
      logprobs: true,
      top_logprobs: 20,
      echo: true,
      api_base: 'http://169.254.169.254',
      base_url: 'http://169.254.169.254',
      api_key: 'x',
      headers: { authorization: 'x' },
      extra_headers: { authorization: 'x' },
      user: 'someone',
      metadata: { a: 'b' },
    };
    const { json } = prepared({ body });
    expect(json).toMatchObject({
      model: 'm',
      stream: true,
      max_tokens: 10,
      tools,
      tool_choice: 'auto',
      reasoning_effort: 'low',
      messages: [{ content: 'Hi' }],
    });
    const leaked = [
      'verbosity',
      'prompt',
      'n',
      'logprobs',
      'top_logprobs',
      'echo',
      'api_base',
      'base_url',
      'api_key',
      'headers',
      'extra_headers',
      'user',
      'metadata',
    ];
    expect(Object.keys(json).filter((name) => leaked.includes(name))).toEqual([]);
  });

  it('has the whole of sampling, over what the body says', () => {
    const sampling: Sampling = {
      ...plain,
      temperature: 0.5,
      topP: 0.9,
      topK: 40,
      minP: 0.05,
      seed: 7,
      stop: ['\n'],
      frequencyPenalty: 0.1,
      presencePenalty: 0.2,
      repeatPenalty: 1.1,
      logitBias: [[42, -100]],
    };
    expect(prepared({ sampling, body: { frequency_penalty: 2, logit_bias: { '1': 1 } } }).json).toMatchObject({
      temperature: 0.5,
      top_p: 0.9,
      top_k: 40,
      min_p: 0.05,
      seed: 7,
      stop: ['\n'],
      frequency_penalty: 0.1,
      presence_penalty: 0.2,
      repetition_penalty: 1.1,
      logit_bias: { '42': -100 },
    });
  });

  it.each<[Dialect, Record<string, unknown>, string[]]>([
    ['vllm', { top_k: -1, min_p: 0, repetition_penalty: 1 }, ['repeat_penalty']],
    ['sglang', { top_k: -1, min_p: 0, repetition_penalty: 1 }, ['repeat_penalty']],
    ['llama-server', { top_k: 0, min_p: 0, repeat_penalty: 1 }, ['repetition_penalty']],
    ['openai', {}, ['top_k', 'min_p', 'repetition_penalty', 'seed', 'stop', 'n', 'logprobs', 'logit_bias', 'frequency_penalty']],
    ['tgi', {}, ['top_k', 'min_p', 'repetition_penalty']],
    ['ollama', {}, ['top_k', 'min_p', 'repetition_penalty']],
  ])('says "no cut" to %s in its words, and nothing where it would be refused', (dialect, has, lacks) => {
    const { json } = prepared({}, { dialect });
    expect(json).toMatchObject(has);
    expect(Object.keys(json).filter((name) => lacks.includes(name))).toEqual([]);
  });

  const schema = { type: 'object', properties: { a: { type: 'string' } } };
  it.each<[Dialect, string | null, GenerateRequest['constraint'], object]>([
    ['vllm', null, { kind: 'jsonObject' }, { response_format: { type: 'json_object' } }],
    [
      'openai',
      null,
      { kind: 'jsonSchema', schema },
      { response_format: { type: 'json_schema', json_schema: { name: 'answer', schema, strict: true } } },
    ],
    ['tgi', null, { kind: 'jsonSchema', schema }, { response_format: { type: 'json_object', value: schema } }],
    ['tgi', null, { kind: 'jsonObject' }, { response_format: { type: 'json_object', value: { type: 'object' } } }],
    ['llama-server', null, { kind: 'gbnf', grammar: 'root ::= "a"' }, { grammar: 'root ::= "a"' }],
    ['sglang', null, { kind: 'gbnf', grammar: 'root ::= "a"' }, { ebnf: 'root ::= "a"' }],
    ['vllm', '0.11.0', { kind: 'gbnf', grammar: 'root ::= "a"' }, { structured_outputs: { grammar: 'root ::= "a"' } }],
    ['vllm', '0.9.2', { kind: 'gbnf', grammar: 'root ::= "a"' }, { guided_grammar: 'root ::= "a"' }],
  ])('enforces a constraint with %s (%s): %j', (dialect, version, constraint, fields) => {
    const sent = prepared({ ...(constraint ? { constraint } : {}), body: { response_format: { type: 'text' } } }, { dialect, version });
    expect(sent.json).toMatchObject(fields);
  });
});

describe('log probabilities', () => {
  it('are asked for in the words of the endpoint', () => {
    expect(prepared({ topLogprobs: 3 }).json).toMatchObject({ logprobs: true, top_logprobs: 3 });
    expect(prepared({ topLogprobs: 3, prompt: { kind: 'text', text: 'a' } }).json).toMatchObject({ logprobs: 3 });
  });

  it('are as many as the client or our own sample needs, and the upstream gives', () => {
    expect(prepared({ topLogprobs: 3 }, {}, 20)).toMatchObject({ askedTop: 20, clientTop: 3, bounds: true });
    expect(prepared({ topLogprobs: 3 }, {}, null)).toMatchObject({ askedTop: 3, clientTop: 3, bounds: true });
    expect(prepared({ prompt: { kind: 'text', text: 'a' } }, {}, 20)).toMatchObject({ askedTop: 5, clientTop: null });
    expect(prepared({}, { chat: { topLogprobs: null } }, 20)).toMatchObject({ askedTop: null, bounds: false });
    expect(prepared()).toMatchObject({ askedTop: null, clientTop: null, bounds: false });
  });

  it('that are tempered tell the entropy at temperature 1 only', () => {
    expect(prepared({}, { rawLogprobs: false }, 20).bounds).toBe(true);
    expect(prepared({ sampling: { ...plain, temperature: 0.7 } }, { rawLogprobs: false }, 20).bounds).toBe(false);
    expect(prepared({ sampling: { ...plain, temperature: 0.7 } }, {}, 20).bounds).toBe(true);
  });

  it('are not asked of llama-server on our own account beside tools, which it would refuse', () => {
    const body = { tools: [{ type: 'function', function: { name: 'f' } }] };
    expect(prepared({ body }, { dialect: 'llama-server' }, 20).askedTop).toBeNull();
    expect(prepared({ body }, {}, 20).askedTop).toBe(20);
  });
});

describe('what an upstream cannot do', () => {
  it.each<[string, Partial<GenerateRequest>, Partial<UpstreamFacts>, string]>([
    ['chat', {}, { chat: null }, 'messages'],
    ['plain text', { prompt: { kind: 'text', text: 'a' } }, { completions: null }, 'prompt'],
    ['choices', { choices: 2 }, { dialect: 'tgi' }, 'n'],
    ['log probabilities', { topLogprobs: 0 }, { chat: { topLogprobs: null } }, 'top_logprobs'],
    ['so many log probabilities', { topLogprobs: 6 }, { chat: { topLogprobs: 5 } }, 'top_logprobs'],
    ['grammars', { constraint: { kind: 'gbnf', grammar: 'x' } }, { dialect: 'ollama' }, 'grammar'],
  ])('is refused before it is asked: %s', (_, more, known, field) => {
    expect(refusal(more, known)).toMatchObject({ code: 'engine.bad-request', retryable: false, field, remedy: expect.any(String) });
  });
});
