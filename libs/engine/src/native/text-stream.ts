// Tokens to text as it comes: no half characters, and stop strings that never leak even when they span tokens.

export type Detokenize = (tokens: readonly number[], before: readonly number[]) => string;

const replacement = '\uFFFD';
/** A character of UTF-8 has at most 4 bytes; a byte-level token carries at least one. Longer waits mean that the bytes are no text. */
const longestWait = 6;
/** Bound on tokens that are read again and again because each ends within a character. */
const mostPending = 64;
const contextTokens = 8;

/** Text of one answer. `push` returns what may be shown now; `stopped` turns true when a stop string was met. */
export class TextStream {
  private pending: number[] = [];
  /** Characters of the pending tokens' text that were let out already. */
  private shown = 0;
  /** Tokens since the last whole character. */
  private waited = 0;
  private before: number[] = [];
  private held = '';
  stopped = false;

  constructor(
    private readonly detokenize: Detokenize,
    private readonly stops: readonly string[],
  ) {}

  push(token: number): string {
    this.pending.push(token);
    this.waited += 1;
    const text = this.detokenize(this.pending, this.before);
    // A token may end one character and begin the next: what is whole is shown, what is not waits for its other half.
    const whole = text.endsWith(replacement) ? text.replace(/\uFFFD+$/, '').length : text.length;
    if (whole > this.shown) this.waited = 0;
    if (whole < text.length && this.waited < longestWait && this.pending.length < mostPending) return this.show(text, whole);
    const rest = this.show(text, text.length);
    this.before = [...this.before, ...this.pending].slice(-contextTokens);
    this.forget();
    return rest;
  }

  /** What was held back, at the end of the answer. */
  finish(): string {
    const text = this.pending.length > 0 ? this.detokenize(this.pending, this.before) : '';
    const rest = this.show(text, text.length) + (this.stopped ? '' : this.held);
    this.forget();
    this.held = '';
    return rest;
  }

  private show(text: string, upTo: number): string {
    const fresh = text.slice(this.shown, Math.max(this.shown, upTo));
    this.shown = Math.max(this.shown, upTo);
    return this.release(fresh);
  }

  private forget(): void {
    this.pending = [];
    this.shown = 0;
    this.waited = 0;
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
