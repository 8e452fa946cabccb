import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type FakeDialect,
  type FakeToken,
  finishChunk,
  roleChunk,
  tokenChunk,
  toolChunk,
  usageChunk,
  usageOf,
  type Wire,
} from '../../../../../test/support/upstream-wire.js';
import { EngineError } from '../../engine.js';
import { readAnswer } from '../answer.js';
import { EventReader } from '../events.js';
import { type AnswerWishes, StreamReader } from './stream-reader.js';

const dialects = ['vllm', 'sglang', 'llama-server', 'tgi', 'ollama', 'openai'] as const satisfies readonly FakeDialect[];

const wishes = (more: Partial<AnswerWishes> = {}): AnswerWishes => ({
  endpoint: 'chat/completions',
  choices: 1,
  askedTop: null,
  clientTop: null,
  bounds: false,
  withUsage: true,
  modelShown: 'support',
  facts: { endMark: true, usageInStreams: true, vocabularySize: 1_000 },
  secret: 'sk-hunter2',
  mostBytes: 1 << 24,
  ...more,
});

/** Cut at the places; each block is a copy of its own, as the network gives them. */
function blocksOf(text: string | Buffer, cuts: readonly number[] = []): Buffer[] {
  const bytes = Buffer.from(text);
  const at = [0, ...[...cuts].sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, index) => Buffer.from(bytes.subarray(at[index], end)));
}

function read(blocks: readonly Buffer[], wanted: AnswerWishes) {
  const reader = new StreamReader(wanted);
  const outputs: Buffer[] = [];
  let fault = null;
  let whole = false;
  let nowMs = 0;
  for (const block of blocks) {
    nowMs += 10;
    const passed = reader.push(block, nowMs);
    if (passed.output !== null) outputs.push(passed.output);
    ({ fault, whole } = passed);
    if (fault !== null) break;
  }
  if (fault === null) {
    const passed = reader.end(nowMs);
    if (passed.output !== null) outputs.push(passed.output);
    ({ fault, whole } = passed);
  }
  return { outputs, text: Buffer.concat(outputs).toString('utf8'), fault, whole, summary: reader.summary('a') };
}

/** The slow way over the same bytes: what it counts, and the fault that it throws. */
async function slowly(text: string | Buffer, wanted: AnswerWishes) {
  async function* body() {
    yield Buffer.from(text);
  }
  const sums = { tokens: 0, measured: 0, lowerNats: 0, upperNats: 0, nllNats: 0, fault: null as unknown, usage: null as unknown };
  const { choices, askedTop, clientTop, bounds, facts, secret } = wanted;
  try {
    const input = { request: { choices, askedTop, clientTop, bounds }, facts, secret };
    for await (const event of readAnswer(new EventReader(body(), wanted.mostBytes), input)) {
      if (event.type === 'end') sums.usage = event.usage;
      if (event.type !== 'token') continue;
      sums.tokens += 1;
      if (event.uncertainty.kind !== 'bounds') continue;
      sums.measured += 1;
      sums.lowerNats += event.uncertainty.lowerNats;
      sums.upperNats += event.uncertainty.upperNats;
      sums.nllNats += event.uncertainty.nllNats;
    }
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    sums.fault = error.fault;
  }
  return sums;
}

const dataOf = (text: string): unknown[] =>
  text
    .split(/\r?\n\r?\n/)
    .filter((event) => event.startsWith('data:'))
    .map((event) => event.slice(5).trim())
    .map((data) => (data === '[DONE]' ? data : JSON.parse(data)));

const pieces = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom('"', '\\', 'ä€😀', '"logprobs":{', '\n\n', 'data: [DONE]', '"model":"x"', '}]}'),
);

const tokens = fc.array(
  fc.record({
    text: pieces,
    weights: fc.array(fc.double({ min: 1e-9, max: 1, noNaN: true }), { minLength: 4, maxLength: 24 }),
  }),
  { minLength: 1, maxLength: 6 },
);

