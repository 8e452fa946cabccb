// The http engine against every family of OpenAI-compatible servers, by their wire formats: what the probe finds, what is asked, what comes out.
import { afterEach, describe, expect, it } from 'vitest';
import type { Rng } from '#libs/base';
import { EngineError, type EngineFault, type GenerateRequest, HttpEngine, type HttpEngineOptions, type TokenEvent } from '#libs/engine';
import { until } from '../support/gateway.js';
import { FakeUpstream, fakeTokens, type UpstreamFault } from '../support/upstream.js';
import type { FakeDialect } from '../support/upstream-wire.js';

const dialects = ['vllm', 'sglang', 'llama-server', 'tgi', 'ollama', 'openai'] as const satisfies readonly FakeDialect[];
const never = new AbortController().signal;
const cleanUp: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const leave of cleanUp.splice(0).reverse()) await leave();
});

async function anEngine(
  dialect: FakeDialect,
  { setUp, ...options }: Partial<HttpEngineOptions> & { setUp?: (upstream: FakeUpstream) => void } = {},
): Promise<{ upstream: FakeUpstream; engine: HttpEngine }> {
  const upstream = new FakeUpstream(dialect);
  setUp?.(upstream);
  const baseUrl = await upstream.start();
  cleanUp.push(async () => await upstream.stop());
  const engine = new HttpEngine({ baseUrl, model: 'fake-model', ...options });
  cleanUp.push(async () => await engine.unload(0));
  return { upstream, engine };
}

async function aLoaded(dialect: FakeDialect, options: Parameters<typeof anEngine>[1] = {}): ReturnType<typeof anEngine> {
  const made = await anEngine(dialect, options);
  await made.engine.load(never);
  return made;
}

function aRequest(more: Partial<GenerateRequest> = {}): GenerateRequest {
  return {
    id: 'r1',
    prompt: { kind: 'chat', messages: [{ role: 'user', content: 'Hi' }] },
    sampling: { temperature: 0.7, topP: 1, topK: 0, minP: 0, maxTokens: 100, stop: [] },
    ...more,
  };
}

type Token = Extract<TokenEvent, { type: 'token' }> & { toolCalls?: unknown };

async function answer(
  engine: HttpEngine,
  more: Partial<GenerateRequest> = {},
): Promise<{ events: TokenEvent[]; tokens: Token[]; text: string }> {
  const events: TokenEvent[] = [];
  for await (const event of engine.generate(aRequest(more), never)) events.push(event);
  const tokens = events.filter((event): event is Token => event.type === 'token');
  return { events, tokens, text: tokens.map(({ text }) => text).join('') };
}

async function refusalOf(work: Promise<unknown>): Promise<EngineFault> {
  const error: unknown = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof EngineError)) throw new Error(`no fault came: ${String(error)}`);
  return error.fault;
}

const entropyOf = (distribution: readonly (readonly [string, number])[]): number =>
  distribution.reduce((nats, [, p]) => nats - p * Math.log(p), 0);

