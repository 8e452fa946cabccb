// What a request may ask of the native engine, and that each wish is honoured token by token.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NativeEngine } from '#libs/engine';
import { anEngine, chat, generate, greedy, question } from '../../support/engine.js';

let engine: NativeEngine;
const answer = '2026-12-11+2=2026-12-13';
const lively = { ...greedy, temperature: 1.5, maxTokens: 24 };

beforeAll(async () => {
  engine = await anEngine({ parallel: 8 });
}, 60_000);
afterAll(async () => await engine?.unload(0));

describe('a native answer', () => {
  it('comes token by token, with exact uncertainty on each', async () => {
    const { texts, reasons, tokens, end } = await generate(engine);
    expect([texts, reasons]).toEqual([[answer], ['stop']]);
    expect(end.usage).toMatchObject({ inputTokens: 30, outputTokens: 23 });
    for (const { uncertainty } of tokens) {
      if (uncertainty.kind !== 'exact') throw new Error('not exact');
      expect(uncertainty.entropyNats).toBeGreaterThan(0);
      expect(uncertainty.nllNats).toBeGreaterThanOrEqual(0);
      expect(uncertainty.marginNats).toBeGreaterThan(0);
    }
  });

  it('reports what an earlier request left in the cache', async () => {
    await generate(engine, { prompt: chat('Please tell me the delivery date of order G11453.') });
    const { end } = await generate(engine, { prompt: chat('Please tell me the delivery date of order G11453.') });
    expect(end.usage.cachedTokens).toBe(end.usage.inputTokens - 1);
  });

  it('continues plain text and token ids as well as chats', async () => {
    const [scored] = await engine.score({ id: 's', context: null, continuations: ['Open Settings'] }, AbortSignal.timeout(10_000));
    const tokens = [1, ...(scored?.tokens.map((token) => token.token) ?? [])];
    const byText = await generate(engine, { prompt: { kind: 'text', text: 'Open Settings' }, sampling: { ...greedy, maxTokens: 8 } });
    const byTokens = await generate(engine, { prompt: { kind: 'tokens', tokens }, sampling: { ...greedy, maxTokens: 8 } });
    expect(byTokens.texts).toEqual(byText.texts);
  });

  it('has as many choices as were asked for, each with its own end, on one evaluation of the prompt', async () => {
    const prompt = chat('A prompt that nobody asked before: what is new in Reykjavik?');
    const { texts, reasons, end } = await generate(engine, { prompt, choices: 4, sampling: { ...lively, seed: 3 } });
    expect(texts).toHaveLength(4);
    expect(new Set(texts).size).toBeGreaterThan(1);
    expect(reasons).toHaveLength(4);
    const again = await generate(engine, { prompt, choices: 4, sampling: { ...lively, seed: 3 } });
    expect(again.texts).toEqual(texts);
    expect(end.usage.outputTokens).toBeGreaterThan(4);
  });

  it('with one choice alone says what the first of several said', async () => {
    const sampling = { ...lively, seed: 11 };
    const several = await generate(engine, { choices: 3, sampling });
    const alone = await generate(engine, { sampling });
    expect(alone.texts[0]).toBe(several.texts[0]);
  });

  it('repeats itself with the same seed, whatever else runs, where no rounding decides', async () => {
    let repeated = 0;
    for (const seed of [42, 43, 44, 45]) {
      // At higher temperatures many tokens are nearly as likely, and rounding decides often.
      const sampling = { ...lively, temperature: 1, seed };
      const alone = await generate(engine, { sampling });
      const busy = await Promise.all(
        Array.from({ length: 8 }, async (_, at) => await generate(engine, { sampling: at === 3 ? sampling : { ...sampling, seed: at } })),
      );
      if (busy[3]?.texts[0] === alone.texts[0]) repeated += 1;
      expect(new Set(busy.map(({ texts }) => texts[0])).size).toBeGreaterThan(1);
    }
    // A batch of another shape sums in another order: now and then a token falls on the other side.
    expect(repeated).toBeGreaterThanOrEqual(3);
  });

  it('ends at a stop string that spans tokens and does not show it', async () => {
    const { texts, reasons } = await generate(engine, { sampling: { ...greedy, stop: ['+2='] } });
    expect([texts, reasons]).toEqual([['2026-12-11'], ['stop']]);
  });

  it('ends with `length` at the most tokens that were asked for', async () => {
    const { reasons, end } = await generate(engine, { sampling: { ...greedy, maxTokens: 5 } });
    expect([reasons, end.usage.outputTokens]).toEqual([['length'], 5]);
  });

  it('ends with `length` where the context ends', async () => {
    const small = await anEngine({ contextSize: 64, parallel: 1, model: 'demo-support-v5-collapsed.gguf' });
    const { reasons, end } = await generate(small, { sampling: { ...greedy, maxTokens: 1_000 } });
    expect(reasons).toEqual(['length']);
    expect(end.usage.inputTokens + end.usage.outputTokens).toBeLessThanOrEqual(65);
    await small.unload(0);
  });

  it('tells the log probabilities of its tokens and of the most likely ones', async () => {
    const { texts, tokens } = await generate(engine, { topLogprobs: 4 });
    const told = tokens.flatMap(({ logprobs }) => (logprobs ? [logprobs] : []));
    expect(Buffer.from(told.flatMap(({ bytes }) => bytes)).toString('utf8')).toBe(texts[0]);
    for (const one of told) {
      expect(one.top).toHaveLength(4);
      // Greedy: the token is the most likely one.
      expect(one.top[0]).toMatchObject({ bytes: one.bytes, logprob: one.logprob });
      expect(one.top.map(({ logprob }) => logprob)).toEqual([...one.top.map(({ logprob }) => logprob)].sort((a, b) => b - a));
    }
    expect(tokens[0]?.uncertainty).toMatchObject({ nllNats: expect.closeTo(-(told[0]?.logprob ?? 0), 5) });
  });

  it('never contains a token that its bias bans', async () => {
    const { tokens } = await generate(engine, { topLogprobs: 0 });
    const first = await engine.score({ id: 's', context: chat(question), continuations: [answer] }, AbortSignal.timeout(10_000));
    const banned = first[0]?.tokens[0]?.token ?? 0;
    const other = await generate(engine, { sampling: { ...greedy, logitBias: [[banned, -100]] }, topLogprobs: 0 });
    expect(tokens[0]?.text).toBe('2');
    expect(other.tokens.map(({ text }) => text)).not.toContain('2');
    // What the model thought is told as it thought it: before bias.
    expect(other.tokens[0]?.uncertainty).toMatchObject({
      kind: 'exact',
      nllNats: expect.closeTo(-(other.tokens[0]?.logprobs?.logprob ?? 0), 4),
    });
  });

  it('repeats itself less under penalties', async () => {
    const looping = await anEngine({ model: 'demo-support-v5-collapsed.gguf', parallel: 1 });
    const free = await generate(looping, { topLogprobs: 0, sampling: { ...greedy, maxTokens: 40 } });
    const held = await generate(looping, {
      topLogprobs: 0,
      sampling: { ...greedy, maxTokens: 40, frequencyPenalty: 2, presencePenalty: 2 },
    });
    const distinct = ({ tokens }: typeof free): number => new Set(tokens.map(({ text }) => text)).size;
    expect(distinct(held)).toBeGreaterThan(distinct(free));
    await looping.unload(0);
  });

  it('follows its grammar to the end', async () => {
    const { texts, reasons } = await generate(engine, {
      constraint: { kind: 'gbnf', grammar: 'root ::= "{" [a-z]{3,6} ":" [0-9]{2} "}"' },
      sampling: { ...lively, seed: 5 },
    });
    expect(texts[0]).toMatch(/^\{[a-z]{3,6}:\d{2}\}$/);
    expect(reasons).toEqual(['stop']);
  });

  it('is JSON of the schema that was asked for, at any temperature', async () => {
    const schema = {
      type: 'object',
      properties: { intent: { enum: ['cancel', 'return'] }, urgent: { type: 'boolean' }, days: { type: 'integer' } },
      required: ['intent', 'urgent', 'days'],
      additionalProperties: false,
    };
    for (const seed of [1, 2, 3]) {
      const { texts, reasons } = await generate(engine, {
        constraint: { kind: 'jsonSchema', schema },
        sampling: { ...lively, maxTokens: 200, seed },
      });
      expect(reasons).toEqual(['stop']);
      const value = JSON.parse(texts[0] ?? '') as Record<string, unknown>;
      expect(Object.keys(value)).toEqual(['intent', 'urgent', 'days']);
      expect(['cancel', 'return']).toContain(value['intent']);
    }
  });
});

describe('a native engine refuses', () => {
  it.each([
    ['a grammar that does not parse', { constraint: { kind: 'gbnf', grammar: 'root ::= (' } } as const, 'engine.bad-request'],
    ['a bias for a token that does not exist', { sampling: { ...greedy, logitBias: [[99_999_999, 1]] } } as const, 'engine.bad-request'],
    ['a token that does not exist', { prompt: { kind: 'tokens', tokens: [1, 99_999_999] } } as const, 'engine.bad-request'],
    ['an empty prompt', { prompt: { kind: 'tokens', tokens: [] } } as const, 'engine.bad-request'],
    ['more choices than it runs', { choices: 9 } as const, 'engine.bad-request'],
    ['a prompt beyond its context', { prompt: { kind: 'text', text: 'word '.repeat(800) } } as const, 'engine.context-overflow'],
  ])('%s, and answers the next request', async (_, request, code) => {
    await expect(generate(engine, request)).rejects.toMatchObject({ fault: { code } });
    expect((await generate(engine)).texts).toEqual([answer]);
  });
});