/** Whole streams of every family. */
const streams = fc
  .record({
    dialect: fc.constantFrom(...dialects),
    chat: fc.boolean(),
    top: fc.constantFrom(null, 0, 1, 5, 20),
    said: tokens,
    choices: fc.constantFrom(1, 1, 3),
    spaced: fc.boolean(),
    carriage: fc.boolean(),
  })
  .map(({ dialect, chat, top, said, choices, spaced, carriage }) => {
    const wire: Wire = { dialect, model: 'qwen/Qwen2.5-7B', chat, top, temperature: 1 };
    const made: FakeToken[] = said.map(({ text, weights }, position) => {
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      const ranked = weights
        .toSorted((a, b) => b - a)
        .map((weight, rank) => [rank === 0 ? text : `w${position}-${rank}`, weight / total] as const);
      return { text, distribution: ranked };
    });
    const usage = usageOf(wire, 9, made.length * choices, 4);
    const all: (string | null)[] = [];
    for (let index = 0; index < choices; index += 1) all.push(roleChunk(wire, index));
    for (const token of made) for (let index = 0; index < choices; index += 1) all.push(tokenChunk(wire, index, token));
    if (chat && choices === 1) all.push(toolChunk(wire, { tool_calls: [{ index: 0, function: { arguments: '{"a":' } }] }));
    for (let index = 0; index < choices; index += 1) all.push(finishChunk(wire, index, index === 1 ? 'length' : 'stop', usage));
    all.push(usageChunk(wire, usage));
    const events = all
      .filter((data) => data !== null)
      .map((data) => (spaced ? JSON.stringify(JSON.parse(data), null, 1).replaceAll('\n', '') : data));
    const end = carriage ? '\r\n\r\n' : '\n\n';
    const text = [': hello', ...[...events, '[DONE]'].map((data) => (spaced ? `data:${data}` : `data: ${data}`))]
      .map((event) => event + end)
      .join('');
    return { wire, choices, text };
  });

const askings = fc.record({ own: fc.boolean(), clientTop: fc.constantFrom(null, 0, 2, 20), withUsage: fc.boolean() });