describe('the probe', () => {
  it.each<[FakeDialect, object, object]>([
    [
      'vllm',
      { version: '0.11.2', chat: { topLogprobs: 20 }, completions: { topLogprobs: 20 }, cachedTokens: true },
      { contextSize: 4_096, choices: 16 },
    ],
    ['sglang', { version: '0.5.3', chat: { topLogprobs: 20 }, cachedTokens: true }, { contextSize: 4_096, maxParallel: 256 }],
    [
      'llama-server',
      { version: 'b1-fake', chat: { topLogprobs: 20 }, vocabularySize: 32 },
      { contextSize: 4_096, maxParallel: 4, entropy: 'bounds' },
    ],
    [
      'tgi',
      { version: '3.3.6', chat: { topLogprobs: 5 }, cachedTokens: false },
      { contextSize: 4_096, maxParallel: 128, choices: 1, topLogprobs: 5 },
    ],
    ['ollama', { version: '0.12.3', chat: { topLogprobs: null } }, { entropy: 'none', topLogprobs: 0, contextSize: null }],
    [
      'openai',
      { version: null, chat: { topLogprobs: 20 }, completions: { topLogprobs: 5 } },
      { topLogprobs: 20, entropy: 'bounds', contextSize: null },
    ],
  ])('knows %s and what it can do', async (dialect, facts, capabilities) => {
    const { engine, upstream } = await aLoaded(dialect);
    expect(engine.upstream()).toMatchObject({ dialect, usageInStreams: true, endMark: true, rawLogprobs: true, ...facts });
    expect(engine.capabilities()).toMatchObject({ scoring: false, cancel: 'disconnect', ...capabilities });
    expect(engine.stats().state).toBe('ready');
    const generations = upstream.requests.filter(({ method }) => method === 'POST');
    expect(generations.length).toBeLessThanOrEqual(6);
    expect(generations.every(({ body }) => body['max_tokens'] === 1)).toBe(true);
  });

  it.each<[number | null, number | null]>([
    [20, 20],
    [7, 5],
    [3, 0],
    [null, null],
  ])('finds the largest top-k in few steps: an upstream that takes %j gives %j', async (top, found) => {
    const { engine } = await aLoaded('vllm', {
      setUp: (upstream) => {
        upstream.top = top;
      },
    });
    expect(engine.upstream()?.chat).toEqual({ topLogprobs: found });
    expect(engine.capabilities().entropy).toBe(found === null ? 'none' : 'bounds');
  });

  it('knows a completion server without chat, a chat server without completions, and old fields', async () => {
    const bare = await aLoaded('vllm', {
      setUp: (upstream) => {
        upstream.chat = false;
      },
    });
    expect(bare.engine.upstream()).toMatchObject({ chat: null, completions: { topLogprobs: 20 } });
    expect(await refusalOf(answer(bare.engine))).toMatchObject({ code: 'engine.bad-request', field: 'messages' });
    expect((await answer(bare.engine, { prompt: { kind: 'text', text: 'Hi' } })).text).toBe('Hello there, you two.');

    const chatOnly = await aLoaded('openai', {
      setUp: (upstream) => {
        upstream.completions = false;
        upstream.refuses = { max_tokens: "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead." };
      },
    });
    expect(chatOnly.engine.upstream()).toMatchObject({ completions: null, maxTokensField: 'max_completion_tokens' });
    await answer(chatOnly.engine);
    expect(chatOnly.upstream.last.body).toMatchObject({ max_completion_tokens: 100 });

    const old = await aLoaded('openai', {
      setUp: (upstream) => {
        upstream.refuses = {
          stream_options: 'extra fields not permitted: stream_options',
          logprobs: 'extra fields not permitted: logprobs',
        };
      },
    });
    expect(old.engine.upstream()).toMatchObject({ usageInStreams: false, chat: { topLogprobs: null } });
    expect((await answer(old.engine)).events.at(-1)).toMatchObject({ type: 'end', usage: { inputTokens: 0, outputTokens: 5 } });
  });

  it('asks again when the model ended its answer with its first token', async () => {
    const { engine } = await aLoaded('llama-server', {
      setUp: (upstream) => {
        upstream.mute = 2;
      },
    });
    expect(engine.upstream()).toMatchObject({ chat: { topLogprobs: 20 }, completions: { topLogprobs: 20 } });
  });

  it('expects later what it saw: an upstream without an end mark is whole without one', async () => {
    const { engine } = await aLoaded('tgi', {
      setUp: (upstream) => {
        upstream.fault = { kind: 'noEndMark' };
      },
    });
    expect(engine.upstream()?.endMark).toBe(false);
    expect((await answer(engine)).events.at(-1)).toMatchObject({ type: 'end' });
  });

  it('sees log probabilities that were taken after temperature, and draws no entropy from them elsewhere than at 1', async () => {
    const { engine } = await aLoaded('sglang', {
      setUp: (upstream) => {
        upstream.tempered = true;
        upstream.tokens = fakeTokens.map((token) => ({
          ...token,
          distribution: token.distribution.map(([text], rank) => [text, 0.4 * 0.6 ** rank] as const),
        }));
      },
    });
    expect(engine.upstream()?.rawLogprobs).toBe(false);
    expect(engine.capabilities().evaluation).toContain('tempered');
    const warm = await answer(engine);
    expect(warm.tokens.every(({ uncertainty }) => uncertainty.kind === 'none')).toBe(true);
    const { temperature: _, ...rest } = aRequest().sampling;
    const raw = await answer(engine, { sampling: { ...rest, temperature: 1 } });
    expect(raw.tokens.every(({ uncertainty }) => uncertainty.kind === 'bounds')).toBe(true);
  });
});

