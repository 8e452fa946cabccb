// Bytes of an upstream through the whole gateway: where nothing must change nothing does, and what it says when it refuses is said in our words.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type BothEngines, bothEngines, usual } from '../support/both-engines.js';
import { type ErrorBody, post, type Reply } from '../support/client.js';

let served: BothEngines;

beforeAll(async () => {
  served = await bothEngines({}, { sampledShare: 0 });
}, 120_000);
afterAll(async () => await served?.remove());
afterEach(() => usual(served.upstream));

const messages = [{ role: 'user', content: 'Hi' }];

async function ask(more: object = {}): Promise<Reply<ErrorBody>> {
  const at = { url: served.baseUrl.replace(/\/v1$/, ''), key: served.key };
  return await post(at, '/v1/chat/completions', { model: 'far', messages, ...more });
}

/** Spellings that JSON.stringify would not give back, and members that nobody knows. */
const odd = ' "x_future": {"a":[1.0, 1e-3,-0]} ,"id":"chatcmpl-\\u0041", "created" :1764000000.0';
const wholeBy = (model: string): string =>
  `\n{${odd},"model":"${model}","choices":[{"message":{"role":"assistant","content":"H\\u00e4 \\/ \\ud83c\\udf55","x":null},"index":0,"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"x":{}}}\n`;
const streamBy = (model: string): string =>
  [
    ': a comment\n\n',
    `id: 7\r\nevent: message\r\ndata: {${odd},"model":"${model}","choices":[{"index":0,"delta":{"role":"assistant","content":"H\\u00e4"}}]}\r\n\r\n`,
    `data:{"model": "${model}","choices":[{"delta":{ },"finish_reason":"stop","index":0}],"x":1}\n\n`,
    `data: {"choices":[],"model":"${model}","usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}\n\n`,
    'data: [DONE]\n\n',
  ].join('');

describe('an answer of an upstream', () => {
  it.each(['far', 'fake-model'])('that comes whole is its bytes, under the public name (%s)', async (model) => {
    served.upstream.fault = { kind: 'instead', type: 'application/json', body: wholeBy(model) };
    const answer = await ask();
    expect(answer.status).toBe(200);
    expect(answer.text).toBe(wholeBy('far'));
    expect(answer.headers.get('content-length')).toBe(String(Buffer.byteLength(wholeBy('far'))));
  });

  it.each(['far', 'fake-model'])('that streams is its bytes, comments and line ends too (%s)', async (model) => {
    served.upstream.fault = { kind: 'instead', type: 'text/event-stream', body: streamBy(model) };
    const answer = await ask({ stream: true, stream_options: { include_usage: true } });
    expect(answer.text).toBe(streamBy('far'));
  });

  it('that streams to a client who asked for no usage lacks that event and nothing else', async () => {
    served.upstream.fault = { kind: 'instead', type: 'text/event-stream', body: streamBy('far') };
    const answer = await ask({ stream: true });
    expect(answer.text).toBe(streamBy('far').replace(/data: \{"choices":\[\],.*\n\n/, ''));
  });
});

describe('a refusal of an upstream', () => {
  const words = 'the words of the upstream';
  it.each<[number, number, string]>([
    [307, 502, 'engine_failed'],
    [400, 400, 'invalid_value'],
    [401, 502, 'engine_failed'],
    [403, 502, 'engine_failed'],
    [404, 502, 'engine_failed'],
    [408, 504, 'timeout'],
    [413, 400, 'invalid_value'],
    [422, 400, 'invalid_value'],
    [429, 429, 'overloaded'],
    [500, 502, 'engine_failed'],
    [502, 502, 'engine_failed'],
    [503, 429, 'overloaded'],
    [504, 504, 'timeout'],
    [529, 429, 'overloaded'],
  ])(
    'with %i is %i %s for a client, whole or streamed, and its words only where they are about the request',
    async (theirs, ours, code) => {
      const body = JSON.stringify({ error: { message: words, type: 'x', code: 'y' }, secret: 'sk-theirs' });
      served.upstream.fault = { kind: 'status', status: theirs, body, headers: { 'x-theirs': 'a', 'set-cookie': 'b=c' } };
      for (const stream of [false, true]) {
        const answer = await ask({ stream });
        expect([answer.status, answer.body.error.code]).toEqual([ours, code]);
        expect(Object.keys(answer.body)).toEqual(['error']);
        expect(answer.text.includes(words)).toBe(ours === 400);
        expect(answer.text).not.toContain('sk-theirs');
        expect([answer.headers.get('x-theirs'), answer.headers.get('set-cookie')]).toEqual([null, null]);
        expect(answer.headers.has('retry-after')).toBe(code === 'overloaded');
      }
    },
  );

  it('of a prompt that does not fit is told as that', async () => {
    const body = '{"error":{"message":"This model\'s maximum context length is 4096 tokens","code":400}}';
    served.upstream.fault = { kind: 'status', status: 400, body };
    expect((await ask()).body.error).toMatchObject({ code: 'context_length_exceeded', param: 'messages' });
  });

  it.each(['<html>busy</html>', '', '{"detail":"no"}', 'x'.repeat(100_000)])(
    'in no form that is known is ours all the same',
    async (body) => {
      served.upstream.fault = { kind: 'status', status: 400, body };
      const answer = await ask();
      expect([answer.status, answer.body.error.code]).toEqual([400, 'invalid_value']);
      expect(answer.text.length).toBeLessThan(1_000);
    },
  );
});
