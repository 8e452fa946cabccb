// A candidate that only fails is taken out at the gateway; one whose servers are away is not blamed for it.
import { describe, expect, it } from 'vitest';
import { Breaker, breakerLimit } from './breaker.js';

function fail(breaker: Breaker, times = breakerLimit): void {
  for (let n = 0; n < times; n += 1) breaker.failed();
}

describe('a breaker', () => {
  it('opens at twenty failures in a row, and stays open until another rollout', () => {
    const breaker = new Breaker();
    breaker.watch('r1');
    fail(breaker, breakerLimit - 1);
    breaker.succeeded();
    fail(breaker, breakerLimit - 1);
    expect(breaker.open).toBe(false);
    breaker.failed();
    expect(breaker.open).toBe(true);
    breaker.succeeded();
    breaker.watch('r1');
    expect(breaker.open).toBe(true);
    breaker.watch('r2');
    expect(breaker.open).toBe(false);
  });

  it('opens for a candidate that is slow, says so, and stays open until another rollout', () => {
    const breaker = new Breaker();
    breaker.watch('r1');
    const { firstTokens } = breaker;
    breaker.slow(1_500);
    breaker.succeeded();
    breaker.outage(true);
    breaker.outage(false);
    expect(breaker.open).toBe(true);
    expect(breaker.reason).toContain('no first token after 1.5 s');
    breaker.watch('r2');
    expect(breaker.open).toBe(false);
    expect(breaker.firstTokens).not.toBe(firstTokens);
  });

  it('forgives what failed by an outage, before it was noticed and after', () => {
    const breaker = new Breaker();
    fail(breaker);
    breaker.outage(true);
    expect(breaker.open).toBe(false);
    fail(breaker);
    expect(breaker.open).toBe(false);
    breaker.outage(false);
    fail(breaker, breakerLimit - 1);
    expect(breaker.open).toBe(false);
    breaker.failed();
    expect(breaker.open).toBe(true);
  });

  it('does not forgive a fourth outage of one rollout: what fells its servers is no accident', () => {
    const breaker = new Breaker();
    breaker.watch('r1');
    for (let outage = 0; outage < 3; outage += 1) {
      fail(breaker);
      breaker.outage(true);
      breaker.outage(false);
      expect(breaker.open).toBe(false);
    }
    fail(breaker);
    breaker.outage(true);
    expect(breaker.open).toBe(true);
    breaker.watch('r2');
    fail(breaker);
    breaker.outage(true);
    expect(breaker.open).toBe(false);
  });
});