describe('an upstream that cannot serve is refused at load', () => {
  it('when it lacks the model, with what it has', async () => {
    const { engine } = await anEngine('vllm', {
      model: 'Qwen/Qwen3-8B',
      setUp: (upstream) => {
        upstream.models = Array.from({ length: 12 }, (_, n) => `model-${n}`);
      },
    });
    const fault = await refusalOf(engine.load(never));
    expect(fault).toMatchObject({ code: 'engine.load-failed', field: 'spec.engine.model', retryable: false });
    expect(fault.message).toContain('no model "Qwen/Qwen3-8B"');
    expect(fault.message).toContain('"model-9" and 2 more');
    expect(fault.message).not.toContain('model-10');
    expect(engine.stats()).toMatchObject({ state: 'failed', reason: fault.message });
  });

  it('but not for an Ollama tag or the name that TGI gives itself', async () => {
    await aLoaded('ollama', {
      model: 'llama3',
      setUp: (upstream) => {
        upstream.models = ['llama3:latest'];
      },
    });
    await aLoaded('tgi', { model: 'tgi' });
  });

  it('when it refuses our credential, which no fault shows', async () => {
    const { engine } = await anEngine('vllm', {
      credential: 'sk-wrong-hunter2',
      setUp: (upstream) => {
        upstream.credential = 'sk-right';
      },
    });
    for (const fault of [await refusalOf(engine.load(never)), (await engine.preflight(never)) as unknown as { fault: EngineFault }]) {
      const shown = 'fault' in fault ? fault.fault : fault;
      expect(shown).toMatchObject({ code: 'engine.load-failed', field: 'spec.engine.credentialEnv' });
      expect(JSON.stringify(shown)).not.toContain('hunter2');
    }
  });

  it.each<[string, UpstreamFault, Partial<EngineFault>, RegExp]>([
    [
      'does not stream',
      { kind: 'instead', type: 'application/json', body: '{"choices":[{"message":{"content":"Hi"}}]}' },
      { code: 'engine.load-failed', retryable: false },
      /instead of an event stream/,
    ],
    ['breaks', { kind: 'endEarly', after: 0 }, { code: 'engine.load-failed' }, /in the middle/],
    ['sends garbage', { kind: 'garbage', after: 0, bytes: 'data: {nope\n\n' }, { code: 'engine.load-failed' }, /not JSON/],
    ['fails', { kind: 'status', status: 500 }, { code: 'engine.load-failed', retryable: true }, /HTTP 500/],
    [
      'is busy',
      { kind: 'status', status: 503, headers: { 'retry-after': '9' } },
      { code: 'engine.overloaded', retryable: true, retryAfterMs: 9_000 },
      /busy/,
    ],
    [
      'leads elsewhere',
      { kind: 'redirect', to: 'http://127.0.0.1:1/' },
      { code: 'engine.load-failed', field: 'spec.engine.baseUrl' },
      /redirect/,
    ],
    ['compresses', { kind: 'compressed' }, { code: 'engine.upstream-error', retryable: false }, /compressed/],
  ])('when it %s', async (_, fault, expected, message) => {
    const { engine } = await anEngine('vllm', {
      setUp: (upstream) => {
        upstream.fault = fault;
      },
    });
    expect(await refusalOf(engine.load(never))).toMatchObject({ ...expected, message: expect.stringMatching(message) });
    // Busy is no fault of the version.
    expect(engine.stats().state).toBe(expected.code === 'engine.overloaded' ? 'unreachable' : 'failed');
  });

  it('when it does not answer in time, and when loading is cancelled', async () => {
    const { engine, upstream } = await anEngine('vllm', {
      deadlines: { probeMs: 150 },
      setUp: (one) => {
        one.fault = { kind: 'silent', after: 'headers' };
      },
    });
    expect(await refusalOf(engine.load(never))).toMatchObject({
      code: 'engine.timeout',
      retryable: true,
      message: expect.stringContaining('150 ms'),
    });
    await until(() => upstream.open === 0, 'the probe to be given up');
    expect(await refusalOf(engine.load(AbortSignal.abort()))).toMatchObject({ code: 'engine.cancelled' });
  });

  it.each(['http://169.254.169.254/v1', 'http://0xa9fea9fe/v1', 'http://[64:ff9b::a9fe:a9fe]/v1', 'http://key:hunter2@127.0.0.1/v1'])(
    'when its address is %s',
    async (baseUrl) => {
      const engine = new HttpEngine({ baseUrl, model: 'm' });
      const fault = await refusalOf(engine.load(never));
      expect(fault).toMatchObject({ code: 'engine.load-failed', field: 'spec.engine.baseUrl' });
      expect(JSON.stringify(fault)).not.toContain('hunter2');
    },
  );
});

