// An endpoint falls by how its requests end or by its silence, and comes back by one request at a time.
import { describe, expect, it } from 'vitest';
import { Health } from './health.js';

/** With a middling jitter: exactly the nominal time. */
const eject = (health: Health, nowMs: number): void => health.eject(nowMs, 'its requests fail', 0.5);

describe('requests that fail', () => {
  it('five in a row are enough', () => {
    const health = new Health();
    expect(Array.from({ length: 5 }, (_, n) => health.failed(n))).toEqual([false, false, false, false, true]);
  });

  it('an answer between begins the count anew', () => {
    const health = new Health();
    for (let n = 0; n < 4; n += 1) health.failed(n);
    health.answered(5);
    expect(Array.from({ length: 4 }, (_, n) => health.failed(6 + n))).toEqual([false, false, false, false]);
  });

  it('every second one of twenty within seconds is enough as well', () => {
    const health = new Health();
    const wishes = Array.from({ length: 20 }, (_, n) => {
      if (n % 2 === 0) return health.succeeded(n * 100);
      return health.failed(n * 100);
    });
    expect(wishes.slice(0, 19)).not.toContain(true);
    expect(wishes.at(-1)).toBe(true);
  });

  it('the same over minutes are not', () => {
    const health = new Health();
    for (let n = 0; n < 100; n += 1) {
      health.succeeded(n * 6_000);
      expect(health.failed(n * 6_000 + 3_000)).toBe(false);
    }
  });
});

describe('an ejection', () => {
  it('ends in a trial, and the trial in good standing', () => {
    const health = new Health();
    eject(health, 0);
    health.tick(999);
    expect(health.state).toBe('ejected');
    health.tick(1_000);
    expect(health.state).toBe('trial');
    expect(health.reason).toBe('its requests fail');
    health.answered(1_001);
    expect(health).toMatchObject({ state: 'up', reason: null });
  });

  it('lasts twice as long after each trial that failed, a minute at most, and a second again after a good minute', () => {
    const health = new Health();
    let nowMs = 0;
    const lasted: number[] = [];
    for (let n = 0; n < 8; n += 1) {
      eject(health, nowMs);
      const until = health.ejectedUntilMs ?? 0;
      lasted.push(until - nowMs);
      nowMs = until;
      health.tick(nowMs);
      expect(health.failed(nowMs)).toBe(true);
    }
    expect(lasted).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    health.answered(nowMs);
    health.tick(nowMs + 60_000);
    eject(health, nowMs + 60_000);
    expect((health.ejectedUntilMs ?? 0) - nowMs - 60_000).toBe(1_000);
  });

  it('is not ended by a health page, nor by answers to requests of before', () => {
    const health = new Health();
    eject(health, 0);
    health.probed();
    health.succeeded(10);
    expect(health.state).toBe('ejected');
  });
});

describe('refusals', () => {
  it('five after one another without any answer are no matter of load any more', () => {
    const health = new Health();
    expect(Array.from({ length: 5 }, (_, n) => health.refused(n * 10, n * 10 + 5))).toEqual([false, false, false, false, true]);
  });

  it('a burst is one', () => {
    const health = new Health();
    for (let n = 0; n < 100; n += 1) expect(health.refused(0, 5 + n)).toBe(false);
  });

  it('end a trial', () => {
    const health = new Health();
    eject(health, 0);
    health.tick(1_000);
    expect(health.refused(1_001, 1_002)).toBe(true);
  });
});

describe('a health page', () => {
  it('that is silent twice takes the endpoint down, once where requests fail and the connection is refused', () => {
    const health = new Health();
    health.unanswered('no answer within 2000 ms', false);
    expect(health.state).toBe('up');
    health.unanswered('no answer within 2000 ms', false);
    expect(health).toMatchObject({ state: 'down', reason: 'no answer within 2000 ms' });
    const other = new Health();
    other.failed(0);
    other.unanswered('connection refused', true);
    expect(other.state).toBe('down');
  });

  it('is not counted together over answers between', () => {
    const health = new Health();
    for (let n = 0; n < 10; n += 1) {
      health.unanswered('late', false);
      health.answered(n);
    }
    expect(health.state).toBe('up');
  });

  it('that answers again leads to a trial', () => {
    const health = new Health();
    health.fall('connection refused');
    health.probed();
    expect(health.state).toBe('trial');
    health.answered(1);
    expect(health.state).toBe('up');
  });
});
