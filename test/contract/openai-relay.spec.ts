// The short way over real sockets: what an upstream gets of a client's body, and what the client gets of the upstream's answer.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HttpEngine, type HttpEngineOptions } from '#libs/engine';
import { until } from '../support/gateway.js';
import { aChat, aRelay, relayed, startRelay } from '../support/relay.js';
import { type FakeDialect, FakeUpstream } from '../support/upstream.js';

let upstream: FakeUpstream;
let engine: HttpEngine;

async function serve(dialect: FakeDialect, more: Partial<HttpEngineOptions> = {}): Promise<void> {
  upstream = new FakeUpstream(dialect);
  const baseUrl = await upstream.start();
  engine = new HttpEngine({ baseUrl, model: 'fake-model', sampling: { topLogprobs: 20, share: 0 }, ...more });
  await engine.load(new AbortController().signal);
}

afterEach(async () => {
  await engine.unload(0);
  await upstream.stop();
});

describe('a body', () => {
  beforeEach(async () => await serve('openai'));

  it('that needs nothing arrives byte for byte', async () => {
    const text = ' { "messages" : [{"role":"user", "content":"\\u0048i"}],\n "model":"fake-model" , "temperature": 1.50, "max_tokens":7}\n';
    await relayed(engine, aRelay(text));
    expect(upstream.last.text).toBe(text);
  });

  it('gets the upstream name of the model, the version defaults and the wish for usage, and keeps the rest as it was written', async () => {
    await relayed(
      engine,
      aRelay('{"model":"shown-model","messages":[{"role":"user","content":"H\\u0069"}],"stream":true,"top_p":null}', {
        defaults: { top_p: 0.5, temperature: 0.7, max_tokens: 9 },
      }),
    );
    expect(upstream.last.body).toEqual({
      ...{ model: 'fake-model', messages: [{ role: 'user', content: 'Hi' }], stream: true, top_p: 0.5, temperature: 0.7, max_tokens: 9 },
      stream_options: { include_usage: true },
    });
    expect(upstream.last.text).toContain('[{"role":"user","content":"H\\u0069"}]');
  });

  it('loses every field that is not on the list', async () => {
    await relayed(
      engine,
      aRelay({ ...aChat, user: 'me', api_base: 'http://evil', api_key: 'k', extra_headers: {}, metadata: {}, seed: 3 }),
    );
    expect(Object.keys(upstream.last.body).sort()).toEqual(['messages', 'model', 'seed', 'stream', 'stream_options']);
  });

  it('gets the system prompt of the version before its own', async () => {
    await relayed(engine, aRelay(aChat, { systemPrompt: 'Be "kind".' }));
    expect(upstream.last.body['messages']).toEqual([{ role: 'system', content: 'Be "kind".' }, ...aChat.messages]);
    const own = { role: 'system', content: 'Say } and \\" and so on.' };
    await relayed(engine, aRelay({ ...aChat, messages: [own, ...aChat.messages] }, { systemPrompt: 'Be kind.' }));
    expect(upstream.last.body['messages']).toEqual([{ role: 'system', content: `Be kind.\n\n${own.content}` }, ...aChat.messages]);
  });

  it('of a completion or for vectors passes as well', async () => {
    upstream.embeddings = [[1, 0]];
    await relayed(
      engine,
      aRelay({ model: 'shown-model', prompt: 'Once', suffix: 'x' }, { endpoint: 'completions', defaults: { max_tokens: 5 } }),
    );
    expect(upstream.last).toMatchObject({ path: '/v1/completions', body: { model: 'fake-model', prompt: 'Once', max_tokens: 5 } });
    expect(upstream.last.body).not.toHaveProperty('suffix');
    const vectors = await relayed(engine, aRelay({ model: 'shown-model', input: ['Hi'], user: 'me' }, { endpoint: 'embeddings' }));
    expect(upstream.last).toMatchObject({ path: '/v1/embeddings', body: { model: 'fake-model', input: ['Hi'] } });
    expect(JSON.parse(vectors.text)).toMatchObject({ data: [{ embedding: [1, 0] }] });
  });
});

it('tells servers that cut unasked not to, by their own names', async () => {
  await serve('vllm');
  await relayed(engine, aRelay({ ...aChat, repeat_penalty: 1.1 }, { defaults: { top_k: 0, min_p: 0 } }));
  expect(upstream.last.body).toMatchObject({ top_k: -1, min_p: 0, repetition_penalty: 1.1 });
  expect(upstream.last.body).not.toHaveProperty('repeat_penalty');
});

