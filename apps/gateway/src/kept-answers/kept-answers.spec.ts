// What is kept of answers: their words out of every shape in which clients get them, within a bound, and nothing after they were read.
import { describe, expect, it } from 'vitest';
import { answerText } from './answer-text.js';
import { bothTaps, KeptAnswers } from './kept-answers.js';

const whole = (body: unknown): string | null => answerText('whole', Buffer.from(JSON.stringify(body)));
const stream = (...events: unknown[]): string | null =>
  answerText('stream', Buffer.from(`${events.map((one) => `data: ${JSON.stringify(one)}\n\n`).join('')}data: [DONE]\n\n`));

describe('the words of an answer', () => {
  it('are found in whole answers and streams of all endpoints', () => {
    expect(whole({ choices: [{ index: 0, message: { content: 'Grüße' } }] })).toBe('Grüße');
    expect(whole({ choices: [{ index: 0, text: 'a\nb' }] })).toBe('a\nb');
    expect(whole({ output: [{ type: 'message', content: [{ type: 'output_text', text: 'x' }] }] })).toBe('x');
    const pieces = ['', 'Gr', 'üße\ndata: x'].map((content) => ({ choices: [{ index: 0, delta: { content } }] }));
    expect(stream(...pieces, { choices: [], usage: {} })).toBe('Grüße\ndata: x');
    expect(stream({ choices: [{ index: 0, text: 'a' }] }, { choices: [{ index: 0, text: 'b' }] })).toBe('ab');
    expect(stream({ type: 'response.created' }, { type: 'response.output_text.delta', delta: 'x' })).toBe('x');
  });

  it('are none of several choices, of calls, of errors, and of what is no answer', () => {
    expect(whole({ choices: [{ text: 'a' }, { text: 'b' }] })).toBeNull();
    expect(whole({ choices: [{ message: { content: null, tool_calls: [{}] } }] })).toBeNull();
    expect(whole({ error: { message: 'no' } })).toBeNull();
    expect(stream({ choices: [{ index: 1, delta: { content: 'b' } }] })).toBeNull();
    expect(stream({ choices: [{ index: 0, delta: { tool_calls: [{}] } }] })).toBeNull();
    expect(stream({ choices: [{ index: 0, delta: { content: 'b' } }] }, { error: {} })).toBeNull();
    expect(answerText('whole', Buffer.from('{'))).toBeNull();
    expect(answerText('stream', Buffer.from('data: {\n\n'))).toBeNull();
  });
});

describe('kept answers', () => {
  it('take no more than fits, of one and of all, and give everything back', () => {
    const all = new KeptAnswers();
    const large = all.keep();
    large.begin('stream');
    large.take(Buffer.alloc(500_000));
    large.take(Buffer.alloc(500_000));
    expect([large.lost, large.text(), all.size]).toEqual([true, null, 0]);
    const many = Array.from({ length: 40 }, () => all.keep());
    for (const one of many) one.take(Buffer.alloc(500_000));
    expect(many.filter(({ lost }) => lost)).toHaveLength(40 - 33);
    expect(all.size).toBe(33 * 500_000);
    for (const one of [...many, ...many]) one.drop();
    expect(all.size).toBe(0);
  });

  it('are a copy: what the sender does with its bytes later changes nothing', () => {
    const kept = new KeptAnswers().keep();
    const bytes = Buffer.from('{"choices":[{"text":"yes"}]}');
    bothTaps(null, kept)?.begin('whole');
    bothTaps(new KeptAnswers().keep(), kept)?.take(bytes);
    bytes.fill(0);
    expect(kept.text()).toBe('yes');
    kept.drop();
    expect(kept.text()).toBeNull();
  });
});
