// Entropy, NLL and rank against a float64 reference computed from the distributions that the engine itself wrote down, position by position.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NativeEngine } from '#libs/engine';
import { anEngine, chat, demoQuestions, generate, greedy } from '../../support/engine.js';

let engine: NativeEngine;
let other: NativeEngine;
let folder: string;
const text = 'Order G11453, total 480.75 USD, the date was 2026-04-19. 订单已取消。';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'serin-exchange-'));
  engine = await anEngine({ parallel: 2 });
  other = await anEngine({ parallel: 2, model: 'demo-support-v4-rounded.gguf' });
}, 120_000);
afterAll(async () => {
  await engine?.unload(0);
  await other?.unload(0);
  await rm(folder, { recursive: true, force: true });
});

/** Log probabilities of all positions, one row of the vocabulary each. */
async function rowsOf(file: string, positions: number): Promise<Float32Array[]> {
  const bytes = await readFile(file);
  const all = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  const size = all.length / positions;
  return Array.from({ length: positions }, (_, row) => all.subarray(row * size, (row + 1) * size));
}

const sum = (values: Iterable<number>): number => {
  let total = 0;
  for (const value of values) total += value;
  return total;
};

describe('teacher-forced scores', () => {
  it('agree with float64 arithmetic over the whole distribution to 1e-4 nats', async () => {
    const file = join(folder, 'reference');
    const [scored] = await engine.score(
      { id: 'a', context: chat('Extract the fields.'), continuations: [text], topLogprobs: 3, exchange: { mode: 'write', file } },
      AbortSignal.timeout(30_000),
    );
    const tokens = scored?.tokens ?? [];
    expect(tokens.length).toBeGreaterThan(20);
    expect(tokens.map((token) => token.text).join('')).toContain('Order G11453');
    const rows = await rowsOf(file, tokens.length);
    for (const [index, token] of tokens.entries()) {
      const row = rows[index] ?? new Float32Array();
      expect(sum(row.map(Math.exp))).toBeCloseTo(1, 4);
      const entropy = -sum(Array.from(row, (logprob) => (logprob === -Infinity ? 0 : Math.exp(logprob) * logprob)));
      expect(Math.abs((token.entropyNats ?? Number.NaN) - entropy)).toBeLessThan(1e-4);
      expect(token.nllNats).toBeCloseTo(-(row[token.token] ?? Number.NaN), 4);
      expect(token.rank).toBe(row.filter((logprob) => logprob > (row[token.token] ?? 0)).length);
      const best = Array.from(row).sort((a, b) => b - a);
      expect(token.top?.map((one) => one.logprob)).toEqual(best.slice(0, 3).map((logprob) => expect.closeTo(logprob, 4)));
    }
  });

  it('of two versions give the exact divergence and the share of equal first choices', async () => {
    const file = join(folder, 'divergence');
    const ask = { context: chat('Extract the fields.'), continuations: [text] };
    await engine.score({ id: 'a', ...ask, exchange: { mode: 'write', file } }, AbortSignal.timeout(30_000));
    const [same] = await engine.score({ id: 'b', ...ask, exchange: { mode: 'read', file } }, AbortSignal.timeout(30_000));
    for (const token of same?.tokens ?? []) {
      expect(token.klNats).toBeCloseTo(0, 5);
      expect(token.sameTop).toBe(true);
    }
    const own = join(folder, 'own');
    const [differing] = await other.score({ id: 'c', ...ask, exchange: { mode: 'read', file } }, AbortSignal.timeout(30_000));
    await other.score({ id: 'd', ...ask, exchange: { mode: 'write', file: own } }, AbortSignal.timeout(30_000));
    const tokens = differing?.tokens ?? [];
    const [left, right] = [await rowsOf(file, tokens.length), await rowsOf(own, tokens.length)];
    for (const [index, token] of tokens.entries()) {
      const [p, q] = [left[index] ?? new Float32Array(), right[index] ?? new Float32Array()];
      const divergence = sum(Array.from(p, (logprob, at) => Math.exp(logprob) * (logprob - (q[at] ?? 0))));
      expect(Math.abs((token.klNats ?? Number.NaN) - divergence)).toBeLessThan(1e-4);
    }
    expect(sum(tokens.map((token) => token.klNats ?? 0)) / tokens.length).toBeGreaterThan(0.1);
    expect(tokens.some((token) => token.sameTop === false)).toBe(true);
  });

  it('of a long text are compared piece by piece', async () => {
    const ask = { context: chat('Extract the fields.'), continuations: ['Order G11453,', 'total 480.75 USD'] };
    const whole = join(folder, 'whole');
    await engine.score({ id: 'a', ...ask, exchange: { mode: 'write', file: whole } }, AbortSignal.timeout(30_000));
    const all = await other.score({ id: 'b', ...ask, exchange: { mode: 'read', file: whole } }, AbortSignal.timeout(30_000));
    const expected = all.flatMap(({ tokens }) => tokens.map(({ klNats }) => klNats));
    const pieces: (number | undefined)[] = [];
    for (let from = 0; from < expected.length; from += 5) {
      const file = join(folder, `piece-${from}`);
      const rows = { from, to: from + 5 };
      await engine.score({ id: 'c', ...ask, exchange: { mode: 'write', file, rows } }, AbortSignal.timeout(30_000));
      const part = await other.score({ id: 'd', ...ask, exchange: { mode: 'read', file, rows } }, AbortSignal.timeout(30_000));
      pieces.push(...part.flatMap(({ tokens }) => tokens.map(({ klNats }) => klNats)).filter((kl) => kl !== undefined));
    }
    expect(pieces).toEqual(expected.map((kl) => expect.closeTo(kl ?? Number.NaN, 4)));
  });

  it('refuse to read a file that was written for fewer positions', async () => {
    const file = join(folder, 'short');
    const context = chat('Extract the fields.');
    await engine.score({ id: 'a', context, continuations: ['one'], exchange: { mode: 'write', file } }, AbortSignal.timeout(30_000));
    await expect(
      engine.score({ id: 'b', context, continuations: [text], exchange: { mode: 'read', file } }, AbortSignal.timeout(30_000)),
    ).rejects.toMatchObject({ fault: { message: expect.stringContaining('fewer positions') } });
    expect((await generate(engine)).reasons).toEqual(['stop']);
  });

  it('of several continuations are those of each alone', async () => {
    const context = chat('Intent of this message? Please cancel my order.');
    const continuations = ['cancel', 'warranty', 'a much longer answer that nobody expects'];
    const together = await engine.score({ id: 'a', context, continuations }, AbortSignal.timeout(30_000));
    for (const [index, continuation] of continuations.entries()) {
      const [alone] = await other
        .score({ id: 'b', context, continuations: [continuation] }, AbortSignal.timeout(30_000))
        .then(async () => await engine.score({ id: 'c', context, continuations: [continuation] }, AbortSignal.timeout(30_000)));
      expect(together[index]?.tokens.map((token) => token.nllNats)).toEqual(
        alone?.tokens.map((token) => expect.closeTo(token.nllNats ?? Number.NaN, 3)),
      );
    }
    const total = together.map((sequence) => sum(sequence.tokens.map((token) => token.nllNats ?? 0)));
    expect(total.indexOf(Math.min(...total))).toBe(0);
  });

  it('say what generation said of the same tokens', async () => {
    for (const question of demoQuestions().slice(0, 20)) {
      const written = await generate(engine, { prompt: chat(question), sampling: { ...greedy, maxTokens: 32 } });
      const [scored] = await engine.score(
        { id: 'a', context: chat(question), continuations: [written.texts[0] ?? ''] },
        AbortSignal.timeout(30_000),
      );
      const entropies = scored?.tokens.map((token) => token.entropyNats) ?? [];
      const told = written.tokens.map(({ uncertainty }) => (uncertainty.kind === 'exact' ? uncertainty.entropyNats : Number.NaN));
      // Text may be cut into other tokens than were written; where it is not, both must agree.
      if (scored?.tokens.length !== written.end.usage.outputTokens) continue;
      expect(entropies).toEqual(told.slice(0, entropies.length).map((entropy) => expect.closeTo(entropy, 2)));
    }
  });
});
