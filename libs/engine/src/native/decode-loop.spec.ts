// The loop on a decoder that only keeps books: what is in each batch, who waits, and what is left at the end.
import { describe, expect, it } from 'vitest';
import type { Sampling } from '../engine.js';
import { DecodeLoop } from './decode-loop.js';
import type { BatchPart, Decoder } from './decoder.js';
import { DecodeError } from './decoder.js';
import { LogitsKernel } from './logits/kernel.js';
import type { FromChild, GenerateMessage } from './protocol.js';

const size = 32;
const end = 31;

/** Every token is followed by the next one; 31 ends. Positions that are evaluated twice or with a hole are a broken cache. */
class BookDecoder implements Decoder {
  readonly evaluation = 'books';
  readonly contextSize = 256;
  readonly cells: number;
  readonly sharesPrefixes = true;
  readonly cuts = 'any';
  readonly batchSize = 64;
  readonly maxRows = 32;
  readonly batches: BatchPart[][] = [];
  readonly held: number[][];
  failNext: DecodeError | null = null;
  private rows: number[] = [];

  constructor(readonly slots: number) {
    this.cells = this.contextSize * slots;
    this.held = Array.from({ length: slots }, () => []);
  }

  async decode(parts: readonly BatchPart[]): Promise<void> {
    const failure = this.failNext;
    this.failNext = null;
    if (failure) throw failure;
    this.batches.push([...parts]);
    this.rows = [];
    for (const { slot, position, tokens, wanted } of parts) {
      const held = this.held[slot] ?? [];
      expect(position).toBe(held.length);
      held.push(...Array.from(tokens));
      if (wanted === 'last') this.rows.push(held.at(-1) ?? 0);
      if (wanted === 'all') this.rows.push(...Array.from(tokens));
    }
  }

  copyLogits(row: number, into: Float32Array): void {
    into.fill(0);
    into[Math.min(end, (this.rows[row] ?? 0) + 1)] = 9;
  }

  truncate(slot: number, tokens: number): boolean {
    this.held[slot] = (this.held[slot] ?? []).slice(0, tokens);
    return true;
  }

  share(from: number, to: number, tokens: number): void {
    expect(this.held[to]).toEqual([]);
    this.held[to] = (this.held[from] ?? []).slice(0, tokens);
  }

  clear(slot: number): void {
    this.held[slot] = [];
  }
}

function start(slots = 4, maxQueuedTokens = 10_000) {
  const decoder = new BookDecoder(slots);
  const sent: FromChild[] = [];
  let nowMs = 0;
  const loop = new DecodeLoop({
    model: {
      decoder,
      vocabulary: {
        size,
        isEnd: (token) => token === end,
        bytes: (token) => Uint8Array.of(65 + token),
        spelling: (token) => Uint8Array.of(65 + token),
        tokenize: () => [],
      },
      ownLoop: true,
      tokenize: (prompt) => (prompt.kind === 'tokens' ? [...prompt.tokens] : []),
      chat: null,
      openGrammar: () => null,
      embedder: null,
    },
    kernel: new LogitsKernel(size),
    send: (message) => void sent.push(message),
    nowMs: () => {
      nowMs += 1;
      return nowMs;
    },
    randomSeed: () => 1,
    measure: true,
    prefixCache: true,
    maxQueuedTokens,
  });
  const running = loop.run();
  const idle = async (): Promise<void> => {
    for (let turn = 0; turn < 500; turn += 1) await new Promise((done) => setImmediate(done));
    expect(loop.stats()).toMatchObject({ running: 0, queued: 0, queuedTokens: 0 });
  };
  const stop = async (): Promise<void> => {
    loop.stop();
    await running;
  };
  return { loop, decoder, sent, idle, stop };
}

const greedy: Sampling = { temperature: 0, topP: 1, topK: 0, minP: 0, maxTokens: 100, stop: [] };
const ask = (id: number, more: Partial<GenerateMessage> = {}): GenerateMessage => ({
  type: 'generate',
  id,
  prompt: { kind: 'tokens', tokens: [] },
  sampling: greedy,
  choices: 1,
  topLogprobs: null,
  tools: null,
  constraint: null,
  ticket: null,
  ...more,
});
const answers = (sent: readonly FromChild[]): Map<string, string> => {
  const texts = new Map<string, string>();
  for (const message of sent) {
    if (message.type !== 'step') continue;
    for (const [id, choice, text] of message.tokens) texts.set(`${id}.${choice}`, (texts.get(`${id}.${choice}`) ?? '') + text);
  }
  return texts;
};
const ends = (sent: readonly FromChild[]): number[] =>
  sent.flatMap((message) => (message.type === 'step' ? message.ended.map(({ id }) => id) : []));