it('says the longest answer in the field that the upstream knows', async () => {
  upstream = new FakeUpstream('openai');
  upstream.refuses = { max_tokens: "Use 'max_completion_tokens' instead." };
  engine = new HttpEngine({ baseUrl: await upstream.start(), model: 'fake-model', sampling: { topLogprobs: 20, share: 0 } });
  await engine.load(new AbortController().signal);
  await relayed(engine, aRelay({ ...aChat, max_tokens: 3, max_completion_tokens: 4 }));
  expect(upstream.last.body).toMatchObject({ max_completion_tokens: 4 });
  expect(upstream.last.body).not.toHaveProperty('max_tokens');
});

describe('an answer', () => {
  it('streams with the name that was asked for, and without a usage that nobody wanted', async () => {
    await serve('vllm');
    const { begun, events, ending } = await relayed(engine, aRelay());
    expect(begun).toEqual({ kind: 'stream', length: null });
    expect(events.at(-1)).toBe('[DONE]');
    for (const event of events.slice(0, -1)) expect(event).toMatchObject({ model: 'shown-model', object: 'chat.completion.chunk' });
    expect(JSON.stringify(events)).not.toContain('"usage":{');
    expect(ending).toMatchObject({ fault: null, summary: { usage: { inputTokens: 9, outputTokens: 5 }, finishReason: 'stop', tokens: 5 } });
    expect(ending.summary.firstTokenAtMs).not.toBeNull();
    expect(ending.summary.upstream).not.toBeNull();
  });

  it('keeps the usage for who wants it', async () => {
    await serve('vllm');
    const { events } = await relayed(engine, aRelay({ ...aChat, stream_options: { include_usage: true } }, { withUsage: true }));
    expect(events.at(-2)).toMatchObject({ choices: [], usage: { prompt_tokens: 9 } });
  });

  it('comes in one piece of known length for who wants no stream', async () => {
    await serve('vllm');
    const { begun, text, ending } = await relayed(engine, aRelay({ ...aChat, stream: false }));
    expect(begun).toEqual({ kind: 'whole', length: Buffer.byteLength(text) });
    expect(JSON.parse(text)).toMatchObject({ model: 'shown-model', choices: [{ message: { content: 'Hello there, you two.' } }] });
    expect(ending.summary).toMatchObject({ finishReason: 'stop', usage: { outputTokens: 5 } });
  });

  it.each([true, false])('has log probabilities that only we asked for cut out and measured (stream: %s)', async (stream) => {
    await serve('vllm', { sampling: { topLogprobs: 20, share: 1 } });
    const { text, ending } = await relayed(engine, aRelay({ ...aChat, stream }, { defaults: { temperature: 1 } }));
    expect(upstream.last.body).toMatchObject({ logprobs: true, top_logprobs: 20 });
    expect(text).not.toContain('top_logprobs');
    expect(ending.summary.uncertainty?.tokens).toBe(5);
    expect(ending.summary.uncertainty?.lowerNats).toBeGreaterThan(0);
  });

  it('keeps the log probabilities that the client asked for', async () => {
    await serve('vllm', { sampling: { topLogprobs: 20, share: 1 } });
    const { text } = await relayed(engine, aRelay({ ...aChat, logprobs: true, top_logprobs: 2 }, { clientTop: 2 }));
    expect(upstream.last.body).toMatchObject({ logprobs: true, top_logprobs: 2 });
    expect(text).toContain('"top_logprobs"');
  });

  it('is measured on the sampled share alone, whoever asked for log probabilities', async () => {
    for (const [share, tokens] of [
      [1, 5],
      [0, undefined],
    ] as const) {
      await serve('vllm', { sampling: { topLogprobs: 20, share } });
      const { ending } = await relayed(
        engine,
        aRelay({ ...aChat, logprobs: true, top_logprobs: 5 }, { clientTop: 5, defaults: { temperature: 1 } }),
      );
      expect(ending.summary.tokens).toBe(5);
      expect(ending.summary.uncertainty?.tokens).toBe(tokens);
    }
  });

  it('is read no faster than the client reads', async () => {
    await serve('vllm');
    upstream.fault = {
      kind: 'endless',
      piece: `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: 'x'.repeat(1_000) } }] })}\n\n`,
    };
    const { sink, handle } = startRelay(engine, aRelay());
    sink.open = false;
    await until(() => sink.pieces.length === 1, 'the first piece');
    await new Promise((done) => setTimeout(done, 300));
    expect(sink.pieces.length).toBe(1);
    handle.resume();
    await until(() => sink.pieces.length === 2, 'one piece more');
    handle.cancel();
    await until(() => upstream.open === 0, 'the upstream to be let go');
  });
});

it('offers the short way where the wire is OpenAI’s own, and nowhere else', async () => {
  await serve('vllm');
  expect(engine.capabilities().relay).toEqual(['chat/completions', 'completions', 'embeddings']);
  await engine.unload(0);
  await upstream.stop();
  await serve('ollama');
  expect(engine.capabilities().relay).toEqual([]);
});
