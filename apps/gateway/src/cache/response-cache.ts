// Whole answers in memory by what was asked: bounded in bytes, the longest unused goes first, none older than its time.
import type { Clock } from '#libs/base';

export interface CacheSettings {
  /** Of all answers together with what is kept about them. */
  readonly bytes: number;
  /** How long an answer is given again, milliseconds. */
  readonly ttlMs: number;
}

/** An answer of status 200 as the client was sent it. */
export interface StoredAnswer {
  readonly kind: 'whole' | 'stream';
  readonly body: Buffer;
}

interface Entry {
  readonly answer: StoredAnswer;
  readonly bytes: number;
  readonly untilMs: number;
}

export interface CacheCounts {
  readonly answers: number;
  readonly bytes: number;
  /** Pushed out by newer ones. */
  readonly evicted: number;
}

/** Key, map entry, objects. */
const entryBytes = 512;
/** A larger answer is not kept: one must not push out all others, and a replay leaves in one piece, below what a client may let wait. */
export const largestAnswerBytes = 1_000_000;

export class ResponseCache {
  /** In the order of their last use: the first is the longest unused. */
  private readonly entries = new Map<string, Entry>();
  private bytes = 0;
  private evicted = 0;

  constructor(
    private readonly settings: CacheSettings,
    private readonly clock: Clock,
  ) {}

  /** Null: never stored, pushed out, or too old. */
  get(key: string): StoredAnswer | null {
    const entry = this.entries.get(key);
    if (!entry) return null;
    this.entries.delete(key);
    if (entry.untilMs <= this.clock.monotonicMs()) {
      this.bytes -= entry.bytes;
      return null;
    }
    this.entries.set(key, entry);
    return entry.answer;
  }

  /** Uses nothing: the order stays. */
  has(key: string): boolean {
    const entry = this.entries.get(key);
    return entry !== undefined && entry.untilMs > this.clock.monotonicMs();
  }

  put(key: string, answer: StoredAnswer): void {
    const bytes = answer.body.length + entryBytes;
    if (answer.body.length > largestAnswerBytes || bytes > this.settings.bytes) return;
    this.bytes -= this.entries.get(key)?.bytes ?? 0;
    this.entries.delete(key);
    this.entries.set(key, { answer, bytes, untilMs: this.clock.monotonicMs() + this.settings.ttlMs });
    this.bytes += bytes;
    for (const [oldest, entry] of this.entries) {
      if (this.bytes <= this.settings.bytes) return;
      this.entries.delete(oldest);
      this.bytes -= entry.bytes;
      this.evicted += 1;
    }
  }

  read(): CacheCounts {
    const { bytes, evicted } = this;
    return { answers: this.entries.size, bytes, evicted };
  }
}
