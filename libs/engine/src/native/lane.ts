// What occupies a sequence of the KV cache: it says what to evaluate next and takes the logits it asked for.
import type { ExpectedOutput, Work } from '../admission/index.js';
import type { LogitsKernel } from './logits/kernel.js';

/** The next piece of work of a lane: tokens at consecutive positions, and after which of them logits are wanted. */
export interface Want {
  readonly position: number;
  readonly tokens: Int32Array;
  readonly rows: 'none' | 'last' | 'all';
}

/** One running sequence. The loop owns the slot and the decoder; lanes never touch either. */
export interface Lane {
  /** The request it works for. */
  readonly id: number;
  readonly slot: number;
  /** Nothing more to do: the loop takes the slot back. */
  readonly done: boolean;
  /** True while an answer is being written: such lanes get their token into every batch, whatever waits. */
  readonly urgent: boolean;
  /** True while an answer has no token yet: somebody waits for its first. */
  readonly opening: boolean;
  /** At most `room` tokens and `rows` wanted positions. Null: nothing fits now, or nothing is left. */
  want(room: number, rows: number): Want | null;
  /** The tokens of the last want are in the cache. Comes before their rows. */
  evaluated(tokens: Int32Array): void;
  /** The `index`-th wanted row of the last want lies in the kernel, measured. */
  row(kernel: LogitsKernel, index: number): void;
  /** The sequence whose beginning this one takes over before its next want. Answered once. */
  takeFork(): { readonly slot: number; readonly tokens: number } | null;
  /** Positions to keep before the next want, when the lane starts again from an earlier one. Answered once. */
  takeRewind(): number | null;
  /** What it still has to do; output as experience tells. */
  remaining(expected: ExpectedOutput): Work;
  /** The cache could not be cut there and is empty now. */
  restarted(): void;
}
