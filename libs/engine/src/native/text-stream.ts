// Tokens to text as it comes: no half characters, and stop strings that never leak even when they span tokens.

/** Text of one answer. `push` returns what may be shown now; `stopped` turns true when a stop string was met. */
export class TextStream {
  private readonly decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  private held = '';
  stopped = false;

  constructor(private readonly stops: readonly string[]) {}

  /** Takes the bytes of one token. Bytes that begin a character wait for the rest of it; bytes that are no text become U+FFFD. */
  push(bytes: Uint8Array): string {
    return this.release(this.decoder.decode(bytes, { stream: true }));
  }

  /** What was held back, at the end of the answer. */
  finish(): string {
    const text = this.release(this.decoder.decode()) + (this.stopped ? '' : this.held);
    this.held = '';
    return text;
  }

  private release(text: string): string {
    if (this.stopped) return '';
    if (this.stops.length === 0) return text;
    const whole = this.held + text;
    // The one that is complete first, of those the longest: what a model wrote before it does not depend on how tokens cut it.
    let cut = -1;
    let end = Number.POSITIVE_INFINITY;
    for (const stop of this.stops) {
      const at = whole.indexOf(stop);
      if (at < 0 || at + stop.length > end || (at + stop.length === end && at > cut)) continue;
      cut = at;
      end = at + stop.length;
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
