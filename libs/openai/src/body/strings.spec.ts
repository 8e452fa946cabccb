import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { beginningOf, closingQuote } from './strings.js';

/** Characters of one to six bytes, as they may be spelt. */
const spelt = fc.array(
  fc.constantFrom('a', ' ', '{', 'é', '中', '😀', '\\n', '\\"', '\\\\', '\\/', '\\u0041', '\\u005c', '\\ud83d\\ude00', '\\ud800'),
  { maxLength: 120 },
);
const long = fc.tuple(spelt, fc.nat({ max: 60 })).map(([parts, dull]) => parts.join('') + 'x'.repeat(dull) + parts.join(''));
const text = fc.oneof(
  spelt.map((parts) => parts.join('')),
  long,
);

describe('a string of a body', () => {
  it('ends where JSON.parse says that it does, whatever it escapes', () => {
    fc.assert(
      fc.property(text, fc.constantFrom('', '"', ',"content":"\\""'), (inside, behind) => {
        const bytes = Buffer.from(`{"a":"${inside}"${behind}`);
        expect(closingQuote(bytes, 6)).toBe(6 + Buffer.byteLength(inside));
      }),
      { numRuns: 2_000 },
    );
  });

  it('begins with the characters that JSON.parse finds, cut neither within one nor within an escape', () => {
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 300 }), (inside, units) => {
        const bytes = Buffer.from(`"${inside}"`);
        const whole = JSON.parse(bytes.toString()) as string;
        const beginning = beginningOf(bytes, 1, bytes.length - 1, units);
        expect(whole.startsWith(beginning)).toBe(true);
        expect(beginning.length).toBeGreaterThanOrEqual(Math.min(units, whole.length));
      }),
      { numRuns: 4_000 },
    );
  });

  it('that has no end is nothing to guess about', () => {
    for (const open of ['', 'abc', 'a\\"', 'x'.repeat(100), '\\"'.repeat(100)]) {
      expect(() => closingQuote(Buffer.from(`"${open}`), 1)).toThrow(/no end/);
    }
  });
});
