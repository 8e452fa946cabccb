// The http engine against everything that an upstream can do wrong: each becomes one fault with a stable code, and no connection or request is left behind.
import { connect } from 'node:net';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EngineError, type EngineFault, type GenerateRequest, HttpEngine, type TokenEvent } from '#libs/engine';
import { type BrokenAnswer, brokenAnswers, garbage } from '../support/broken-answers.js';
import { until } from '../support/gateway.js';
import { FakeUpstream, type UpstreamFault } from '../support/upstream.js';

const secret = 'sk-upstream-hunter2';
let upstream: FakeUpstream;
let engine: HttpEngine;
let baseUrl: string;

beforeEach(async () => {
  upstream = new FakeUpstream('vllm');
  upstream.credential = secret;
  baseUrl = await upstream.start();
  engine = anEngine();
  await engine.load(new AbortController().signal);
});

afterEach(async () => {
  await engine.unload(0);
  await upstream.stop();
});

function anEngine(deadlines: Partial<Record<'firstTokenMs' | 'betweenTokensMs' | 'totalMs', number>> = {}): HttpEngine {
  return new HttpEngine({ baseUrl, model: 'fake-model', credential: secret, deadlines });
}

function aRequest(more: Partial<GenerateRequest> = {}): GenerateRequest {
  return {
    id: 'r1',
    prompt: { kind: 'chat', messages: [{ role: 'user', content: 'Hi' }] },
    sampling: { temperature: 1, topP: 1, topK: 0, minP: 0, maxTokens: 100, stop: [] },
    ...more,
  };
}

async function faultOf(
  asked: HttpEngine = engine,
  signal = new AbortController().signal,
  request = aRequest(),
): Promise<{ fault: EngineFault; events: TokenEvent[] }> {
  const events: TokenEvent[] = [];
  try {
    for await (const event of asked.generate(request, signal)) events.push(event);
  } catch (error) {
    if (error instanceof EngineError) return { fault: error.fault, events };
    throw error;
  }
  throw new Error(`no fault came, but ${JSON.stringify(events.at(-1))}`);
}

async function isWell(): Promise<void> {
  upstream.fault = null;
  const events: TokenEvent[] = [];
  for await (const event of engine.generate(aRequest(), new AbortController().signal)) events.push(event);
  expect(events.at(-1)).toMatchObject({ type: 'end', usage: { inputTokens: 9, outputTokens: 5, cachedTokens: 3 } });
}

describe('an answer that breaks', () => {
  it.each<BrokenAnswer>([
    ...brokenAnswers,
    [
      'holds NUL bytes',
      garbage('data: {"choices":[{"index":0,"delta":{"content":"a\u0000b"}}]}\n\n'),
      'engine.upstream-error',
      true,
      /not JSON/,
    ],
  ])('that %s', async (_, fault, code, retryable, message) => {
    upstream.fault = fault;
    const seen = await faultOf();
    expect(seen.fault).toMatchObject({ code, retryable, message: expect.stringMatching(message) });
    expect(seen.events.some(({ type }) => type === 'end')).toBe(false);
    await until(() => upstream.open === 0, 'the upstream to be let go');
    expect(engine.stats().running).toBe(0);
    await isWell();
  });

  it('has given what came before it broke', async () => {
    upstream.fault = { kind: 'cut', after: 2 };
    const { events } = await faultOf();
    expect(events.map((event) => (event.type === 'token' ? event.text : event.type))).toEqual(['Hello', ' there']);
  });
});

