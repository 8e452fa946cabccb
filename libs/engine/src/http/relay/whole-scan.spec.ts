import { describe, expect, it } from 'vitest';
import type { AnswerWishes } from './stream-reader.js';
import { readWhole } from './whole-scan.js';

const wishes = (more: Partial<AnswerWishes> = {}): AnswerWishes => ({
  endpoint: 'chat/completions',
  choices: 1,
  askedTop: null,
  clientTop: null,
  bounds: false,
  withUsage: false,
  modelShown: 'support',
  facts: { endMark: true, usageInStreams: true, vocabularySize: 1_000 },
  secret: 'sk-hunter2',
  mostBytes: 1 << 20,
  ...more,
});

const usage = { prompt_tokens: 3, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 1 } };
const half = Math.log(0.5);
const logprobs = {
  content: [
    {
      token: 'Hi',
      logprob: half,
      top_logprobs: [
        { token: 'Hi', logprob: half },
        { token: 'Ho', logprob: half },
      ],
    },
  ],
};
const answer = (more: object = {}, choice: object = {}): string =>
  JSON.stringify({
    id: 'c',
    model: 'other',
    choices: [{ index: 0, message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop', ...choice }],
    usage,
    ...more,
  });
const read = (text: string, more: Partial<AnswerWishes> = {}) => readWhole(Buffer.from(text), wishes(more), 'a');

describe('a body that came whole', () => {
  it('is passed under the public name, byte for byte otherwise, and keeps its usage', () => {
    for (const text of [answer(), JSON.stringify(JSON.parse(answer()), null, 2)]) {
      const { output, fault, summary } = read(text);
      expect(fault).toBeNull();
      expect(String(output)).toBe(text.replace('"other"', '"support"'));
      expect(summary).toMatchObject({
        tokens: 2,
        finishReason: 'stop',
        usage: { inputTokens: 3, outputTokens: 2, cachedTokens: 1 },
        firstTokenAtMs: null,
      });
    }
    const same = Buffer.from(answer({ model: 'support' }));
    expect(readWhole(same, wishes(), null).output).toBe(same);
  });

  it('tells its uncertainty and loses the numbers that nobody asked for', () => {
    const { output, summary } = read(answer({}, { logprobs }), { askedTop: 2, bounds: true });
    expect(summary.uncertainty).toMatchObject({
      tokens: 1,
      nllNats: expect.closeTo(Math.log(2), 12),
      lowerNats: expect.closeTo(Math.log(2), 12),
    });
    expect(JSON.parse(String(output)).choices[0].logprobs).toBeNull();
    const shorter = read(answer({}, { logprobs }), { askedTop: 2, clientTop: 1 });
    expect(JSON.parse(String(shorter.output)).choices[0].logprobs.content[0].top_logprobs).toHaveLength(1);
  });

  it.each<[string, string, Partial<AnswerWishes>]>([
    ['an error in disguise', '{"error":{"message":"sk-hunter2 is wrong","code":500}}', {}],
    ['an error beside choices', answer({ error: { message: 'no' } }), {}],
    ['half of it', answer().slice(0, -20), {}],
    ['no JSON', '<html>', {}],
    ['no answer', '{"id":"c"}', {}],
    ['a choice that has not ended', answer({}, { finish_reason: null }), {}],
    ['a choice too few', answer(), { choices: 2 }],
    ['a choice that was given up', answer({}, { finish_reason: 'abort' }), {}],
    ['too many bytes', answer(), { mostBytes: 10 }],
    ['an embedding too few', '{"data":[{"embedding":[1,2]}],"model":"m"}', { endpoint: 'embeddings', choices: 2 }],
    ['no embeddings', '{"usage":{"prompt_tokens":1},"model":"m"}', { endpoint: 'embeddings' }],
    ['a failed response', '{"status":"failed","error":{"message":"no"},"model":"m"}', { endpoint: 'responses' }],
    ['a response that goes on', '{"status":"in_progress","error":null,"model":"m"}', { endpoint: 'responses' }],
  ])('with %s is a fault and nothing else', (_, text, more) => {
    const { fault, output } = read(text, more);
    expect(fault?.code).toMatch(/^engine\./);
    expect(fault?.message).not.toContain('hunter2');
    expect(output.length).toBe(0);
  });

  it('of members twice or with escapes is written anew', () => {
    const text =
      '{"model":"a","mod\\u0065l":"other","choices":[{"message":{"content":"x"},"finish_reason":"length","logprobs":{"content":[]}}]}';
    const { output, summary } = read(text);
    expect(JSON.parse(String(output))).toMatchObject({ model: 'support', choices: [{ message: { content: 'x' }, logprobs: null }] });
    expect(summary.finishReason).toBe('length');
  });

  it('of embeddings and responses goes under the public name', () => {
    const embeddings = read('{"object":"list","data":[{"embedding":[1e-3,-2]}],"model":"m","usage":{"prompt_tokens":4,"total_tokens":4}}', {
      endpoint: 'embeddings',
    });
    expect(String(embeddings.output)).toContain('"model":"support"');
    expect(embeddings.summary.usage?.inputTokens).toBe(4);
    const response = read(
      '{"id":"r","status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"model":"m","error":null,"usage":{"input_tokens":4,"output_tokens":5}}',
      { endpoint: 'responses' },
    );
    expect(String(response.output)).toContain('"model":"support"');
    expect(response.summary).toMatchObject({ finishReason: 'length', tokens: 5 });
  });
});
