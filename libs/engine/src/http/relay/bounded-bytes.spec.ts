import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BoundedBytes } from './bounded-bytes.js';

describe('a body read as one piece', () => {
  it('is what came, up to its bound, however it was cut', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 8 }), fc.nat(80), (pieces, most) => {
        const kept = new BoundedBytes(most);
        let size = 0;
        for (const piece of pieces) {
          size += piece.length;
          expect(kept.take(Buffer.from(piece))).toBe(size <= most || piece.length === 0);
          if (size > most) break;
        }
        expect(kept.bytes()).toEqual(Buffer.concat(pieces).subarray(0, Math.min(size, most)));
      }),
    );
  });

  it('of one piece is that very piece', () => {
    const piece = Buffer.from('whole');
    const kept = new BoundedBytes(10);
    kept.take(piece);
    expect(kept.bytes()).toBe(piece);
  });
});
