import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { unitVector } from './embed.js';

describe('a unit vector', () => {
  it('keeps the direction and has length 1, from the smallest numbers to the largest', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 1, maxLength: 50 }), (vector) => {
        fc.pre(vector.some((part) => Math.abs(part) > 1e-300));
        const unit = unitVector(vector);
        expect(Math.sqrt((unit ?? []).reduce((sum, part) => sum + part ** 2, 0))).toBeCloseTo(1, 9);
        for (const [index, part] of vector.entries()) expect(Math.sign(unit?.[index] ?? 0) * Math.sign(part)).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  it.each([null, [], [0, 0], [1, Number.NaN], [1, Number.POSITIVE_INFINITY], ['1'], 'AAAA', { 0: 1 }])('is not made of %j', (value) => {
    expect(unitVector(value)).toBeNull();
  });
});