describe('a refusal', () => {
  it.each<[number, string | undefined, EngineFault['code'], boolean]>([
    [400, undefined, 'engine.bad-request', false],
    [422, undefined, 'engine.bad-request', false],
    [413, undefined, 'engine.bad-request', false],
    [
      400,
      JSON.stringify({ error: { message: "This model's maximum context length is 4096 tokens.", code: 400 } }),
      'engine.context-overflow',
      false,
    ],
    [
      400,
      JSON.stringify({ error: { message: 'too long', type: 'exceed_context_size_error', code: 400 } }),
      'engine.context-overflow',
      false,
    ],
    [
      422,
      JSON.stringify({ error: 'Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048', error_type: 'validation' }),
      'engine.context-overflow',
      false,
    ],
    [401, undefined, 'engine.upstream-error', false],
    [403, undefined, 'engine.upstream-error', false],
    [404, undefined, 'engine.upstream-error', false],
    [408, undefined, 'engine.timeout', true],
    [429, undefined, 'engine.overloaded', true],
    [500, undefined, 'engine.upstream-error', true],
    [502, '<html>Bad Gateway</html>', 'engine.upstream-error', true],
    [503, undefined, 'engine.overloaded', true],
    [504, undefined, 'engine.timeout', true],
  ])('HTTP %i %s is %s', async (status, body, code, retryable) => {
    upstream.fault = { kind: 'status', status, ...(body === undefined ? {} : { body }) };
    expect((await faultOf()).fault).toMatchObject({ code, retryable });
    await isWell();
  });

  it('says when to come back, in seconds or as a date', async () => {
    upstream.fault = { kind: 'status', status: 429, headers: { 'retry-after': '7' } };
    expect((await faultOf()).fault).toMatchObject({ code: 'engine.overloaded', retryAfterMs: 7_000 });
    upstream.fault = { kind: 'status', status: 503, headers: { 'retry-after': new Date(Date.now() + 60_000).toUTCString() } };
    const { fault } = await faultOf();
    expect(fault.retryAfterMs).toBeGreaterThan(50_000);
    expect(fault.retryAfterMs).toBeLessThanOrEqual(60_000);
    upstream.fault = { kind: 'status', status: 503, headers: { 'retry-after': 'soon' } };
    expect((await faultOf()).fault).not.toHaveProperty('retryAfterMs');
  });

  it('never shows our credential, and is one bounded line', async () => {
    const body = JSON.stringify({ error: { message: `key ${secret}\n\u0000${'x'.repeat(9_000)}`, code: 400 } });
    upstream.fault = { kind: 'status', status: 400, body };
    const { message } = (await faultOf()).fault;
    expect(message).not.toContain('hunter2');
    expect(message).toContain('[credential]');
    expect(message.length).toBeLessThan(400);
    expect(message).toBe(message.replace(/\p{Cc}/gu, ''));
  });
});

describe('a deadline', () => {
  it.each<[string, UpstreamFault, Parameters<typeof anEngine>[0], RegExp]>([
    ['for the first token, when nothing comes', { kind: 'silent', after: 'request' }, { firstTokenMs: 60 }, /no token within 60 ms/],
    [
      'for the first token, when headers and an empty chunk come',
      { kind: 'silent', after: 'headers' },
      { firstTokenMs: 60 },
      /no token within 60 ms/,
    ],
    ['between tokens', { kind: 'silent', after: 3 }, { betweenTokensMs: 60 }, /silent for 60 ms/],
    ['for the whole answer', { kind: 'silent', after: 3 }, { totalMs: 200 }, /longer than 200 ms/],
    ['that keep-alive comments do not move', { kind: 'endless', piece: ': ping\n\n' }, { firstTokenMs: 60 }, /no token within 60 ms/],
  ])('%s', async (_, fault, deadlines, message) => {
    const hasty = anEngine(deadlines);
    await hasty.load(new AbortController().signal);
    upstream.fault = fault;
    expect((await faultOf(hasty)).fault).toMatchObject({
      code: 'engine.timeout',
      retryable: true,
      message: expect.stringMatching(message),
    });
    await until(() => upstream.open === 0, 'the upstream to be let go');
    await hasty.unload(0);
  });

  it('does not count the time in which our own reader does not read', async () => {
    const hasty = anEngine({ betweenTokensMs: 80 });
    await hasty.load(new AbortController().signal);
    let tokens = 0;
    for await (const event of hasty.generate(aRequest(), new AbortController().signal)) {
      if (event.type !== 'token') continue;
      tokens += 1;
      if (tokens === 2) await new Promise((done) => setTimeout(done, 250));
    }
    expect(tokens).toBe(5);
    await hasty.unload(0);
  });
});