describe.each(dialects)('an answer of %s', (dialect) => {
  it('is whole, with usage, and shows no log probabilities that nobody asked for', async () => {
    const { engine } = await aLoaded(dialect);
    for (const prompt of [aRequest().prompt, { kind: 'text', text: 'Hi' } as const, { kind: 'tokens', tokens: [1, 2] } as const]) {
      const { events, tokens, text } = await answer(engine, { prompt });
      expect(text).toBe('Hello there, you two.');
      expect(tokens.every((token) => token.logprobs === undefined)).toBe(true);
      expect(events.slice(-2)).toMatchObject([
        { type: 'finish', choice: 0, finishReason: 'stop' },
        { type: 'end', usage: { inputTokens: 9, outputTokens: 5, cachedTokens: engine.upstream()?.cachedTokens ? 3 : 0 } },
      ]);
    }
    expect(engine.stats()).toMatchObject({ inputTokens: 27, running: 0 });
  });

  it('bounds the true entropy of every token, where it tells log probabilities', async () => {
    const { engine } = await aLoaded(dialect);
    for (const prompt of [aRequest().prompt, { kind: 'text', text: 'Hi' } as const]) {
      const { tokens } = await answer(engine, { prompt });
      for (const [position, { uncertainty }] of tokens.entries()) {
        if (dialect === 'ollama') {
          expect(uncertainty).toEqual({ kind: 'none' });
          continue;
        }
        if (uncertainty.kind !== 'bounds') throw new Error(`no bounds but ${JSON.stringify(uncertainty)}`);
        const { distribution = [] } = fakeTokens[position] ?? {};
        const truth = entropyOf(distribution);
        expect(uncertainty.lowerNats).toBeLessThanOrEqual(truth + 1e-9);
        expect(uncertainty.upperNats).toBeGreaterThanOrEqual(truth - 1e-9);
        expect(uncertainty.nllNats).toBeCloseTo(-Math.log(distribution[0]?.[1] ?? 0), 9);
        expect(uncertainty.restMass).toBeCloseTo(
          distribution.slice(uncertainty.k).reduce((sum, [, p]) => sum + p, 0),
          9,
        );
        // An even rest and a known vocabulary: the upper bound is the entropy itself.
        if (dialect === 'llama-server') expect(uncertainty.upperNats).toBeCloseTo(truth, 9);
      }
    }
  });

  it('has the log probabilities that the client asked for, and no more', async () => {
    const { engine } = await aLoaded(dialect);
    if (dialect === 'ollama') {
      expect(await refusalOf(answer(engine, { topLogprobs: 2 }))).toMatchObject({ code: 'engine.bad-request', field: 'top_logprobs' });
      return;
    }
    const { tokens } = await answer(engine, { topLogprobs: 2 });
    expect(tokens[1]?.logprobs).toMatchObject({
      text: ' there',
      bytes: [...Buffer.from(' there')],
      logprob: expect.closeTo(Math.log(0.55), 12),
      top: [{ text: ' there' }, { text: ' w0' }],
    });
    expect(tokens.every(({ logprobs }) => logprobs?.top.length === 2)).toBe(true);
  });
});

