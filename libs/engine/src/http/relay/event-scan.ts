// Server-sent events in the bytes as they come, by their places: what arrived whole is never copied, what was cut is joined once.
import type { EngineFault } from '../../engine.js';
import { longestEventBytes } from '../events.js';
import { broken } from '../faults.js';

const newline = 0x0a;
const carriageReturn = 0x0d;
const colon = 0x3a;
const nothing = Buffer.alloc(0);

/** Where the last byte of an unfinished event leaves us: the next blank line may begin there. */
type Edge = 'inLine' | 'atLine' | 'atCarriageReturn';

/**
 * Walks one body: `feed` a block, then `next` until it says no. Lines end with \n or \r\n. Memory: one unfinished event, at most 1 MiB; a walk
 * over it costs its bytes once, however finely it is cut.
 */
export class EventScan {
  /** What the places of the current event point into. */
  bytes: Buffer = nothing;
  /** The event with the blank line that ends it. */
  from = 0;
  to = 0;
  /** `error` for an event that says so, by its name or (older llama-server) by its field; null for one without data: comments, names, blank lines. */
  kind: 'data' | 'error' | null = null;
  /** The data where it is on one line, as `onOneLine` tells. */
  dataFrom = 0;
  dataTo = 0;
  /** Nothing comes after it. */
  fault: EngineFault | null = null;

  private readonly pieces: Buffer[] = [];
  private pendingBytes = 0;
  private edge: Edge = 'atLine';
  private lines: string[] | null = null;
  private named = false;
  private total = 0;
  private at = 0;

  constructor(private readonly mostBytes: number) {}

  feed(block: Buffer): void {
    this.total += block.length;
    this.at = 0;
    this.bytes = nothing;
    if (this.total > this.mostBytes) {
      this.fault ??= broken(`the upstream sent more than ${this.mostBytes} bytes`).fault;
      return;
    }
    if (this.pieces.length === 0) {
      this.bytes = block;
      return;
    }
    this.pieces.push(block);
    this.pendingBytes += block.length;
    if (this.endsIn(block)) {
      this.bytes = Buffer.concat(this.pieces, this.pendingBytes);
      this.pieces.length = 0;
      this.pendingBytes = 0;
    } else this.checkPending();
  }

  /** An event has begun and not ended. */
  get pending(): boolean {
    return this.pieces.length > 0;
  }

  get onOneLine(): boolean {
    return this.lines === null;
  }

  /** The current event's data. */
  text(): string {
    return this.lines === null ? this.bytes.toString('utf8', this.dataFrom, this.dataTo) : this.lines.join('\n');
  }

  /** On to the next event of the block; false when the rest is unfinished, and kept. */
  next(): boolean {
    const { bytes } = this;
    const { length } = bytes;
    if (this.at >= length || this.fault !== null) return false;
    this.from = this.at;
    this.kind = null;
    this.named = false;
    this.lines = null;
    for (let line = this.at; line < length; ) {
      const byte = bytes[line];
      if (byte === newline) return this.ended(line + 1);
      if (byte === carriageReturn && bytes[line + 1] === newline) return this.ended(line + 2);
      const end = bytes.indexOf(newline, line);
      if (end < 0) break;
      this.line(line, bytes[end - 1] === carriageReturn ? end - 1 : end);
      line = end + 1;
    }
    const rest = this.at === 0 ? bytes : bytes.subarray(this.at);
    this.at = length;
    this.pieces.push(rest);
    this.pendingBytes = rest.length;
    this.edge = edgeOf(rest, 'atLine');
    this.checkPending();
    return false;
  }

  private ended(to: number): true {
    this.to = to;
    this.at = to;
    if (this.named && this.kind !== null) this.kind = 'error';
    return true;
  }

  private line(from: number, to: number): void {
    const { bytes } = this;
    // "data:", which is nearly all there is.
    if (
      bytes[from + 4] === colon &&
      bytes[from] === 0x64 &&
      bytes[from + 1] === 0x61 &&
      bytes[from + 2] === 0x74 &&
      bytes[from + 3] === 0x61
    ) {
      this.data(bytes[from + 5] === 0x20 ? from + 6 : from + 5, to);
      return;
    }
    const line = bytes.toString('latin1', from, to);
    const found = line.indexOf(':');
    const field = found < 0 ? line : line.slice(0, found);
    const valueFrom = found < 0 ? to : from + found + (line[found + 1] === ' ' ? 2 : 1);
    if (field === 'error' || (field === 'event' && bytes.toString('latin1', valueFrom, to) === 'error')) this.named = true;
    if (field === 'data' || field === 'error') this.data(valueFrom, to);
  }

  private data(from: number, to: number): void {
    if (this.kind === null) {
      this.kind = 'data';
      this.dataFrom = Math.min(from, to);
      this.dataTo = to;
      return;
    }
    this.lines ??= [this.bytes.toString('utf8', this.dataFrom, this.dataTo)];
    this.lines.push(this.bytes.toString('utf8', Math.min(from, to), to));
  }

  /** A blank line ends within the block, or with its beginning. */
  private endsIn(block: Buffer): boolean {
    const [first, second] = block;
    if (this.edge === 'atCarriageReturn' && first === newline) return true;
    if (this.edge === 'atLine' && (first === newline || (first === carriageReturn && second === newline))) return true;
    for (let end = block.indexOf(newline); end >= 0; end = block.indexOf(newline, end + 1)) {
      if (block[end + 1] === newline || (block[end + 1] === carriageReturn && block[end + 2] === newline)) return true;
    }
    this.edge = edgeOf(block, this.edge);
    return false;
  }

  private checkPending(): void {
    if (this.pendingBytes <= longestEventBytes) return;
    this.fault ??= broken('an event of the upstream is longer than 1 MiB').fault;
    this.pieces.length = 0;
    this.pendingBytes = 0;
  }
}

/** `before`: the edge that the block began at. */
function edgeOf(block: Buffer, before: Edge): Edge {
  const last = block.at(-1);
  if (last === undefined) return before;
  if (last === newline) return 'atLine';
  const begun = block.length > 1 ? block.at(-2) === newline : before === 'atLine';
  return last === carriageReturn && begun ? 'atCarriageReturn' : 'inLine';
}