describe('a streamed answer', () => {
  it('is measured as the slow way measures it, however it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(streams, askings, fc.array(fc.nat(20_000), { maxLength: 12 }), async ({ wire, choices, text }, asked, cuts) => {
        const clientTop = wire.top === null ? null : asked.clientTop === null ? null : Math.min(asked.clientTop, wire.top);
        const wanted = wishes({
          choices,
          clientTop,
          askedTop: wire.top,
          bounds: wire.top !== null && wire.top > 0,
          withUsage: asked.withUsage,
        });
        const slow = await slowly(text, wanted);
        const length = Buffer.byteLength(text);
        const whole = read(blocksOf(text), wanted);
        const cut = read(
          blocksOf(
            text,
            cuts.map((at) => at % length),
          ),
          wanted,
        );
        expect(whole).toMatchObject({ fault: null, whole: true });
        expect(slow.fault).toBeNull();
        for (const { summary } of [whole, cut]) {
          expect(summary.tokens).toBe(slow.tokens);
          expect(summary.usage).toEqual(slow.usage);
          expect(summary.finishReason).toBe(choices === 1 ? 'stop' : 'length');
          expect(summary.uncertainty?.tokens ?? 0).toBe(slow.measured);
          for (const name of ['lowerNats', 'upperNats', 'nllNats'] as const)
            expect((summary.uncertainty?.[name] ?? 0) * Math.max(1, slow.measured)).toBeCloseTo(slow[name], 11);
        }
        expect(cut.text).toBe(whole.text);
      }),
      { numRuns: 150 },
    );
  });

  it('reaches the client without what it did not ask for, and as it came otherwise', () => {
    fc.assert(
      fc.property(streams, askings, ({ wire, choices, text }, asked) => {
        const clientTop = wire.top === null ? null : asked.clientTop === null ? null : Math.min(asked.clientTop, wire.top);
        const wanted = wishes({ choices, clientTop, askedTop: wire.top, withUsage: asked.withUsage });
        const expected = dataOf(text).flatMap((json) => {
          if (typeof json !== 'object') return [json];
          const chunk = { ...(json as object), model: 'support' } as unknown as Record<string, unknown> & {
            choices: { logprobs?: unknown }[];
          };
          if (!asked.withUsage && chunk['usage'] !== undefined) {
            if (chunk.choices.length === 0) return [];
            delete chunk['usage'];
          }
          chunk.choices = chunk.choices.map((choice) =>
            'logprobs' in choice ? { ...choice, logprobs: kept(choice.logprobs, clientTop) } : choice,
          );
          return [chunk];
        });
        expect(dataOf(read(blocksOf(text), wanted).text)).toEqual(expected);
      }),
      { numRuns: 150 },
    );
  });

  it('is the same wherever its bytes are cut in two, and when they come one by one', () => {
    const told = streams.filter(({ wire, choices }) => wire.chat && wire.top === 5 && choices === 1);
    const bytes = Buffer.from(fc.sample(told, { numRuns: 1, seed: 5 })[0]?.text ?? '');
    const wanted = wishes({ askedTop: 5, clientTop: 2, bounds: true, withUsage: false });
    const passed = (cuts: readonly number[]) => {
      const { text, fault, whole, summary } = read(blocksOf(bytes, cuts), wanted);
      return { text, fault, whole, tokens: summary.tokens, uncertainty: summary.uncertainty, usage: summary.usage };
    };
    expect(passed([])).toMatchObject({ whole: true, fault: null });
    for (let at = 0; at <= bytes.length; at += 1) expect(passed([at])).toEqual(passed([]));
    expect(passed([...bytes.keys()])).toEqual(passed([]));
  });

  it('keeps every byte when nothing must change, and the very memory', () => {
    const wire: Wire = { dialect: 'vllm', model: 'support', chat: true, top: null, temperature: 1 };
    const [token] = [{ text: 'Hi', distribution: [['Hi', 1]] as const }];
    const text = `${tokenChunk(wire, 0, token as FakeToken)}`;
    const block = Buffer.from(`id: 7\ndata:  ${text} \n\n: ping\n\n`);
    const { output } = new StreamReader(wishes()).push(block, 1);
    expect(output).toBe(block);
  });

  const chunk = (more: object): string =>
    `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: 'x' }, finish_reason: null }], ...more })}\n\n`;
  const finish = `data: ${JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }], usage: { prompt_tokens: 1, completion_tokens: 1 } })}\n\n`;
  const done = 'data: [DONE]\n\n';

  it.each<[string, string]>([
    ['an error', `${chunk({})}data: {"error":{"message":"boom sk-hunter2","code":500}}\n\n`],
    ['an error by the name of its event', `${chunk({})}event: error\ndata: {"message":"x"}\n\n`],
    ['an error in a field of its own', `${chunk({})}error: {"code":500,"message":"x"}\n\n`],
    ['an older error', `${chunk({})}data: {"object":"error","message":"no","code":400}\n\n`],
    ['garbage', `${chunk({})}data: {"choices":[{"index":0,"delta":{"content":"a\n\n`],
    ['no chunk', `${chunk({})}data: {"id":"x"}\n\n`],
    ['an empty event', `${chunk({})}data\n\n`],
    ['a choice too many', chunk({}) + chunk({ choices: [{ index: 1, delta: { content: 'x' } }] })],
    ['more after the end', finish + chunk({})],
    ['an answer given up', chunk({ choices: [{ index: 0, delta: {}, finish_reason: 'abort' }] })],
    ['a cut answer', chunk({})],
    ['an end mark too early', chunk({}) + done],
    ['no end mark', finish],
    ['no usage', chunk({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }) + done],
    ['a member twice', `data: {"choices":[],"error":{"message":"x"},"error":null,"usage":null}\n\n`],
  ])('with %s ends in the fault that the slow way throws, and never with the end mark', async (_, text) => {
    const wanted = wishes();
    const slow = await slowly(text, wanted);
    const { fault, whole, text: passed } = read(blocksOf(text), wanted);
    expect(fault).toEqual(slow.fault);
    expect(fault).not.toBeNull();
    expect(whole).toBe(false);
    expect(passed).not.toContain('[DONE]');
    expect(JSON.stringify(fault)).not.toContain('hunter2');
  });

  it.each<[string, string]>([
    [
      'names with escapes',
      '{"choices":[{"index":0,"delta":{"content":"x"},"logpr\\u006fbs":{"content":[]}}],"mod\\u0065l":"secret-name","usage":null}',
    ],
    [
      'a member twice',
      '{"model":"a","model":"secret-name","choices":[{"index":0,"delta":{"content":"x"},"logprobs":{"content":[]}}],"usage":null}',
    ],
    [
      'parts for text',
      '{"choices":[{"delta":{"content":[{"type":"text","text":"x"}]},"logprobs":{"content":[]}}],"model":"secret-name","usage":null}',
    ],
  ])('with %s loses what must go all the same', (_, data) => {
    const reader = new StreamReader(wishes({ withUsage: false, askedTop: 5 }));
    const { output, tokenSeen, fault } = reader.push(Buffer.from(`data: ${data}\n\n`), 1);
    expect(fault).toBeNull();
    expect(tokenSeen).toBe(true);
    const [json] = dataOf(String(output)) as Record<string, unknown>[];
    expect(json).toMatchObject({ model: 'support', choices: [{ logprobs: null }] });
    expect(json).not.toHaveProperty('usage');
  });

  it('on several lines is one event', () => {
    const reader = new StreamReader(wishes());
    const text = 'data: {"model":"other","choices":[{"index":0,\ndata: "delta":{"content":"x"}}]}\n\n';
    expect(dataOf(String(reader.push(Buffer.from(text), 1).output))).toEqual([
      { model: 'support', choices: [{ index: 0, delta: { content: 'x' } }] },
    ]);
  });

  it('without an end mark, where none is known, gets one for the client', () => {
    const { text, whole } = read(
      blocksOf(finish.trimEnd()),
      wishes({ facts: { endMark: false, usageInStreams: true, vocabularySize: null } }),
    );
    expect(whole).toBe(true);
    expect(text.endsWith(done)).toBe(true);
  });

  it('loses usage wherever it stands', () => {
    const usage = { prompt_tokens: 1, completion_tokens: 1 };
    const choices = [{ index: 0, delta: {} }];
    for (const [json, left] of [
      [
        { usage: null, choices, id: 'a' },
        { choices, id: 'a' },
      ],
      [
        { id: 'a', usage, choices },
        { id: 'a', choices },
      ],
      [
        { choices, id: 'a', usage },
        { choices, id: 'a' },
      ],
    ]) {
      for (const text of [JSON.stringify(json), JSON.stringify(json, null, 1).replaceAll('\n', '')]) {
        const passed = new StreamReader(wishes({ withUsage: false })).push(Buffer.from(`data: ${text}\n\n`), 1);
        expect(dataOf(String(passed.output))).toEqual([left]);
      }
    }
    expect(
      new StreamReader(wishes({ withUsage: false })).push(Buffer.from(`data: {"choices":[],"usage":${JSON.stringify(usage)}}\n\n`), 1)
        .output,
    ).toBeNull();
  });

  it('tells when its tokens came', () => {
    const reader = new StreamReader(wishes());
    const at = (text: string, nowMs: number) => reader.push(Buffer.from(text), nowMs).tokenSeen;
    const event = chunk({});
    expect(at(`data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n`, 5)).toBe(false);
    expect([at(event.slice(0, 20), 8), at(event.slice(20), 10), at(event, 40), at(event, 45)]).toEqual([false, true, true, true]);
    expect(reader.summary(null)).toMatchObject({ tokens: 3, firstTokenAtMs: 10, lastTokenAtMs: 45, longestGapMs: 30 });
  });

  it('is given up when an event or the whole grows beyond its bound', () => {
    const piece = Buffer.alloc(100_000, 'x');
    const { fault } = read([Buffer.from('data: '), ...Array.from({ length: 12 }, () => piece)], wishes());
    expect(fault?.message).toMatch(/longer than 1 MiB/);
    expect(read(blocksOf(chunk({})), wishes({ mostBytes: 10 })).fault?.message).toMatch(/more than 10 bytes/);
  });
});

