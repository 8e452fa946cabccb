// Slow is who takes three times as long as the others, not who is asked for more than usual.
import { describe, expect, it } from 'vitest';
import { FirstTokens, isOutlier } from './first-tokens.js';

describe('times to the first token', () => {
  it('have a median from five on, of the last sixteen', () => {
    const times = new FirstTokens();
    for (const ms of [10, 20, 30, 1_000]) times.add(ms);
    expect(times.medianMs).toBeNull();
    times.add(40);
    expect(times.medianMs).toBe(30);
    times.add(50);
    expect(times.medianMs).toBe(35);
    for (let n = 0; n < 16; n += 1) times.add(7);
    expect(times.medianMs).toBe(7);
    times.clear();
    expect(times.medianMs).toBeNull();
  });

  it('are out of the ordinary beyond three times the median of the others', () => {
    expect(isOutlier(601, [200, 200, 5_000])).toBe(true);
    expect(isOutlier(600, [200, 200, 5_000])).toBe(false);
    expect(isOutlier(900, [200, 300])).toBe(true);
  });

  it('are not where the difference is small, or too little is known', () => {
    expect(isOutlier(100, [5, 5, 5])).toBe(false);
    expect(isOutlier(106, [5, 5, 5])).toBe(true);
    expect(isOutlier(10_000, [null, null])).toBe(false);
    expect(isOutlier(10_000, [])).toBe(false);
    expect(isOutlier(null, [1, 1])).toBe(false);
  });
});
