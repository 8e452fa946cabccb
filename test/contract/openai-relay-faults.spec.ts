// The short way against everything that an upstream can do wrong: the same faults as by the long way, one ending each, and nothing left behind.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type EngineFault, HttpEngine, type RelayRequest } from '#libs/engine';
import { brokenAnswers, outOfMemory } from '../support/broken-answers.js';
import { until } from '../support/gateway.js';
import { aChat, aRelay, relayed, startRelay } from '../support/relay.js';
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
  return new HttpEngine({ baseUrl, model: 'fake-model', credential: secret, deadlines, sampling: { topLogprobs: 20, share: 0 } });
}

const aWhole = (): RelayRequest => aRelay({ ...aChat, stream: false });

async function isWell(): Promise<void> {
  upstream.fault = null;
  const streamed = await relayed(engine, aRelay());
  expect(streamed.ending).toMatchObject({ fault: null, summary: { usage: { inputTokens: 9, outputTokens: 5, cachedTokens: 3 } } });
  const whole = await relayed(engine, aWhole());
  expect(whole.ending).toMatchObject({ fault: null, summary: { usage: { inputTokens: 9, outputTokens: 5, cachedTokens: 3 } } });
}

describe('a stream that breaks', () => {
  it.each(brokenAnswers)('that %s', async (_, fault, code, retryable, message) => {
    upstream.fault = fault;
    const seen = await relayed(engine, aRelay(aChat, { defaults: { max_tokens: 100 } }));
    expect(seen.ending.fault).toMatchObject({ code, retryable, message: expect.stringMatching(message) });
    expect(seen.text).not.toContain('[DONE]');
    await until(() => upstream.open === 0, 'the upstream to be let go');
    await until(() => engine.stats().running === 0, 'its place to be given back');
    await isWell();
  });

  it('has given what came before it broke', async () => {
    upstream.fault = { kind: 'cut', after: 2 };
    const { text, ending } = await relayed(engine, aRelay());
    expect(text).toContain('Hello');
    expect(text).toContain(' there');
    expect(ending.summary).toMatchObject({ tokens: 2, usage: null });
  });
});

describe('an answer in one piece that breaks', () => {
  it.each<[string, UpstreamFault, EngineFault['code'], boolean, RegExp]>([
    ['dies in the middle', { kind: 'cut', after: 2 }, 'engine.upstream-error', true, /closed the connection/],
    ['dies before it begins', { kind: 'cut', after: 'request' }, 'engine.upstream-error', true, /closed the connection/],
    ['ends in the middle, in good order', { kind: 'endEarly', after: 3 }, 'engine.upstream-error', true, /JSON/],
    ['was given up by the server', { kind: 'finish', reason: 'abort' }, 'engine.upstream-error', true, /gave the request up/],
    ['is an error with status 200', { kind: 'error', after: 0, as: 'data', error: outOfMemory }, 'engine.upstream-error', true, /CUDA/],
    ['is a web page', { kind: 'instead', type: 'text/html', body: '<html>Welcome</html>' }, 'engine.upstream-error', true, /JSON/],
    ['is endless', { kind: 'endless', piece: ' '.repeat(160_000) }, 'engine.upstream-error', true, /more than \d+ bytes/],
    ['is compressed', { kind: 'compressed' }, 'engine.upstream-error', false, /compressed/],
  ])('that %s', async (_, fault, code, retryable, message) => {
    upstream.fault = fault;
    const seen = await relayed(engine, aRelay({ ...aChat, stream: false }, { defaults: { max_tokens: 100 } }));
    expect(seen.ending.fault).toMatchObject({ code, retryable, message: expect.stringMatching(message) });
    expect(seen.begun).toBeNull();
    await until(() => upstream.open === 0, 'the upstream to be let go');
    await isWell();
  });
});