describe('generation', () => {
  it('keeps choices apart and ends each', async () => {
    const { engine, upstream } = await aLoaded('vllm');
    const { events, tokens } = await answer(engine, { choices: 3 });
    expect(upstream.last.body['n']).toBe(3);
    for (const choice of [0, 1, 2]) {
      const text = tokens.filter((token) => token.choice === choice).map((token) => token.text);
      expect(text.join('')).toBe('Hello there, you two.');
      expect(events.filter((event) => event.type === 'finish' && event.choice === choice)).toHaveLength(1);
    }
    expect(events.filter(({ type }) => type === 'end')).toHaveLength(1);
    expect(events.at(-1)).toMatchObject({ type: 'end', usage: { outputTokens: 15 } });
  });

  it('says when the answer was cut at its limit', async () => {
    const { engine } = await aLoaded('vllm');
    const { events } = await answer(engine, { sampling: { ...aRequest().sampling, maxTokens: 2 } });
    expect(events.at(-2)).toEqual({ type: 'finish', choice: 0, finishReason: 'length' });
  });

  it.each([
    ['stop', 'stop'],
    ['length', 'length'],
    ['content_filter', 'content_filter'],
    ['function_call', 'tool_calls'],
    ['eos_token', 'stop'],
    ['something new', 'stop'],
  ])('reads the finish reason %s as %s', async (reason, expected) => {
    const { engine, upstream } = await aLoaded('vllm');
    upstream.fault = { kind: 'finish', reason };
    expect((await answer(engine)).events.at(-2)).toEqual({ type: 'finish', choice: 0, finishReason: expected });
  });

  it('loses no piece of a tool call', async () => {
    const { engine, upstream } = await aLoaded('vllm');
    upstream.fault = { kind: 'toolCall' };
    const { tokens, events } = await answer(engine, { body: { tools: [{ type: 'function', function: { name: 'look_up' } }] } });
    expect(tokens.flatMap(({ toolCalls }) => toolCalls ?? [])).toEqual([
      { index: 0, id: 'call_1', name: 'look_up', arguments: '' },
      { index: 0, arguments: '{"order":' },
      { index: 0, arguments: '7}' },
    ]);
    expect(events.at(-2)).toEqual({ type: 'finish', choice: 0, finishReason: 'tool_calls' });
  });

  it('asks for log probabilities on its own account for the sampled share alone', async () => {
    const draws = [0.29, 0.31, 0.9, 0];
    const rng: Rng = { bytes: (size) => new Uint8Array(size), uniform: () => draws.shift() ?? 1 };
    const { engine, upstream } = await aLoaded('vllm', { rng, sampling: { topLogprobs: 5, share: 0.3 } });
    const asked: unknown[] = [];
    const kinds: string[] = [];
    for (let n = 0; n < 4; n += 1) {
      kinds.push((await answer(engine)).tokens[0]?.uncertainty.kind ?? '');
      asked.push(upstream.last.body['top_logprobs']);
    }
    expect(asked).toEqual([5, undefined, undefined, 5]);
    expect(kinds).toEqual(['bounds', 'none', 'none', 'bounds']);
  });

  it('sends our credential to the upstream and nothing of it elsewhere', async () => {
    const { engine, upstream } = await aLoaded('vllm', { credential: 'sk-hunter2' });
    await answer(engine, { body: { headers: { authorization: 'x' }, api_key: 'x' } });
    expect(upstream.last.headers['authorization']).toBe('Bearer sk-hunter2');
    expect(JSON.stringify([upstream.last.body, engine.stats(), engine.capabilities()])).not.toContain('hunter2');
  });

  it('is refused before loading and after unloading', async () => {
    const { engine } = await anEngine('vllm');
    expect(await refusalOf(answer(engine))).toMatchObject({ code: 'engine.not-loaded', retryable: true });
    await engine.load(never);
    await engine.unload(0);
    expect(await refusalOf(answer(engine))).toMatchObject({ code: 'engine.not-loaded' });
  });
});

