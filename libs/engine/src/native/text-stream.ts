// Tokens to text as it comes: no half characters, and stop strings that never leak even when they span tokens.

export type Detokenize = (tokens: readonly number[], before: readonly number[]) => string;

const replacement = '\uFFFD';
/** A character of UTF-8 has at most 4 bytes; a byte-level token carries at least one. Longer waits mean that the bytes are no text. */
const longestWait = 6;
const contextTokens = 8;

/** Text of one answer. `push` returns what may be shown now; `stopped` turns true when a stop string was met. */
export class TextStream {
  private pending: number[] = [];
  private before: number[] = [];
  private held = '';
  stopped = false;

  constructor(
    private readonly detokenize: Detokenize,
    private readonly stops: readonly string[],
  ) {}

  push(token: number): string {
    this.pending.push(token);
    const text = this.detokenize(this.pending, this.before);
    if (text.endsWith(replacement) && this.pending.length < longestWait) return '';
    this.before = [...this.before, ...this.pending].slice(-contextTokens);
    this.pending = [];
    return this.release(text);
  }

  /** What was held back, at the end of the answer. */
  finish(): string {
    const rest = this.pending.length > 0 ? this.detokenize(this.pending, this.before) : '';
    this.pending = [];
    const text = this.release(rest) + (this.stopped ? '' : this.held);
    this.held = '';
    return text;
  }

  private release(text: string): string {
    if (this.stopped) return '';
    if (this.stops.length === 0) return text;
    const whole = this.held + text;
    let cut = -1;
    for (const stop of this.stops) {
      const at = whole.indexOf(stop);
      if (at >= 0 && (cut < 0 || at < cut)) cut = at;
    }
    if (cut >= 0) {
      this.stopped = true;
      this.held = '';
      return whole.slice(0, cut);
    }
    const keep = Math.max(...this.stops.map((stop) => overlap(whole, stop)));
    this.held = whole.slice(whole.length - keep);
    return whole.slice(0, whole.length - keep);
  }
}

/** Length of the longest end of `text` with which `stop` begins. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length -= 1) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
