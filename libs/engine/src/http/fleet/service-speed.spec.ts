// What is learned from whole answers, and what is promised by it.
import { describe, expect, it } from 'vitest';
import { uniforms } from '../../../../../test/support/random.js';
import { grainOf, ServiceSpeed } from './service-speed.js';

const work = (sequences: number, tokens: number) => ({ sequences, inputTokens: tokens, outputTokens: 0 });

/** After 300 answers of 50 ms and 2 ms per token. */
function taught(): ServiceSpeed {
  const speed = new ServiceSpeed();
  const uniform = uniforms(3);
  for (let n = 0; n < 300; n += 1) {
    const tokens = 10 + Math.floor(500 * uniform());
    speed.observe(tokens, 50 + 2 * tokens);
  }
  return speed;
}

const near = (value: number, wanted: number): void => {
  expect(value).toBeGreaterThan(0.9 * wanted);
  expect(value).toBeLessThan(1.1 * wanted);
};

describe('the duration of a request', () => {
  it('is a fixed part and one per token, as measured', () => {
    for (const tokens of [20, 100, 500]) near(taught().requestMs(tokens), 50 + 2 * tokens);
  });

  it('follows an upstream that becomes slower', () => {
    const speed = taught();
    for (let n = 0; n < 400; n += 1) speed.observe(100 + n, 3 * (50 + 2 * (100 + n)));
    near(speed.requestMs(300), 3 * 650);
  });

  it('is known where all requests are of one size', () => {
    const speed = new ServiceSpeed();
    for (let n = 0; n < 100; n += 1) speed.observe(100, 80);
    near(speed.requestMs(100), 80);
  });

  it('is taught by one that was cancelled only when that took longer already', () => {
    const speed = taught();
    const before = speed.requestMs(100);
    for (let n = 0; n < 50; n += 1) speed.observeAtLeast(100, 10);
    expect(speed.requestMs(100)).toBe(before);
    for (let n = 0; n < 200; n += 1) speed.observeAtLeast(100, 1_000);
    expect(speed.requestMs(100)).toBeGreaterThan(2 * before);
  });

  it('is not taught by nothing', () => {
    const speed = taught();
    const before = speed.requestMs(100);
    speed.observe(100, 0);
    speed.observe(100, -5);
    expect(speed.requestMs(100)).toBe(before);
  });
});

describe('the wait', () => {
  it('is none with a free place', () => {
    expect(taught().waitMs(work(0, 0), { slots: 4, running: [work(1, 100)] })).toBe(0);
  });

  it('is the least that is left of those that run, then a turn for each that waits, over all places', () => {
    const speed = taught();
    const running = [0, 50, 100, 200].map((ageMs) => speed.left(100, ageMs, 1));
    near(speed.waitMs(work(0, 0), { slots: 4, running }), 50);
    // Forty of 250 ms on four places.
    const wait = speed.waitMs(work(40, 4_000), { slots: 4, running });
    expect(wait).toBeGreaterThan(0.85 * 2_500);
    expect(wait).toBeLessThan(1.15 * 2_650);
  });

  it('of many places is that of as many taken together', () => {
    const speed = taught();
    const slots = 1_024;
    const grain = grainOf(slots);
    const together = Array.from({ length: slots / grain }, () => speed.left(100, 0, grain));
    const wait = speed.waitMs(work(2_048, 204_800), { slots, running: together });
    // Three rounds, for two of those that wait and the one that runs; as a flow and not in lockstep a little less.
    expect(wait).toBeGreaterThan(0.8 * 750);
    expect(wait).toBeLessThan(1.1 * 750);
  });

  it('and the own duration make the finish', () => {
    const speed = taught();
    const { waitMs, finishMs } = speed.predict(work(0, 0), { slots: 1, running: [] }, work(1, 100));
    expect(waitMs).toBe(0);
    near(finishMs, 250);
  });

  it('never counts on less than a tenth of an answer that takes longer than expected', () => {
    const speed = taught();
    expect(speed.left(100, 60_000, 1)).toEqual({ sequences: 0.1, inputTokens: 10, outputTokens: 0 });
  });
});
