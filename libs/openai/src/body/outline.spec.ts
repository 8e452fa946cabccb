import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chatBytes, completionBytes, plainChatBytes } from '../../../../test/support/request-bodies.mjs';
import { outlineChat, parseChatBody } from '../chat-request.js';
import { outlineCompletion, parseCompletionBody } from '../completion-request.js';
import { textOf } from '../message-content.js';
import { scanBody } from './scan.js';

function scanned(text: string | Buffer) {
  const scan = scanBody(typeof text === 'string' ? Buffer.from(text) : text);
  if (!scan.ok) throw new Error(scan.fault.message);
  return scan.value;
}
const chat = (messages: unknown, more = {}) => JSON.stringify({ model: 'm', messages, ...more });
const outlined = (text: string) => outlineChat(scanned(text));
const one = [{ role: 'user', content: 'Hello' }];

describe('the outline of a chat', () => {
  it('is there for plain texts, whatever else is asked for, so that nobody reads them', () => {
    for (const text of [
      chat(one),
      chat([{ role: 'system', content: 'a "b"\n' }, ...one, { role: 'assistant', content: '' }, { role: 'developer', content: 'é😀' }]),
      chat(one, {
        stream: true,
        stream_options: { include_usage: true },
        temperature: 0.5,
        max_tokens: 16,
        seed: 7,
        stop: ['a'],
        user: 'u',
      }),
      chat(one, {
        logprobs: true,
        top_logprobs: 5,
        n: 2,
        logit_bias: { 1: 5 },
        metadata: { a: 'b' },
        response_format: { type: 'json_object' },
      }),
      chat(one, { tools: [{ type: 'function', function: { name: 'now', parameters: { type: 'object' } } }], tool_choice: 'auto' }),
      ' { "messages" : [ { "content" :\t"x" , "role" : "user" } \n] , "model" : "\\u006d" } ',
    ]) {
      expect(outlined(text), text).not.toBe(null);
    }
  });

  it('is not there where a parse has to tell what is meant, or what is wrong', () => {
    for (const text of [
      chat([{ role: 'user', content: [{ type: 'text', text: 'parts' }] }]),
      chat([...one, { role: 'assistant', content: null, tool_calls: [] }]),
      chat([{ role: 'tool', content: 'x', tool_call_id: '1' }]),
      chat([{ role: 'user', content: 'x', name: 'ann' }]),
      '{"model":"m","messages":[{"role":"user","role":"system","content":"x"}]}',
      '{"model":"m","messages":[{"role":"user","content":"x","content":"y"}]}',
      '{"model":"m","messages":[{"r\\u006fle":"user","content":"x"}]}',
      '{"model":"m","messages":[{"role":"us\\u0065r","content":"x"}]}',
      '{"mod\\u0065l":"m","messages":[{"role":"user","content":"x"}]}',
      '{"model":"m","messages":[{"role":"user","content":"x"}],"metadata":{"\\u0061":"b"}}',
      '{"messages":[{"role":"user","content":"x"}]}',
      chat([]),
      chat([{}]),
      chat(['x']),
      chat({}),
      chat(one, { temperature: 3 }),
      chat(one, { top_logprobs: 3 }),
      chat(one, { unknown: 1 }),
      chat(one, { n: null, tools: null, tool_choice: 'required' }),
      chat(Array.from({ length: 4_097 }, () => one[0])),
    ]) {
      expect(outlined(text), text.slice(0, 200)).toBe(null);
    }
  });

  it('says of generated bodies, good and spoiled, what a parse of the whole says of them', () => {
    let outlines = 0;
    fc.assert(
      fc.property(fc.oneof(chatBytes, plainChatBytes), (bytes) => {
        const scan = scanBody(bytes);
        const outline = scan.ok ? outlineChat(scan.value) : null;
        if (!scan.ok || outline === null) return;
        outlines += 1;
        const parsed = parseChatBody(scan.value.whole());
        if (!parsed.ok) throw new Error(`accepted, though ${parsed.fault.message}`);
        const { messages, ...fields } = parsed.value;
        expect(outline.fields).toEqual(fields);
        const last = messages.findLast(({ role }) => role === 'user') ?? messages.at(-1);
        expect(outline.messages.lastWords(Number.MAX_SAFE_INTEGER)).toBe(textOf(last?.content));
        const user = messages.findIndex(({ role }) => role === 'user');
        const opening = user < 0 ? messages : messages.slice(0, user + 1);
        expect([...outline.messages.firstWords(Number.MAX_SAFE_INTEGER)]).toEqual(
          opening.map(({ role, content }) => ({ role, text: textOf(content) })),
        );
      }),
      { numRuns: 4_000, seed: 1 },
    );
    // Otherwise nothing was compared.
    expect(outlines).toBeGreaterThan(200);
  });
});

describe('the outline of a plain completion', () => {
  it('says of generated bodies, good and spoiled, what a parse of the whole says of them', () => {
    let outlines = 0;
    fc.assert(
      fc.property(completionBytes, (bytes) => {
        const scan = scanBody(bytes);
        const outline = scan.ok ? outlineCompletion(scan.value) : null;
        if (!scan.ok || outline === null) return;
        outlines += 1;
        const parsed = parseCompletionBody(scan.value.whole());
        if (!parsed.ok) throw new Error(`accepted, though ${parsed.fault.message}`);
        const { prompt, ...fields } = parsed.value;
        expect(outline.fields).toEqual(fields);
        expect(outline.firstWords(Number.MAX_SAFE_INTEGER)).toBe(prompt);
      }),
      { numRuns: 4_000, seed: 1 },
    );
    expect(outlines).toBeGreaterThan(100);
  });

  it('is there for one text alone', () => {
    for (const [prompt, there] of [
      ['x', true],
      ['', true],
      [['x'], false],
      [[1, 2], false],
      [1, false],
    ] as const) {
      expect(outlineCompletion(scanned(JSON.stringify({ model: 'm', prompt }))) !== null, JSON.stringify(prompt)).toBe(there);
    }
  });
});
