// The model that a FakeEngine pretends to be: a next-token distribution over a small vocabulary, so that its scores agree with one another.
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { LikelyToken, ScoreRequest, SequenceScore, TokenScore } from './engine.js';

export const fakeVocabularySize = 16;

/** Probabilities of the tokens at a place of a text; `index` counts from the text's first token. */
export type FakeDistribution = (token: number, index: number) => readonly number[];

/** Mild and different at every place. */
export const plainDistribution: FakeDistribution = (token, index) => {
  const weights = Array.from({ length: fakeVocabularySize }, (_, other) => 1 / (1 + ((other + 3 * token + index) % fakeVocabularySize)));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
};

/** Words with the blanks before them, so that the tokens' texts join to the text. */
export function fakeTokens(text: string): readonly string[] {
  return text.match(/\s*\S+|\s+$/g) ?? [];
}

export function fakeTokenId(text: string): number {
  let sum = 0;
  for (const byte of Buffer.from(text, 'utf8')) sum = (sum * 31 + byte) >>> 0;
  return sum % fakeVocabularySize;
}

export function fakeLikely(text: string | Uint8Array, logprob: number): LikelyToken {
  const bytes = typeof text === 'string' ? Buffer.from(text, 'utf8') : text;
  return { text: typeof text === 'string' ? text : new TextDecoder().decode(text), bytes: [...bytes], logprob };
}

/** Scores as the port asks, with the exchange of log probabilities through the file. */
export function fakeScores(request: ScoreRequest, distribution: FakeDistribution): SequenceScore[] {
  const { exchange } = request;
  const from = exchange?.rows?.from ?? 0;
  const to = exchange?.rows?.to ?? Number.POSITIVE_INFINITY;
  const written = exchange?.mode === 'read' ? readFileSync(exchange.file) : null;
  const file = exchange?.mode === 'write' ? openSync(exchange.file, 'w') : null;
  let row = 0;
  try {
    return request.continuations.map((continuation) => {
      const texts = typeof continuation === 'string' ? fakeTokens(continuation) : continuation.map((token) => ` t${token}`);
      const tokens = texts.map((text, index): TokenScore => {
        const token = typeof continuation === 'string' ? fakeTokenId(text) : (continuation[index] ?? 0) % fakeVocabularySize;
        // Without a context nothing comes before a first token.
        if (request.context === null && index === 0) return { token, text, nllNats: null, entropyNats: null, rank: null };
        const own = distribution(token, index);
        const inFile = row >= from && row < to;
        const at = (row - from) * fakeVocabularySize * 4;
        row += 1;
        if (file !== null && inFile) writeSync(file, new Uint8Array(Float32Array.from(own, Math.log).buffer));
        return { token, text, ...scoreOf(own, token, request.topLogprobs), ...(written && inFile ? compare(written, at, own) : {}) };
      });
      return { tokens };
    });
  } finally {
    if (file !== null) closeSync(file);
  }
}

function scoreOf(own: readonly number[], token: number, top: number | undefined): Omit<TokenScore, 'token' | 'text'> {
  const chosen = own[token] ?? 0;
  const order = own.map((p, id) => ({ p, id })).sort((one, other) => other.p - one.p);
  return {
    nllNats: -Math.log(chosen),
    entropyNats: -own.reduce((sum, p) => sum + (p > 0 ? p * Math.log(p) : 0), 0),
    rank: own.filter((p) => p > chosen).length,
    ...(top === undefined ? {} : { top: order.slice(0, top).map(({ p, id }) => fakeLikely(` t${id}`, Math.log(p))) }),
  };
}

function compare(written: Buffer, at: number, own: readonly number[]): { klNats: number; sameTop: boolean } {
  const other = own.map((_, id) => Math.exp(written.readFloatLE(at + id * 4)));
  const klNats = other.reduce((sum, p, id) => sum + p * (Math.log(p) - Math.log(own[id] ?? 0)), 0);
  return { klNats, sameTop: other.indexOf(Math.max(...other)) === own.indexOf(Math.max(...own)) };
}

/** A direction that only depends on the text, of unit length. */
export function fakeVector(input: string | readonly number[], dimensions: number): number[] {
  const seed = typeof input === 'string' ? fakeTokens(input).map(fakeTokenId) : input;
  const raw = Array.from(
    { length: dimensions },
    (_, index) => 1 + seed.reduce((sum, token, place) => sum + ((token * (index + 3) + place) % 7), 0),
  );
  const length = Math.hypot(...raw);
  return raw.map((value) => value / length);
}