describe('embeddings', () => {
  it('come in the order of the inputs and at unit length', async () => {
    const { engine, upstream } = await aLoaded('vllm');
    upstream.embeddings = [
      [3, 4],
      [0, -2],
    ];
    const made = await engine.embed({ id: 'e', inputs: ['a', 'b'] }, never);
    expect(made.vectors).toEqual([
      [expect.closeTo(0.6, 12), expect.closeTo(0.8, 12)],
      [0, -1],
    ]);
    expect(made.inputTokens).toBe(7);
    upstream.embeddings = [
      [0, 0],
      [1, 1],
    ];
    expect(await refusalOf(engine.embed({ id: 'e', inputs: ['a', 'b'] }, never))).toMatchObject({ code: 'engine.upstream-error' });
    expect(engine.capabilities().embeddings).toBe(true);
  });

  it('are asked once of an upstream that has none', async () => {
    const { engine, upstream } = await aLoaded('llama-server');
    expect(engine.capabilities().embeddings).toBe(true);
    expect(await refusalOf(engine.embed({ id: 'e', inputs: ['a'] }, never))).toMatchObject({ code: 'engine.upstream-error' });
    expect(engine.capabilities().embeddings).toBe(false);
    const asked = upstream.requests.length;
    expect(await refusalOf(engine.embed({ id: 'e', inputs: ['a'] }, never))).toMatchObject({ code: 'engine.bad-request' });
    expect(upstream.requests.length).toBe(asked);
  });
});

describe("the upstream's own figures", () => {
  it('are in the stats while it tells them, and unknown where it does not', async () => {
    const { engine } = await aLoaded('vllm', {
      setUp: (upstream) => {
        upstream.metrics =
          'vllm:num_requests_running{model_name="fake-model"} 3\nvllm:num_requests_waiting{model_name="fake-model"} 7\nvllm:kv_cache_usage_perc{model_name="fake-model"} 0.25\n';
      },
    });
    await until(() => engine.upstreamMetrics().waiting === 7, 'the page to be read');
    expect(engine.stats()).toMatchObject({ running: 3, queued: 7, kvCellsUsed: null, queueWaitMs: null, rssBytes: null });
    expect(engine.upstreamMetrics()).toMatchObject({ kvUsage: 0.25, ttftMs: null });
  });

  it.each(['<html>not a page of metrics</html>', null])('are unknown when the page is %j', async (page) => {
    const { engine, upstream } = await aLoaded('vllm', {
      setUp: (one) => {
        one.metrics = page;
      },
    });
    await until(() => upstream.requests.some(({ path }) => path === '/metrics'), 'the page to be asked for');
    expect(engine.stats()).toMatchObject({ running: 0, queued: 0, occupancy: null });
    expect(engine.upstreamMetrics()).toMatchObject({ running: null, waiting: null, kvUsage: null });
  });
});
