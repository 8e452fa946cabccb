import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ChunkChoice, readChunk } from './chunk.js';

function choiceOf(choice: unknown): ChunkChoice | undefined {
  const read = readChunk(JSON.stringify({ choices: [choice] }));
  if (read.kind !== 'chunk') throw new Error(JSON.stringify(read));
  return read.chunk.choices[0];
}

describe('a chunk', () => {
  it('gives text of chats and completions, of parts and of refusals', () => {
    expect(choiceOf({ index: 2, delta: { role: 'assistant', content: 'a' }, finish_reason: null })).toMatchObject({
      index: 2,
      text: 'a',
      finishReason: null,
    });
    expect(choiceOf({ text: 'b', index: 0, finish_reason: 'length' })).toMatchObject({ text: 'b', finishReason: 'length' });
    expect(choiceOf({ delta: { content: [{ type: 'text', text: 'c' }, { type: 'image' }] } })?.text).toBe('c');
    expect(choiceOf({ delta: { content: null, refusal: 'no' } })?.text).toBe('no');
  });

  it('keeps what was thought apart from what was said', () => {
    expect(choiceOf({ delta: { reasoning_content: 'hm' } })).toMatchObject({ text: '', reasoning: 'hm' });
    expect(choiceOf({ delta: { reasoning: 'hm', reasoning_content: null } })).toMatchObject({ text: '', reasoning: 'hm' });
  });

  it('loses no piece of a tool call, in any form, and takes an empty id for none', () => {
    const streamed = {
      tool_calls: [
        { index: 1, id: 'c1', type: 'function', function: { name: 'f', arguments: '' } },
        { index: 1, function: { arguments: '{"a"' } },
      ],
    };
    expect(choiceOf({ delta: streamed })?.toolCalls).toEqual([
      { index: 1, id: 'c1', name: 'f', arguments: '' },
      { index: 1, arguments: '{"a"' },
    ]);
    const single = { tool_calls: { index: 0, id: '', function: { name: 'f', arguments: { a: 1 } } } };
    expect(choiceOf({ delta: single })?.toolCalls).toEqual([{ index: 0, name: 'f', arguments: '{"a":1}' }]);
  });

  it('gives usage, and tells an unknown cache from an empty one', () => {
    const usage = (more: object) => readChunk(JSON.stringify({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 2, ...more } }));
    expect(usage({})).toMatchObject({ chunk: { usage: { inputTokens: 3, outputTokens: 2, cachedTokens: null } } });
    expect(usage({ prompt_tokens_details: { cached_tokens: 0 } })).toMatchObject({ chunk: { usage: { cachedTokens: 0 } } });
    expect(usage({ metrics: {} })).toMatchObject({ chunk: { queueWaitMs: null } });
    expect(readChunk('{"choices":[],"metrics":{"queue_time_ms":12.5}}')).toMatchObject({ chunk: { queueWaitMs: 12.5 } });
    expect(readChunk('{"choices":[],"usage":null}')).toMatchObject({ chunk: { usage: null } });
  });

  it.each([
    ['{"error":{"message":"m","code":500,"type":"t"}}', 'm', '500 t'],
    ['{"error":"Model is overloaded","error_type":"overloaded"}', 'Model is overloaded', 'overloaded'],
    ['{"object":"error","message":"m","code":400,"type":"BadRequestError"}', 'm', '400 BadRequestError'],
    ['{"detail":"Not Found"}', 'Not Found', ''],
  ])('is an error when it says so: %s', (data, message, kind) => {
    expect(readChunk(data)).toEqual({ kind: 'error', error: { message, kind } });
  });

  it.each([
    '',
    'null',
    '7',
    '[]',
    '"x"',
    '{}',
    '{nope',
    '{"choices":{}}',
    '{"choices":[null]}',
    '{"choices":[{"index":-1}]}',
    '{"choices":[{"index":"0"}]}',
  ])('is garbage otherwise: %s', (data) => {
    expect(readChunk(data).kind).toBe('garbage');
  });

  it('never throws', () => {
    fc.assert(
      fc.property(fc.json(), fc.json(), (a, b) => {
        readChunk(a);
        readChunk(`{"choices":[{"index":0,"delta":${a},"text":${b},"logprobs":${b}}],"usage":${a}}`);
      }),
    );
  });
});
