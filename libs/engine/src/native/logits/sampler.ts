// From a measured row to the next token: bias, penalties, cuts and the draw, in llama.cpp's order, and the same text for the same seed.
import type { Sampling } from '../../engine.js';
import type { LogitsKernel } from './kernel.js';

/** Tokens of prompt and answer that the repeat penalty looks back on, as llama.cpp's default. */
const repeatWindow = 64;

/** One answer's sampling. Never sorts or copies the whole vocabulary, unless an edit is asked for. */
export class Sampler {
  /** Occurrences in the answer. */
  private readonly counts = new Map<number, number>();
  private readonly recent: number[] = [];
  private readonly edits: boolean;

  constructor(
    private readonly sampling: Sampling,
    private readonly uniform: () => number,
  ) {
    const { logitBias = [], frequencyPenalty = 0, presencePenalty = 0, repeatPenalty = 1 } = sampling;
    this.edits = logitBias.length > 0 || frequencyPenalty !== 0 || presencePenalty !== 0 || repeatPenalty !== 1;
  }

  /** The prompt counts for the repeat penalty only: OpenAI's penalties look at the answer. */
  prime(prompt: ArrayLike<number>): void {
    for (let at = Math.max(0, prompt.length - repeatWindow); at < prompt.length; at += 1) this.recent.push(prompt[at] ?? 0);
  }

  accept(token: number): void {
    this.counts.set(token, (this.counts.get(token) ?? 0) + 1);
    this.recent.push(token);
    if (this.recent.length > repeatWindow) this.recent.shift();
  }

  /** The next token of the row that the kernel has measured. */
  next(kernel: LogitsKernel): number {
    if (this.edits) this.edit(kernel);
    // Everything banned: the model's own word is better than none.
    return kernel.largest === Number.NEGATIVE_INFINITY ? kernel.measured.top : this.choose(kernel);
  }

  /** After `next` on the same row: chooses again, among these tokens only. */
  nextAmong(kernel: LogitsKernel, tokens: Int32Array): number {
    kernel.keepOnly(tokens);
    // Bias and penalties may have banned all that a grammar allows: the grammar then counts for more.
    if (kernel.largest === Number.NEGATIVE_INFINITY) return tokens[0] ?? 0;
    return this.choose(kernel);
  }

  private edit(kernel: LogitsKernel): void {
    const { logitBias = [], frequencyPenalty = 0, presencePenalty = 0, repeatPenalty = 1 } = this.sampling;
    const row = kernel.edit();
    for (const [token, bias] of logitBias) row[token] = bias <= -100 ? Number.NEGATIVE_INFINITY : (row[token] ?? 0) + bias;
    if (repeatPenalty !== 1) {
      for (const token of new Set(this.recent)) {
        const logit = row[token] ?? 0;
        row[token] = logit > 0 ? logit / repeatPenalty : logit * repeatPenalty;
      }
    }
    if (frequencyPenalty !== 0 || presencePenalty !== 0) {
      for (const [token, count] of this.counts) row[token] = (row[token] ?? 0) - count * frequencyPenalty - presencePenalty;
    }
    kernel.edited();
  }

  private choose(kernel: LogitsKernel): number {
    const { temperature, topK, topP, minP } = this.sampling;
    if (temperature === 0) return kernel.likeliest;
    let least = topK > 0 && topK < kernel.vocabularySize ? kernel.leastOf(topK) : Number.NEGATIVE_INFINITY;
    if (topP < 1) least = kernel.leastOfMass(topP, least);
    if (minP > 0) least = Math.max(least, kernel.largest + Math.log(minP));
    return kernel.draw(this.uniform(), temperature, Math.min(least, kernel.largest));
  }
}

/** A small seeded generator (mulberry32, T. Ettinger): numbers in [0, 1), the same for the same seed. */
export function seededUniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
