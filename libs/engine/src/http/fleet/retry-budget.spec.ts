// Retries stay a share of the requests, whatever fails.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RetryBudget } from './retry-budget.js';

describe('a retry budget', () => {
  it('lets the first ten failures be tried again', () => {
    const budget = new RetryBudget();
    expect(Array.from({ length: 11 }, () => budget.retry())).toEqual([...Array<boolean>(10).fill(true), false]);
  });

  it('gives one retry for ten requests', () => {
    const budget = new RetryBudget();
    while (budget.retry());
    for (let n = 0; n < 9; n += 1) budget.request();
    expect(budget.retry()).toBe(false);
    budget.request();
    expect(budget.retry()).toBe(true);
    expect(budget.retry()).toBe(false);
  });

  it('when everything fails, a tenth is sent again', () => {
    const budget = new RetryBudget();
    let retries = 0;
    for (let n = 0; n < 10_000; n += 1) {
      budget.request();
      if (budget.retry()) retries += 1;
    }
    expect(retries).toBeGreaterThanOrEqual(1_000);
    expect(retries).toBeLessThanOrEqual(1_010);
  });

  it('never gives more than a tenth of the requests and what was saved', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(400), fc.nat(400)), { maxLength: 50 }), (bursts) => {
        const budget = new RetryBudget();
        let requests = 0;
        let retries = 0;
        for (const [came, failed] of bursts) {
          for (let n = 0; n < came; n += 1) budget.request();
          requests += came;
          let inBurst = 0;
          for (let n = 0; n < failed; n += 1) if (budget.retry()) inBurst += 1;
          retries += inBurst;
          expect(inBurst).toBeLessThanOrEqual(100);
          expect(retries).toBeLessThanOrEqual(requests / 10 + 10 + 1e-6);
        }
      }),
    );
  });
});
