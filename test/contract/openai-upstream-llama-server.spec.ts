// The http engine before a real llama-server, on the same model as our own engine: what it bounds from the wire must hold what we compute from the logits.
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EngineError, type GenerateRequest, HttpEngine, type InferenceEngine, NativeEngine, type TokenEvent } from '#libs/engine';
import { createLog } from '#libs/telemetry';
import { demoModels, until } from '../support/gateway.js';
import { aRelay, relayed } from '../support/relay.js';

const binary = process.env['SERIN_TEST_LLAMA_SERVER'];
const model = join(demoModels, 'demo-support-v1-stable.gguf');
const never = new AbortController().signal;

type Token = Extract<TokenEvent, { type: 'token' }>;

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((done) => server.close(() => done()));
  return port;
}

async function questions(): Promise<string[]> {
  const lines = (await readFile(join(demoModels, '..', 'testset.jsonl'), 'utf8')).split('\n').filter((line) => line !== '');
  return lines.slice(0, 12).map((line) => (JSON.parse(line) as { messages: [{ content: string }] }).messages[0].content);
}

function aRequest(content: string, more: Partial<GenerateRequest> = {}): GenerateRequest {
  return {
    id: 'r1',
    prompt: { kind: 'chat', messages: [{ role: 'user', content }] },
    sampling: { temperature: 0, topP: 1, topK: 0, minP: 0, maxTokens: 48, stop: [] },
    ...more,
  };
}

async function answer(
  engine: InferenceEngine,
  request: GenerateRequest,
): Promise<{ text: string; tokens: Token[]; last: TokenEvent | undefined }> {
  const events: TokenEvent[] = [];
  for await (const event of engine.generate(request, never)) events.push(event);
  const tokens = events.filter((event) => event.type === 'token');
  return { text: tokens.map(({ text }) => text).join(''), tokens, last: events.at(-1) };
}

