// From a measured row to the next token: bias, penalties, cuts and the draw, in llama.cpp's order, and the same text for the same seed.
import type { Sampling } from '../../engine.js';
import { drawAmong } from './among.js';
import { cutOf } from './cuts.js';
import type { LogitsKernel } from './kernel.js';
import { TokenHistory } from './token-history.js';

/**
 * One answer's sampling. A token takes one random number, whatever else the batch holds: same numbers and same logits, same text.
 * Temperature 0 takes none: it is the largest logit after bias and penalties, the lowest token of equals. Never sorts or copies a vocabulary.
 */
export class Sampler {
  private readonly history: TokenHistory;

  constructor(
    private readonly sampling: Sampling,
    private readonly uniform: () => number,
  ) {
    this.history = new TokenHistory(sampling);
  }

  /** The prompt counts for the repeat penalty only: OpenAI's penalties look at the answer. */
  prime(prompt: ArrayLike<number>): void {
    this.history.prime(prompt);
  }

  accept(token: number): void {
    this.history.accept(token);
  }

  /**
   * The next token of the row that the kernel has measured. Takes back what another answer to the same prompt has edited in it, and leaves its
   * own edits for `nextAmong`. Throws RangeError when a biased token is not in the vocabulary.
   */
  next(kernel: LogitsKernel): number {
    kernel.undoEdits();
    this.history.edit(kernel);
    // Everything banned: the model's own word is better than none.
    if (kernel.peakLogit === -Infinity) return kernel.measured.top;
    const { temperature } = this.sampling;
    if (temperature === 0) return kernel.peakToken;
    return kernel.draw(this.uniform(), temperature, cutOf(kernel, this.sampling));
  }

  /**
   * After `next` on the same row: chooses again, among these tokens only (ascending ids), by the same rules and the next random number.
   * Without cuts, drawing again when a draw is refused gives exactly the distribution over the allowed tokens.
   */
  nextAmong(kernel: LogitsKernel, tokens: Int32Array): number {
    const token = drawAmong(kernel, tokens, this.sampling, this.uniform);
    if (token !== null) return token;
    // Bias has banned all that the grammar allows: the grammar counts for more.
    kernel.undoEdits();
    return drawAmong(kernel, tokens, this.sampling, this.uniform) ?? tokens[0] ?? kernel.measured.top;
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
