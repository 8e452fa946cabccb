// A copy of an answer while it is on its way to the client, as long as it is small enough to be kept.
import { largestAnswerBytes, type StoredAnswer } from './response-cache.js';

export class Recording {
  private kind: StoredAnswer['kind'] = 'whole';
  private pieces: Buffer[] | null = [];
  private size = 0;

  begin(kind: StoredAnswer['kind']): void {
    this.kind = kind;
  }

  /** Copied: the bytes may be a part of a buffer that lives on and changes. */
  take(bytes: Buffer): void {
    this.size += bytes.length;
    if (this.size > largestAnswerBytes) this.pieces = null;
    this.pieces?.push(Buffer.from(bytes));
  }

  /** Null: too large, or nothing came. Call when the answer is whole. */
  answer(): StoredAnswer | null {
    if (this.pieces === null || this.size === 0) return null;
    return { kind: this.kind, body: Buffer.concat(this.pieces, this.size) };
  }
}
