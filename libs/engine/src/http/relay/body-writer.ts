// Puts an upstream's body together from pieces of the client's bytes and fields of our own. Neighbours that stay are copied as one piece.
import type { ScannedBody } from '#libs/openai';

/** A text, then bytes of the client's from..to. */
interface Piece {
  readonly text: string;
  readonly from: number;
  to: number;
}

/** Followed by no place. */
const none = -2;

export class BodyWriter {
  private readonly pieces: Piece[] = [];
  private kept = 0;
  private last: Piece | null = null;
  private lastKept = none;

  constructor(private readonly body: ScannedBody) {}

  /** The member of this place in the body stays as it is. In rising order. */
  keep(index: number): void {
    const member = this.body.members[index];
    if (member === undefined) throw new Error(`the body has no member ${index}`);
    if (this.last !== null && index === this.lastKept + 1) this.last.to = member.valueTo;
    else this.add({ text: '', from: member.at, to: member.valueTo });
    this.lastKept = index;
    this.kept += 1;
  }

  /** A field of ours, or several: `"name":value` as JSON. */
  put(fields: string): void {
    this.add({ text: fields, from: 0, to: 0 });
    this.lastKept = none;
  }

  /** A field whose value begins with our text and goes on with the client's bytes. */
  putBefore(text: string, from: number, to: number): void {
    this.add({ text, from, to });
    this.lastKept = none;
  }

  /** The very bytes of the client where everything stays. */
  bytes(): Buffer {
    const { bytes, members } = this.body;
    if (this.pieces.length === 1 && this.kept === members.length) return bytes;
    let most = 2;
    // No UTF-16 unit takes more than three bytes of UTF-8.
    for (const { text, from, to } of this.pieces) most += text.length * 3 + (to - from) + 1;
    const out = Buffer.allocUnsafe(most);
    let at = out.write('{', 0, 'latin1');
    for (const [index, { text, from, to }] of this.pieces.entries()) {
      if (index > 0) at += out.write(',', at, 'latin1');
      if (text !== '') at += out.write(text, at, 'utf8');
      if (to > from) at += bytes.copy(out, at, from, to);
    }
    at += out.write('}', at, 'latin1');
    return out.subarray(0, at);
  }

  private add(piece: Piece): void {
    this.pieces.push(piece);
    this.last = piece;
  }
}
