// What one tenant has queued in one class, first in, first out.
import type { Ask } from './ask.js';

/** One queued item. Links and places belong to the line and the heap that hold it. */
export interface Entry<T> {
  readonly item: T;
  readonly ask: Ask;
  /** Input and expected output over all choices, as estimated when it came: what it counts for everywhere. */
  readonly tokens: number;
  /** Of `tokens`. */
  readonly outputTokens: number;
  readonly offeredAtMs: number;
  readonly latestStartMs: number;
  heapIndex: number;
  line: TenantLine<T> | null;
  previous: Entry<T> | null;
  next: Entry<T> | null;
}

/** A doubly linked list: joining, leaving from either end and cancelling in the middle cost the same. */
export class TenantLine<T> {
  head: Entry<T> | null = null;
  tail: Entry<T> | null = null;
  items = 0;
  sequences = 0;
  tokens = 0;
  outputTokens = 0;
  /** Tokens that the tenant may still be served in this turn. */
  deficit = 0;

  constructor(
    readonly tenant: string,
    readonly weight: number,
  ) {}

  push(entry: Entry<T>): void {
    entry.line = this;
    entry.previous = this.tail;
    if (this.tail) this.tail.next = entry;
    else this.head = entry;
    this.tail = entry;
    this.count(entry, 1);
  }

  remove(entry: Entry<T>): void {
    if (entry.previous) entry.previous.next = entry.next;
    else this.head = entry.next;
    if (entry.next) entry.next.previous = entry.previous;
    else this.tail = entry.previous;
    entry.line = entry.previous = entry.next = null;
    this.count(entry, -1);
  }

  private count(entry: Entry<T>, sign: 1 | -1): void {
    this.items += sign;
    this.sequences += sign * (entry.ask.choices ?? 1);
    this.tokens += sign * entry.tokens;
    this.outputTokens += sign * entry.outputTokens;
  }
}