describe('a refusal', () => {
  it.each<[number, string | undefined, EngineFault['code'], boolean]>([
    [400, undefined, 'engine.bad-request', false],
    [413, undefined, 'engine.bad-request', false],
    [
      400,
      JSON.stringify({ error: { message: "This model's maximum context length is 4096 tokens.", code: 400 } }),
      'engine.context-overflow',
      false,
    ],
    [401, undefined, 'engine.upstream-error', false],
    [404, undefined, 'engine.upstream-error', false],
    [408, undefined, 'engine.timeout', true],
    [429, undefined, 'engine.overloaded', true],
    [500, undefined, 'engine.upstream-error', true],
    [502, '<html>Bad Gateway</html>', 'engine.upstream-error', true],
    [503, undefined, 'engine.overloaded', true],
    [504, undefined, 'engine.timeout', true],
  ])('HTTP %i %s is %s, streamed or not', async (status, body, code, retryable) => {
    for (const request of [aRelay(), aWhole()]) {
      upstream.fault = { kind: 'status', status, ...(body === undefined ? {} : { body }) };
      const seen = await relayed(engine, request);
      expect(seen.ending.fault).toMatchObject({ code, retryable });
      expect(seen.begun).toBeNull();
    }
    await isWell();
  });

  it('says when to come back', async () => {
    upstream.fault = { kind: 'status', status: 429, headers: { 'retry-after': '7' } };
    expect((await relayed(engine, aRelay())).ending.fault).toMatchObject({ code: 'engine.overloaded', retryAfterMs: 7_000 });
  });

  it('never shows our credential, and is one bounded line', async () => {
    const body = JSON.stringify({ error: { message: `key ${secret}\n\u0000${'x'.repeat(2_000)}`, code: 400 } });
    upstream.fault = { kind: 'status', status: 400, body };
    const message = (await relayed(engine, aRelay())).ending.fault?.message ?? '';
    expect(message).not.toContain('hunter2');
    expect(message).toContain('[credential]');
    expect(message.length).toBeLessThan(400);
  });

  it('comes from us for what the upstream cannot do', async () => {
    const seen = await relayed(engine, aRelay({ ...aChat, n: 17 }, { choices: 17 }));
    expect(seen.ending.fault).toMatchObject({ code: 'engine.bad-request', field: 'n' });
    await engine.unload(0);
    expect((await relayed(engine, aRelay())).ending.fault).toMatchObject({ code: 'engine.not-loaded', retryable: true });
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
    const { ending } = await relayed(hasty, aRelay());
    expect(ending.fault).toMatchObject({ code: 'engine.timeout', retryable: true, message: expect.stringMatching(message) });
    await until(() => upstream.open === 0, 'the upstream to be let go');
    await hasty.unload(0);
  });

  it.each<[UpstreamFault]>([
    [{ kind: 'silent', after: 'request' }],
    [{ kind: 'silent', after: 'headers' }],
    [{ kind: 'silent', after: 2 }],
  ])('for an answer in one piece: %j', async (fault) => {
    const hasty = anEngine({ totalMs: 300 });
    await hasty.load(new AbortController().signal);
    upstream.fault = fault;
    const { ending } = await relayed(hasty, aWhole());
    expect(ending.fault).toMatchObject({ code: 'engine.timeout', message: expect.stringMatching(/longer than 300 ms/) });
    await until(() => upstream.open === 0, 'the upstream to be let go');
    await hasty.unload(0);
  });

  it('of the request itself is the shorter one', async () => {
    upstream.fault = { kind: 'silent', after: 2 };
    const { ending } = await relayed(engine, aRelay(aChat, { deadlineMs: 150 }));
    expect(ending.fault).toMatchObject({ code: 'engine.timeout', message: expect.stringMatching(/longer than 150 ms/) });
  });

  it('does not count the time in which our own reader does not read', async () => {
    const hasty = anEngine({ betweenTokensMs: 80 });
    await hasty.load(new AbortController().signal);
    upstream.tokenMs = 30;
    const { sink, handle } = startRelay(hasty, aRelay());
    sink.open = false;
    await until(() => sink.pieces.length > 0, 'the first piece');
    await new Promise((done) => setTimeout(done, 400));
    expect(sink.ending).toBeNull();
    sink.open = true;
    handle.resume();
    await until(() => sink.ending !== null, 'the ending');
    expect(sink.ending?.fault).toBeNull();
    await hasty.unload(0);
  });
});

describe('cancelling', () => {
  it.each<[string, RelayRequest['stream'], 'request' | 2]>([
    ['a stream before its first byte', true, 'request'],
    ['a stream in the middle', true, 2],
    ['an answer in one piece before its first byte', false, 'request'],
    ['an answer in one piece in the middle', false, 2],
  ])('%s reaches the upstream, and the connection serves no one else', async (_, stream, after) => {
    upstream.fault = { kind: 'silent', after };
    const { sink, handle } = startRelay(engine, stream ? aRelay() : aWhole());
    await until(() => upstream.open === 1, 'the request to arrive');
    const { connection } = upstream.last;
    handle.cancel();
    expect(sink.ending?.fault).toMatchObject({ code: 'engine.cancelled', retryable: false });
    await until(() => upstream.open === 0, 'the upstream to notice');
    expect(upstream.abandoned).toBe(1);
    handle.cancel();
    handle.resume();
    await isWell();
    expect(upstream.last.connection).not.toBe(connection);
    expect(sink.broken).toEqual([]);
  });

  it('in the turn of the request itself sends nothing, or nothing that stays', async () => {
    const { sink, handle } = startRelay(engine, aRelay());
    handle.cancel();
    expect(sink.ending?.fault?.code).toBe('engine.cancelled');
    await isWell();
    expect(upstream.open).toBe(0);
  });

  it('leaves nothing behind after 1,000 random ones', async () => {
    upstream.tokenMs = 2;
    const started = Array.from({ length: 1_000 }, (_, n) => startRelay(engine, n % 3 === 0 ? aWhole() : aRelay()));
    for (const [n, { handle }] of started.entries()) setTimeout(() => handle.cancel(), (n * 37) % 1_500);
    await until(() => started.every(({ sink }) => sink.ending !== null), 'every ending', 20_000);
    expect(started.flatMap(({ sink }) => sink.broken)).toEqual([]);
    const codes = new Set(started.map(({ sink }) => sink.ending?.fault?.code ?? 'whole'));
    expect([...codes].sort()).toEqual(['engine.cancelled', 'whole']);
    await until(() => upstream.open === 0, 'the upstream to be idle');
    await until(() => engine.stats().running === 0, 'every place to be given back');
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
    const { ending } = await relayed(engine, aRelay());
    expect(ending.fault).toBeNull();
    await until(() => upstream.open === 0, 'the connection to be given up');
  });

  it('that the upstream closed while idle are replaced without a word', async () => {
    await isWell();
    const { connection } = upstream.last;
    upstream.closeNext = true;
    const { ending } = await relayed(engine, aRelay());
    expect(ending.fault).toBeNull();
    expect(upstream.last.connection).not.toBe(connection);
  });

  it('that cannot be made are a fault of their own', async () => {
    await upstream.stop();
    expect((await relayed(engine, aRelay())).ending.fault).toMatchObject({ code: 'engine.upstream-unreachable', retryable: true });
  });
});
