import { beforeEach, describe, expect, it } from 'vitest';
import { HandClock } from '../../../../test/support/hand-clock.js';
import { Deadlines, type Watched } from './deadlines.js';

const limits = { firstTokenMs: 1_000, totalMs: 10_000 };

describe('a watched request', () => {
  let clock: HandClock;
  let watch: Watched;
  let calls: number;

  beforeEach(() => {
    clock = new HandClock();
    calls = 0;
    watch = new Deadlines(clock, { ...limits, betweenTokensMs: 500 }).watch(limits, () => {
      calls += 1;
    });
  });

  async function passed(ms: number): Promise<void> {
    for (const until = clock.time + ms; clock.time < until; ) await clock.pass(100);
  }

  it('is given up when its first token does not come, once', async () => {
    await passed(900);
    expect(calls).toBe(0);
    await passed(9_900);
    expect([calls, watch.expired]).toEqual([1, 'timeoutFirstToken']);
  });

  it('is given up when it falls silent after a token', async () => {
    await passed(900);
    watch.token();
    await passed(400);
    expect(calls).toBe(0);
    await passed(200);
    expect([calls, watch.expired]).toEqual([1, 'timeoutBetweenTokens']);
  });

  it('is given up when all of it takes too long, however steadily it comes', async () => {
    for (let steps = 0; steps < 99; steps += 1) {
      await passed(100);
      watch.token();
    }
    expect(calls).toBe(0);
    await passed(200);
    expect([calls, watch.expired]).toEqual([1, 'timeoutTotal']);
  });

  it('owes no token while its client does not read, and again when it does', async () => {
    watch.pause();
    await passed(5_000);
    expect(calls).toBe(0);
    watch.token();
    await passed(600);
    expect([calls, watch.expired]).toEqual([1, 'timeoutBetweenTokens']);
  });

  it('is not given up any more when it is over, whatever still comes', async () => {
    watch.done();
    watch.token();
    watch.pause();
    await passed(9_900);
    expect([calls, watch.expired]).toEqual([0, null]);
  });

  it('leaves no timer behind when it is over', async () => {
    watch.done();
    await passed(300);
    const { sleeps } = clock;
    await passed(1_000);
    expect(clock.sleeps).toBe(sleeps);
  });
});