describe('cancelling', () => {
  it.each<[string, 'request' | 2]>([
    ['before the first byte', 'request'],
    ['in the middle', 2],
  ])('reaches the upstream %s, and the connection serves no one else', async (_, after) => {
    upstream.fault = { kind: 'silent', after };
    const abort = new AbortController();
    const failed = faultOf(engine, abort.signal);
    await until(() => upstream.open === 1, 'the request to arrive');
    const { connection } = upstream.last;
    abort.abort();
    expect((await failed).fault).toMatchObject({ code: 'engine.cancelled', retryable: false });
    await until(() => upstream.open === 0, 'the upstream to notice');
    expect(upstream.abandoned).toBe(1);
    await isWell();
    expect(upstream.last.connection).not.toBe(connection);
  });

  it('happens as well when the reader leaves', async () => {
    upstream.fault = { kind: 'silent', after: 2 };
    for await (const event of engine.generate(aRequest(), new AbortController().signal)) if (event.type === 'token') break;
    await until(() => upstream.open === 0, 'the upstream to notice');
    expect(engine.stats().running).toBe(0);
  });

  it('leaves nothing behind after 200 random ones', async () => {
    upstream.tokenMs = 2;
    await Promise.all(
      Array.from({ length: 200 }, async (_, n) => {
        const abort = new AbortController();
        setTimeout(() => abort.abort(), (n * 37) % 40);
        await faultOf(engine, abort.signal).catch((cause: Error) => expect(cause.message).toContain('no fault came'));
      }),
    );
    await until(() => upstream.open === 0, 'the upstream to be idle');
    expect(engine.stats().running).toBe(0);
    upstream.tokenMs = 0;
    await isWell();
  });
});

describe('connections', () => {
  it('serve again after a whole answer', async () => {
    await isWell();
    const before = upstream.accepted;
    for (let n = 0; n < 10; n += 1) await isWell();
    expect(upstream.accepted).toBe(before);
  });

  it('are given up when the upstream does not close its answer', async () => {
    upstream.fault = { kind: 'neverCloses' };
    let ended = false;
    for await (const event of engine.generate(aRequest(), new AbortController().signal)) ended ||= event.type === 'end';
    expect(ended).toBe(true);
    await until(() => upstream.open === 0, 'the connection to be given up');
  });

  it('that are never accepted have a deadline', async () => {
    // A thread that listens and then sleeps: once its backlog is full, the kernel answers no more.
    const deaf = new Worker(
      `const { parentPort } = require('node:worker_threads');
       const server = require('node:net').createServer();
       server.listen(0, '127.0.0.1', 1, () => {
         parentPort.postMessage(server.address().port);
         setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000));
       });`,
      { eval: true },
    );
    const port = await new Promise<number>((done) => deaf.once('message', done));
    const fillers = Array.from({ length: 8 }, () => connect(port, '127.0.0.1').on('error', () => undefined));
    try {
      const far = new HttpEngine({ baseUrl: `http://127.0.0.1:${port}/v1`, model: 'm', deadlines: { connectMs: 300, probeMs: 20_000 } });
      const fault = await far.load(new AbortController().signal).then(
        () => null,
        (reason: unknown) => (reason instanceof EngineError ? reason.fault : reason),
      );
      expect(fault).toMatchObject({ code: 'engine.upstream-unreachable', retryable: true, message: expect.stringMatching(/timeout/i) });
      await far.unload(0);
    } finally {
      for (const filler of fillers) filler.destroy();
      await deaf.terminate();
    }
  });

  it('that cannot be made are a fault of their own', async () => {
    await upstream.stop();
    expect((await faultOf()).fault).toMatchObject({ code: 'engine.upstream-unreachable', retryable: true });
  });
});
