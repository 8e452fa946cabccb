// What a request has seen and said, and how it weighs on the next token: logit bias, repeat, frequency and presence penalties.
import type { Sampling } from '../../engine.js';
import type { LogitsKernel } from './kernel.js';

/** How far the repeat penalty looks back, over prompt and answer. */
const windowSize = 64;

export class TokenHistory {
  private readonly bias: readonly (readonly [token: number, bias: number])[];
  private readonly repeat: number;
  private readonly frequency: number;
  private readonly presence: number;
  /** A ring of the last tokens; -1 where there was none yet. */
  private readonly window = new Int32Array(windowSize).fill(-1);
  private seen = 0;
  /** Distinct tokens of the answer and how often each occurred. Kept only when a penalty asks: bounded by the answer's length. */
  private readonly tokens: number[] = [];
  private readonly counts: number[] = [];
  private readonly places = new Map<number, number>();

  constructor(sampling: Sampling) {
    this.bias = sampling.logitBias ?? [];
    this.repeat = sampling.repeatPenalty ?? 1;
    this.frequency = sampling.frequencyPenalty ?? 0;
    this.presence = sampling.presencePenalty ?? 0;
  }

  /** Tokens before the answer. */
  prime(promptTokens: ArrayLike<number>): void {
    for (let i = Math.max(0, promptTokens.length - windowSize); i < promptTokens.length; i += 1) this.see(promptTokens[i] ?? 0);
  }

  /** A token of the answer. */
  accept(token: number): void {
    this.see(token);
    if (this.frequency === 0 && this.presence === 0) return;
    const place = this.places.get(token);
    if (place !== undefined) {
      this.counts[place] = (this.counts[place] ?? 0) + 1;
      return;
    }
    this.places.set(token, this.tokens.length);
    this.tokens.push(token);
    this.counts.push(1);
  }

  /** Edits the row. Bias first (-100 bans), then the repeat penalty, then OpenAI's: logit - count x frequency - (count > 0) x presence. */
  edit(kernel: LogitsKernel): void {
    const { row } = kernel;
    for (const [token, bias] of this.bias) kernel.edit(token, bias <= -100 ? -Infinity : (row[token] ?? 0) + bias);
    if (this.repeat !== 1) {
      for (let i = 0; i < windowSize; i += 1) {
        const token = this.window[i] ?? -1;
        if (token < 0 || this.window.indexOf(token) !== i) continue;
        const logit = row[token] ?? 0;
        kernel.edit(token, logit > 0 ? logit / this.repeat : logit * this.repeat);
      }
    }
    for (let i = 0; i < this.tokens.length; i += 1) {
      const token = this.tokens[i] ?? 0;
      kernel.edit(token, (row[token] ?? 0) - (this.counts[i] ?? 0) * this.frequency - this.presence);
    }
  }

  private see(token: number): void {
    this.window[this.seen % windowSize] = token;
    this.seen += 1;
  }
}