describe('the decode loop', () => {
  it('writes all running answers in every batch: sixteen at once never leave one out', async () => {
    const { loop, decoder, sent, idle, stop } = start(16);
    for (let id = 1; id <= 16; id += 1) loop.addGeneration(ask(id), [id % 3, 10], null);
    await idle();
    const decodes = decoder.batches.filter((parts) => parts.every(({ tokens }) => tokens.length === 1));
    expect(decodes.length).toBeGreaterThan(10);
    for (const parts of decodes.slice(1, -2)) expect(parts).toHaveLength(16);
    expect(new Set(answers(sent).values())).toEqual(new Set(['LMNOPQRSTUVWXYZ[\\]^_']));
    expect(loop.stats().occupancy).toBeGreaterThan(0.9);
    await stop();
  });

  it('goes on with running answers in each batch that evaluates a long prompt', async () => {
    const { loop, decoder, idle, stop } = start(2);
    loop.addGeneration(ask(1), [1], null);
    await new Promise((done) => setImmediate(done));
    loop.addGeneration(ask(2, { sampling: { ...greedy, maxTokens: 1 } }), new Array<number>(200).fill(3), null);
    await idle();
    const chunks = decoder.batches.filter((parts) => parts.some(({ tokens }) => tokens.length > 1));
    expect(chunks.length).toBeGreaterThan(2);
    for (const parts of chunks) expect(parts.filter(({ tokens }) => tokens.length === 1).length).toBe(1);
    await stop();
  });

  it('evaluates the prompt of several choices once and ends when all have', async () => {
    const { loop, decoder, sent, idle, stop } = start(4);
    loop.addGeneration(ask(1, { choices: 3 }), [5, 6, 20], null);
    await idle();
    expect(decoder.batches.flat().filter(({ tokens }) => tokens.length === 3)).toHaveLength(1);
    expect([...answers(sent)].sort()).toEqual([0, 1, 2].map((choice) => [`1.${choice}`, 'VWXYZ[\\]^_']));
    expect(ends(sent)).toEqual([1]);
    await stop();
  });

  it('begins a prompt where the longest common prefix of what is held ends', async () => {
    const { loop, decoder, sent, idle, stop } = start(1);
    const prompt = Array.from({ length: 60 }, (_, at) => at % 20);
    loop.addGeneration(ask(1), [...prompt, 29], null);
    await idle();
    loop.addGeneration(ask(2), [...prompt, 28], null);
    await idle();
    const cached = sent.flatMap((message) => (message.type === 'step' ? message.ended.map(({ cachedTokens }) => cachedTokens) : []));
    expect(cached).toEqual([0, 60]);
    expect(decoder.batches.flat().some(({ position, tokens }) => position === 60 && tokens[0] === 28)).toBe(true);
    await stop();
  });

  it('drops a cancelled request before its next step and leaves nothing of it running', async () => {
    const { loop, decoder, sent, idle, stop } = start(1);
    loop.addGeneration(ask(1), [1], null);
    loop.addGeneration(ask(2), [2], null);
    loop.cancel(2);
    await new Promise((done) => setImmediate(done));
    const before = decoder.batches.length;
    loop.cancel(1);
    await idle();
    expect(decoder.batches.length).toBeLessThanOrEqual(before + 1);
    expect(ends(sent)).toEqual([]);
    loop.addGeneration(ask(3), [20], null);
    await idle();
    expect(ends(sent)).toEqual([3]);
    await stop();
  });

  it('fails the requests of a batch that the library refused, and serves the next', async () => {
    const { loop, decoder, sent, idle, stop } = start(2);
    decoder.failNext = new DecodeError('failed', 'llama_decode answered -3');
    loop.addGeneration(ask(1), [1], null);
    await idle();
    expect(sent).toContainEqual({ type: 'failed', id: 1, code: 'engine.failed', message: 'llama_decode answered -3' });
    loop.addGeneration(ask(2), [25], null);
    await idle();
    expect(ends(sent)).toEqual([2]);
    await stop();
  });

  it('refuses at once what the queue does not hold, and says when to try again', async () => {
    const { loop, sent, idle, stop } = start(1, 300);
    for (let id = 1; id <= 6; id += 1) {
      loop.addGeneration(
        ask(id, { ticket: { tenant: `t${id}`, priority: 'live', deadlineMs: null } }),
        new Array<number>(100).fill(1),
        null,
      );
    }
    const refused = sent.filter((message) => message.type === 'failed');
    expect(refused.length).toBeGreaterThan(0);
    for (const message of refused) expect(message).toMatchObject({ code: 'engine.overloaded', retryAfterMs: expect.any(Number) });
    await idle();
    expect(ends(sent).length + refused.length).toBe(6);
    await stop();
  });

  it('scores given texts position by position, each from the end of its context', async () => {
    const { loop, sent, idle, stop } = start(2);
    loop.addScore(1, { context: { kind: 'tokens', tokens: [2, 3] }, continuations: [[4, 5, 6], [9], [4, 7]] });
    await idle();
    const scored = sent.find((message) => message.type === 'scored');
    if (scored?.type !== 'scored') throw new Error('no scores');
    // After 3 comes 4, after 4 comes 5: what follows the rule is the first choice.
    expect(scored.sequences.map(({ tokens }) => tokens.map(({ token, rank }) => [token, rank === 0]))).toEqual([
      [
        [4, true],
        [5, true],
        [6, true],
      ],
      [[9, false]],
      [
        [4, true],
        [7, false],
      ],
    ]);
    await stop();
  });
});