describe.skipIf(binary === undefined)('a real llama-server (skipped unless SERIN_TEST_LLAMA_SERVER names its binary)', () => {
  let child: ChildProcess;
  let engine: HttpEngine;
  let native: NativeEngine;
  let root: string;

  beforeAll(async () => {
    const port = await freePort();
    root = `http://127.0.0.1:${port}`;
    const args = [
      '-m',
      model,
      '--alias',
      'demo',
      '-c',
      '2048',
      '-np',
      '4',
      '-t',
      '1',
      '--host',
      '127.0.0.1',
      '--port',
      String(port),
      '--metrics',
      '--jinja',
    ];
    child = spawn(binary as string, args, { stdio: 'ignore' });
    await until(async () => (await fetch(`${root}/health`).catch(() => null))?.status === 200, 'llama-server', 60_000);
    engine = new HttpEngine({ baseUrl: `${root}/v1`, model: 'demo' });
    await engine.load(never);
    native = new NativeEngine({
      spec: { file: model, contextSize: 512, gpuLayers: 0, parallel: 1, threads: 1 },
      log: createLog('test-engine', 'silent'),
    });
    await native.load(never);
  }, 120_000);

  afterAll(async () => {
    await native?.unload(0);
    await engine?.unload(0);
    child?.kill('SIGKILL');
  });

  it('is known for what it is', () => {
    expect(engine.upstream()).toMatchObject({
      dialect: 'llama-server',
      chat: { topLogprobs: 20 },
      completions: { topLogprobs: 20 },
      rawLogprobs: true,
      usageInStreams: true,
      cachedTokens: true,
      endMark: true,
      maxParallel: 4,
    });
    expect(engine.upstream()?.vocabularySize).toBeGreaterThan(100);
    expect(engine.capabilities().contextSize).toBeGreaterThanOrEqual(512);
  });

  it('gives our own engine’s answers, and bounds that hold its exact entropy', async () => {
    let compared = 0;
    for (const question of await questions()) {
      const [theirs, ours] = [await answer(engine, aRequest(question)), await answer(native, aRequest(question))];
      expect(theirs.text).toBe(ours.text);
      const exact = ours.tokens.flatMap(({ uncertainty }) => (uncertainty.kind === 'exact' ? [uncertainty] : []));
      const bounds = theirs.tokens.flatMap(({ uncertainty }) => (uncertainty.kind === 'bounds' ? [uncertainty] : []));
      expect(bounds.length).toBeGreaterThan(0);
      for (const [position, { lowerNats, upperNats, nllNats }] of bounds.entries()) {
        const own = exact[position];
        if (!own) break;
        // The two compute in different batch shapes: logits differ in their last bits.
        expect(lowerNats).toBeLessThanOrEqual(own.entropyNats + 2e-3);
        expect(upperNats).toBeGreaterThanOrEqual(own.entropyNats - 2e-3);
        expect(nllNats).toBeCloseTo(own.nllNats, 2);
        compared += 1;
      }
    }
    expect(compared).toBeGreaterThan(50);
  });

  it('answers plain text and tokens, choices, and grammars', async () => {
    expect((await answer(engine, aRequest('', { prompt: { kind: 'text', text: 'Shipped' } }))).tokens.length).toBeGreaterThan(0);
    expect((await answer(engine, aRequest('', { prompt: { kind: 'tokens', tokens: [5, 6, 7] } }))).tokens.length).toBeGreaterThan(0);
    const two = await answer(engine, aRequest('Hi', { choices: 2, topLogprobs: 3 }));
    expect(new Set(two.tokens.map(({ choice }) => choice))).toEqual(new Set([0, 1]));
    expect(two.tokens.some(({ logprobs }) => logprobs?.top.length === 3)).toBe(true);
    const constraint = { kind: 'gbnf', grammar: 'root ::= "yes" | "no"' } as const;
    expect((await answer(engine, aRequest('Hi', { constraint }))).text).toMatch(/^(?:yes|no)$/);
  });

  it('tells cached tokens and its own figures', async () => {
    const [question = ''] = await questions();
    await answer(engine, aRequest(question));
    const { last } = await answer(engine, aRequest(question));
    expect(last).toMatchObject({ type: 'end', usage: { cachedTokens: expect.any(Number) } });
    expect(last?.type === 'end' ? last.usage.cachedTokens : 0).toBeGreaterThan(0);
    await until(() => engine.upstreamMetrics().running !== null, 'its page of metrics', 30_000);
    expect(engine.stats()).toMatchObject({ running: 0, queued: 0 });
  });

  it('refuses what does not fit, as our fault and not its own', async () => {
    const error: unknown = await answer(engine, aRequest('long '.repeat(8_000))).catch((reason: unknown) => reason);
    expect(error instanceof EngineError ? error.fault : error).toMatchObject({ code: 'engine.context-overflow', retryable: false });
  });

  it('stops working for a client that left', async () => {
    const abort = new AbortController();
    const endless = aRequest('Hi', { body: { ignore_eos: true }, sampling: { ...aRequest('').sampling, maxTokens: 400 } });
    for await (const event of engine.generate(endless, abort.signal)) if (event.type === 'token') break;
    const idle = async (): Promise<boolean> => {
      const page = await (await fetch(`${root}/metrics`)).text();
      return /^llamacpp:requests_processing 0$/m.test(page);
    };
    await until(idle, 'llama-server to be idle');
  });

  it.each([true, false])('passes its bytes on by the short way, log probabilities cut out and measured (stream: %s)', async (stream) => {
    const [question = ''] = await questions();
    const body = { model: 'shown', messages: [{ role: 'user', content: question }], stream, max_tokens: 24 };
    const { ending, text } = await relayed(engine, aRelay(body, { defaults: { temperature: 0, top_k: 0 } }));
    expect(ending.fault).toBeNull();
    expect(text).not.toContain('top_logprobs');
    expect(text).toContain('"model":"shown-model"');
    expect(text.endsWith('data: [DONE]\n\n')).toBe(stream);
    expect(ending.summary.usage?.outputTokens).toBeGreaterThan(0);
    expect(ending.summary.uncertainty?.tokens).toBeGreaterThan(0);
    const slow = await answer(
      engine,
      aRequest(question, { sampling: { temperature: 0, topP: 1, topK: 0, minP: 0, maxTokens: 24, stop: [] } }),
    );
    const said = stream
      ? text
          .split('\n\n')
          .flatMap((event) => (event.startsWith('data: {') ? [JSON.parse(event.slice(6)) as Said] : []))
          .map(({ choices }) => choices[0]?.delta?.content ?? '')
          .join('')
      : (JSON.parse(text) as Said).choices[0]?.message?.content;
    expect(said).toBe(slow.text);
  });
});

interface Said {
  readonly choices: readonly { readonly delta?: { readonly content?: string | null }; readonly message?: { readonly content: string } }[];
}
