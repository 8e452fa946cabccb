// Log probabilities as upstreams write them, made into one shape: OpenAI's chat form, OpenAI's older completions form, and llama-server's mixture.
import type { LikelyToken, TokenLogprobs, Uncertainty } from '../engine.js';
import { entropyBounds } from './bounds.js';

/** No tokenizer is known to have more; too large only widens an upper bound. */
export const largestVocabulary = 1 << 20;

/** Servers write impossible tokens as the lowest float, -9999 or -Infinity; JSON has none of the last. */
export const lowestLogprob = -9_999;

export interface ListedToken extends TokenLogprobs {
  /** False when the list may lack tokens likelier than its last: nothing follows from it for the rest. */
  readonly complete: boolean;
}

type Fields = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The tokens of a chunk's `logprobs`, at most `k` likely ones each, highest first. A token without a number is left out. */
export function readLogprobs(raw: unknown, k: number): readonly ListedToken[] {
  if (!isObject(raw)) return [];
  if (Array.isArray(raw['content'])) return raw['content'].flatMap((token) => chatToken(token, k));
  return Array.isArray(raw['tokens']) ? olderTokens(raw, raw['tokens'], k) : [];
}

function chatToken(value: unknown, k: number): ListedToken[] {
  const itself = likely(value);
  if (!itself) return [];
  const listed = (value as Fields)['top_logprobs'];
  return [{ ...itself, top: ranked(Array.isArray(listed) ? listed : [], k), complete: true }];
}

function likely(value: unknown): LikelyToken | null {
  if (!isObject(value)) return null;
  const { token, logprob, bytes } = value;
  if (typeof token !== 'string' || typeof logprob !== 'number') return null;
  const given =
    Array.isArray(bytes) && bytes.every((byte) => Number.isInteger(byte) && byte >= 0 && byte < 256) ? (bytes as number[]) : null;
  return { text: token, bytes: given ?? [...Buffer.from(token, 'utf8')], logprob: Math.max(logprob, lowestLogprob) };
}

function ranked(values: readonly unknown[], k: number): LikelyToken[] {
  return values
    .map(likely)
    .filter((token) => token !== null)
    .sort((a, b) => b.logprob - a.logprob)
    .slice(0, k);
}

/**
 * `{tokens, token_logprobs, top_logprobs: [{text: logprob}]}`. The map may hold the chosen token beside the k likeliest, so only k count; and
 * two tokens of one text (halves of a character) share an entry, so a map that is short hides one that may be likelier than its last.
 */
function olderTokens(raw: Fields, tokens: readonly unknown[], k: number): ListedToken[] {
  const own = Array.isArray(raw['token_logprobs']) ? raw['token_logprobs'] : [];
  const tops = Array.isArray(raw['top_logprobs']) ? raw['top_logprobs'] : [];
  return tokens.flatMap((token, position) => {
    const itself = likely({ token, logprob: own[position] });
    if (!itself) return [];
    const map: unknown = tops[position];
    const top = ranked(isObject(map) ? Object.entries(map).map(([text, logprob]) => ({ token: text, logprob })) : [], k);
    const mass = top.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0);
    return [{ ...itself, top, complete: top.length >= k || mass > 0.999 }];
  });
}

/** What a listed token says about the distribution that it came from; `none` where its numbers contradict themselves. */
export function uncertaintyOf({ logprob, top, complete }: ListedToken, vocabularySize: number): Uncertainty {
  return uncertaintyFrom(logprob, complete ? top.map((token) => token.logprob) : [], vocabularySize);
}

/** The same from the numbers alone: the token's own, and those of the likeliest, in any order. */
export function uncertaintyFrom(logprob: number, topLogprobs: readonly number[], vocabularySize: number): Uncertainty {
  const bounds = entropyBounds(topLogprobs, vocabularySize);
  return bounds === null || !(logprob < 0.01) ? { kind: 'none' } : { kind: 'bounds', ...bounds, nllNats: Math.max(0, -logprob) };
}
