// What the scores of a text's tokens come to: sums, means, perplexity. Nats throughout, but for bits per byte, which is in bits.
import type { SequenceScore } from '#libs/engine';

export interface SequenceFigures {
  readonly nll_total: number;
  /** Tokens with a score: a first token with nothing before it has none. */
  readonly tokens: number;
  /** UTF-8 length of the text; null where token ids were given that are no text by themselves. */
  readonly bytes: number | null;
  readonly perplexity: number | null;
  readonly bits_per_byte: number | null;
  readonly entropy_mean: number | null;
  readonly entropy_max: number | null;
  /** Every scored token is the model's own first choice. */
  readonly greedy: boolean;
}

/** `given`: the text itself, where the request had it. */
export function figuresOf({ tokens }: SequenceScore, given: string | null): SequenceFigures {
  const nll = tokens.flatMap((token) => token.nllNats ?? []);
  const entropy = tokens.flatMap((token) => token.entropyNats ?? []);
  const bytes = bytesOf(tokens, given);
  const total = sum(nll);
  return {
    nll_total: total,
    tokens: nll.length,
    bytes,
    perplexity: nll.length === 0 ? null : Math.exp(total / nll.length),
    bits_per_byte: bytes === null || bytes === 0 || nll.length === 0 ? null : total / Math.LN2 / bytes,
    entropy_mean: entropy.length === 0 ? null : sum(entropy) / entropy.length,
    entropy_max: entropy.length === 0 ? null : Math.max(...entropy),
    greedy: nll.length > 0 && tokens.every((token) => token.rank === null || token.rank === 0),
  };
}

/** How likely a continuation is as a whole, and per what a longer one could not help having more of. */
export function likelihoodOf({ nll_total, tokens, bytes }: SequenceFigures) {
  return {
    log_likelihood: -nll_total,
    log_likelihood_per_token: tokens === 0 ? null : -nll_total / tokens,
    log_likelihood_per_byte: bytes === null || bytes === 0 ? null : -nll_total / bytes,
  };
}

export type Likelihood = ReturnType<typeof likelihoodOf>;

/** Index of the most likely continuation; the first of equals. By bytes only where all lengths are known. */
export function bestOf(all: readonly Likelihood[]): { readonly raw: number; readonly byte_normalised: number | null } {
  const perByte = all.flatMap((one) => one.log_likelihood_per_byte ?? []);
  return {
    raw: argmax(all.map((one) => one.log_likelihood)),
    byte_normalised: perByte.length === all.length ? argmax(perByte) : null,
  };
}

function bytesOf(tokens: SequenceScore['tokens'], given: string | null): number | null {
  if (given !== null) return Buffer.byteLength(given, 'utf8');
  const text = tokens.map((token) => token.text).join('');
  // A replacement mark stands for bytes that only the neighbours' bytes complete: their number is not told.
  return text.includes('\u{fffd}') ? null : Buffer.byteLength(text, 'utf8');
}

function argmax(values: readonly number[]): number {
  return values.reduce((best, value, index) => (value > (values[best] ?? Number.NEGATIVE_INFINITY) ? index : best), 0);
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
