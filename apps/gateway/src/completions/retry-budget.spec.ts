import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RetryBudget } from './retry-budget.js';

describe('a retry budget', () => {
  it('lets a candidate fail until its breaker opens, whatever the traffic', () => {
    const budget = new RetryBudget();
    const granted = Array.from({ length: 30 }, () => budget.retry(5_000)).filter(Boolean).length;
    expect(granted).toBe(20);
  });

  it('has its floor back when ten seconds have passed', () => {
    const budget = new RetryBudget();
    for (let i = 0; i < 30; i += 1) budget.retry(1_000);
    expect(budget.retry(10_999)).toBe(false);
    expect(budget.retry(11_000)).toBe(true);
  });

  it('never grants more in ten seconds than a tenth of their requests and the floor', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ stepMs: fc.integer({ min: 0, max: 3_000 }), retry: fc.boolean() }), { maxLength: 400 }), (steps) => {
        const budget = new RetryBudget();
        const events: { second: number; retry: boolean }[] = [];
        let nowMs = 0;
        for (const { stepMs, retry } of steps) {
          nowMs += stepMs;
          const second = Math.floor(nowMs / 1_000);
          if (!retry) budget.request(nowMs);
          const granted = retry && budget.retry(nowMs);
          if (!retry || granted) events.push({ second, retry });
          if (!granted) continue;
          const last = events.filter((event) => event.second > second - 10);
          const retries = last.filter((event) => event.retry).length;
          expect(retries).toBeLessThanOrEqual(20 + 0.1 * (last.length - retries));
        }
      }),
    );
  });
});
