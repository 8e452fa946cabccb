// Answers that somebody wants to read after the client has: a sampled few, in memory alone, within a bound, and no longer than they are read.
import type { AnswerTap } from '../relay/client.js';
import { answerText } from './answer-text.js';

/** Of one answer as it was sent: some 2,000 tokens of a stream. */
const mostBytesEach = 524_288;
/** Of all together. */
const mostBytes = 16_777_216;

export class KeptAnswers {
  private bytes = 0;

  /** Bytes that are kept now. */
  get size(): number {
    return this.bytes;
  }

  keep(): KeptAnswer {
    return new KeptAnswer((more) => {
      if (this.bytes + more > mostBytes) return false;
      this.bytes += more;
      return true;
    });
  }
}

/** One answer as its client gets it. Whoever has it drops it. */
export class KeptAnswer implements AnswerTap {
  private kind: 'whole' | 'stream' = 'whole';
  private pieces: Buffer[] | null = [];
  private bytes = 0;

  /** `reserve`: false when there is no room; below 0 gives back. */
  constructor(private readonly reserve: (bytes: number) => boolean) {}

  /** It was larger than there was room for. */
  get lost(): boolean {
    return this.pieces === null;
  }

  begin(kind: 'whole' | 'stream'): void {
    this.kind = kind;
  }

  take(bytes: Buffer): void {
    if (this.pieces === null) return;
    if (this.bytes + bytes.length > mostBytesEach || !this.reserve(bytes.length)) return this.drop();
    this.bytes += bytes.length;
    // A copy: what came from an upstream is a part of something larger.
    this.pieces.push(Buffer.from(bytes));
  }

  /** Null: it is no one text, or was not kept whole. */
  text(): string | null {
    return this.pieces === null ? null : answerText(this.kind, Buffer.concat(this.pieces));
  }

  drop(): void {
    if (this.bytes > 0) this.reserve(-this.bytes);
    this.bytes = 0;
    this.pieces = null;
  }
}

/** Null where nobody listens. */
export function bothTaps(one: AnswerTap | null, other: AnswerTap | null): AnswerTap | null {
  if (one === null || other === null) return one ?? other;
  return {
    begin: (kind) => {
      one.begin(kind);
      other.begin(kind);
    },
    take: (bytes) => {
      one.take(bytes);
      other.take(bytes);
    },
  };
}
