import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mostAttempts, retryAfterMs, retryDelayMs } from './retry-schedule.js';

const hourMs = 3_600_000;
const rng = (value: number) => ({ uniform: () => value, bytes: (size: number) => new Uint8Array(size) });

function totalMs(uniform: number): number {
  let total = 0;
  for (let attempt = 1; attempt < mostAttempts; attempt += 1) total += retryDelayMs(attempt, rng(uniform)) ?? Number.NaN;
  return total;
}

describe('the retry schedule', () => {
  it('outlasts a receiver that is away for 72 hours, and ends', () => {
    expect(totalMs(0)).toBeGreaterThan(72 * hourMs);
    expect(totalMs(0.999)).toBeLessThan(96 * hourMs);
    expect(retryDelayMs(mostAttempts, rng(0.5))).toBeNull();
    expect(retryDelayMs(mostAttempts + 1, rng(0.5))).toBeNull();
  });

  it('begins within about a second and never gets shorter', () => {
    expect(retryDelayMs(1, rng(0))).toBe(1_000);
    expect(retryDelayMs(1, rng(0.999))).toBeLessThanOrEqual(1_200);
    for (let attempt = 2; attempt < mostAttempts; attempt += 1) {
      expect(retryDelayMs(attempt, rng(0))).toBeGreaterThan(retryDelayMs(attempt - 1, rng(0.999)) ?? 0);
    }
  });

  it('adds at most a fifth by jitter', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: mostAttempts - 1 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (attempt, uniform) => {
          const base = retryDelayMs(attempt, rng(0)) ?? 0;
          const delay = retryDelayMs(attempt, rng(uniform)) ?? 0;
          expect(delay).toBeGreaterThanOrEqual(base);
          expect(delay).toBeLessThanOrEqual(Math.round(base * 1.2));
        },
      ),
    );
  });

  it('waits longer when the receiver asks, six hours at most, and never shorter', () => {
    expect(retryDelayMs(1, rng(0), 30_000)).toBe(30_000);
    expect(retryDelayMs(1, rng(0), 1_000 * hourMs)).toBe(6 * hourMs);
    expect(retryDelayMs(4, rng(0), 1)).toBe(120_000);
    expect(retryDelayMs(1, rng(0), -5)).toBe(1_000);
  });
});

describe('Retry-After', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  it.each<[string | undefined, number | null]>([
    [undefined, null],
    ['7', 7_000],
    ['0', 0],
    ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    ['soon', null],
    ['9'.repeat(30), null],
  ])('%j is %j ms', (header, expected) => {
    expect(retryAfterMs(header, now)).toBe(expected);
  });
});
