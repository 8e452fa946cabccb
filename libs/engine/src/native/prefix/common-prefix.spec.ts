// Whole blocks or token by token, the answer is the same.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { commonPrefix } from './common-prefix.js';

it('finds the first difference wherever it is, and none beyond the limit', () => {
  fc.assert(
    fc.property(fc.nat(5000), fc.nat(5000), fc.nat(3), (difference, limit, offset) => {
      const a = new Int32Array(5001 + offset).subarray(offset).fill(7);
      const b = Int32Array.from(a);
      b[difference] = -7;
      expect(commonPrefix(a, b, limit)).toBe(Math.min(difference, limit));
    }),
  );
});
