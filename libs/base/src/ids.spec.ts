import { describe, expect, it } from 'vitest';
import { systemRng } from './ids.js';

describe('the random bytes of this process', () => {
  it('are of the size that was asked for, and never the same twice', () => {
    const seen = new Set<string>();
    for (let i = 0; i < 2_000; i += 1) {
      const bytes = systemRng.bytes(16);
      expect(bytes.length).toBe(16);
      seen.add(Buffer.from(bytes).toString('hex'));
    }
    expect(seen.size).toBe(2_000);
    expect([0, 1, 64, 65, 10_000].map((size) => systemRng.bytes(size).length)).toEqual([0, 1, 64, 65, 10_000]);
  });

  it('are the callers own: what is written to them changes no later ones', () => {
    const mine = systemRng.bytes(32);
    mine.fill(7);
    expect(systemRng.bytes(32).every((byte) => byte === 7)).toBe(false);
  });

  it('make numbers from 0 up to 1, spread evenly', () => {
    const numbers = Array.from({ length: 20_000 }, () => systemRng.uniform());
    expect(numbers.every((one) => one >= 0 && one < 1)).toBe(true);
    const quarters = [0, 0, 0, 0];
    for (const one of numbers) quarters[Math.floor(one * 4)] = (quarters[Math.floor(one * 4)] ?? 0) + 1;
    // Six standard deviations of a quarter of 20,000.
    for (const count of quarters) expect(Math.abs(count - 5_000)).toBeLessThan(368);
  });
});