/** What must be left of `logprobs`. */
function kept(raw: unknown, clientTop: number | null): unknown {
  if (raw === null || clientTop === null) return null;
  const {
    content,
    tokens: said,
    top_logprobs: maps,
  } = raw as { content?: { top_logprobs: unknown[] }[]; tokens?: string[]; top_logprobs?: Record<string, number>[] | null };
  if (content)
    return { ...(raw as object), content: content.map((token) => ({ ...token, top_logprobs: token.top_logprobs.slice(0, clientTop) })) };
  if (!maps) return raw;
  return {
    ...(raw as object),
    top_logprobs: maps.map((map, place) =>
      Object.fromEntries(
        Object.entries(map).filter(
          ([text, logprob]) => text === said?.[place] || Object.values(map).filter((one) => one > logprob).length < clientTop,
        ),
      ),
    ),
  };
}

describe('a streamed response', () => {
  const event = (type: string, more: object = {}): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`;
  const response = (more: object) => ({ response: { id: 'r', model: 'other', ...more } });

  it('is measured by its types, under the public name', () => {
    const usage = { input_tokens: 3, output_tokens: 2, input_tokens_details: { cached_tokens: 1 } };
    const text =
      event('response.created', response({ status: 'in_progress', error: null })) +
      event('response.output_text.delta', { delta: 'Hi' }) +
      event('response.completed', response({ status: 'completed', error: null, output: [], usage }));
    const { summary, whole, text: passed } = read(blocksOf(text), wishes({ endpoint: 'responses' }));
    expect(whole).toBe(true);
    expect(passed).toBe(text.replaceAll('"model":"other"', '"model":"support"'));
    expect(summary).toMatchObject({ tokens: 1, finishReason: 'stop', usage: { inputTokens: 3, outputTokens: 2, cachedTokens: 1 } });
  });

  it.each([
    ['no last event', event('response.output_text.delta', { delta: 'Hi' })],
    ['a failure', event('response.failed', response({ status: 'failed', error: { code: 'server_error', message: 'no' } }))],
    ['an error', event('error', { code: 'x', message: 'no' })],
  ])('with %s is a fault', (_, text) => {
    expect(read(blocksOf(text), wishes({ endpoint: 'responses' })).fault).toMatchObject({ code: 'engine.upstream-error' });
  });
});
