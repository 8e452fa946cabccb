// Server-sent events out of a byte stream, with bounds: an endless line or an endless answer from a broken upstream must not fill our memory.
import { broken } from './faults.js';

export const longestEventBytes = 1 << 20;

export interface ServerEvent {
  /** `error` for an event that says so, by its name or (older llama-server) by its field. */
  readonly kind: 'data' | 'error';
  readonly data: string;
}

/**
 * The events of a body, one by one. Unlike a loop over a generator, leaving it half read destroys nothing: the caller does that, or lets
 * `settle` read the rest so that the connection can serve again. Throws EngineError for an event beyond 1 MiB and a body beyond `mostBytes`.
 */
export class EventReader {
  private readonly chunks: AsyncIterator<Uint8Array>;
  private readonly decoder = new TextDecoder();
  private readonly ready: ServerEvent[] = [];
  private rest = '';
  private lines: string[] = [];
  private lineBytes = 0;
  private kind: ServerEvent['kind'] = 'data';
  private bytes = 0;
  private over = false;

  constructor(
    body: AsyncIterable<Uint8Array>,
    private readonly mostBytes: number,
  ) {
    this.chunks = body[Symbol.asyncIterator]();
  }

  /** Null when the body has ended. Rejects with what the body rejects with. */
  async next(): Promise<ServerEvent | null> {
    while (this.ready.length === 0 && !this.over) {
      const { done, value } = await this.chunks.next();
      if (done) {
        this.over = true;
        if (this.rest !== '') this.line(this.rest);
        this.line('');
      } else {
        this.bytes += value.length;
        if (this.bytes > this.mostBytes) throw broken(`the upstream sent more than ${this.mostBytes} bytes`);
        this.take(this.decoder.decode(value, { stream: true }));
      }
    }
    return this.ready.shift() ?? null;
  }

  /** Reads to the end of the body and forgets it. */
  async settle(): Promise<void> {
    while (!this.over) {
      this.ready.length = 0;
      await this.next();
    }
  }

  private take(text: string): void {
    this.rest = this.rest === '' ? text : this.rest + text;
    let from = 0;
    for (let end = this.rest.indexOf('\n', from); end >= 0; end = this.rest.indexOf('\n', from)) {
      this.line(this.rest.slice(from, this.rest.charCodeAt(end - 1) === 0x0d && end > from ? end - 1 : end));
      from = end + 1;
    }
    this.rest = this.rest.slice(from);
    if (this.rest.length + this.lineBytes > longestEventBytes) throw broken('an event of the upstream is longer than 1 MiB');
  }

  private line(line: string): void {
    if (line === '') {
      if (this.lines.length > 0) this.ready.push({ kind: this.kind, data: this.lines.join('\n') });
      this.lines = [];
      this.lineBytes = 0;
      this.kind = 'data';
      return;
    }
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'event' && value === 'error') this.kind = 'error';
    if (field === 'error') this.kind = 'error';
    if (field !== 'data' && field !== 'error') return;
    this.lines.push(value);
    this.lineBytes += value.length;
  }
}
