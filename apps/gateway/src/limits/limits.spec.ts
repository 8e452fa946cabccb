// The limits of a key: never more than promised, never less than was given back.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type KeyLimits, unlimited } from '#libs/contract';
import type { KnownKey } from '../routing/snapshot.js';
import { estimateOf } from './estimate.js';
import { type Entry, Limits } from './limits.js';
import { durationText } from './rate-headers.js';

const minuteMs = 60_000;
const keyWith = (limits: Partial<KeyLimits> | null): KnownKey => ({
  name: 'ci',
  scopes: [],
  expiresAt: null,
  limits: limits && { ...unlimited, ...limits },
});
const limitsFor = (gateways = 1, defaults: KeyLimits = unlimited): Limits => {
  const limits = new Limits(defaults);
  limits.follow({ gateways, keys: {} }, (hash) => hash);
  return limits;
};
const enter = (limits: Limits, key: KnownKey, nowMs: number): Entry => {
  const entered = limits.enter('k', key, nowMs);
  if (!entered.ok) throw new Error(entered.error.message);
  return entered.value;
};
const header = (entry: Entry, name: string, nowMs: number): string | undefined =>
  entry.headers(nowMs).find(([one]) => one === `x-ratelimit-${name}`)?.[1];

describe('requests per minute', () => {
  it('never exceed the limit in any span, beside one burst of a minute', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 500 }),
        fc.array(fc.nat({ max: 3_000 }), { minLength: 1, maxLength: 400 }),
        (perMinute, gaps) => {
          const limits = limitsFor();
          const key = keyWith({ requestsPerMinute: perMinute });
          const admittedAt: number[] = [];
          let now = 0;
          for (const gap of gaps) {
            now += gap;
            for (let i = 0; i < 3; i += 1) if (limits.enter('k', key, now).ok) admittedAt.push(now);
          }
          for (const [i, from] of admittedAt.entries()) {
            for (let j = i; j < admittedAt.length; j += 1) {
              const spanMs = (admittedAt[j] ?? 0) - from;
              expect(j - i + 1).toBeLessThanOrEqual(perMinute + (perMinute * spanMs) / minuteMs + 1e-6);
            }
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('are granted again when Retry-After has passed, and not a second before a whole one', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000 }), fc.integer({ min: 1, max: 7 }), (perMinute, gateways) => {
        const limits = limitsFor(gateways);
        const key = keyWith({ requestsPerMinute: perMinute });
        let refused = limits.enter('k', key, 1_000);
        while (refused.ok) refused = limits.enter('k', key, 1_000);
        const waitS = refused.error.retryAfterS ?? 0;
        expect(refused.error).toMatchObject({ status: 429, code: 'rate_limit_exceeded' });
        if (waitS > 1) expect(limits.enter('k', key, 1_000 + (waitS - 1) * 1_000).ok).toBe(false);
        expect(limits.enter('k', key, 1_000 + waitS * 1_000).ok).toBe(true);
      }),
    );
  });

  it('are shared by the gateways, and each grants at least one', () => {
    const granted = (gateways: number): number => {
      const limits = limitsFor(gateways);
      let count = 0;
      while (limits.enter('k', keyWith({ requestsPerMinute: 60 }), 5).ok) count += 1;
      return count;
    };
    expect([1, 3, 60, 600].map(granted)).toEqual([60, 20, 1, 1]);
  });
});

describe('tokens per minute', () => {
  const key = keyWith({ tokensPerMinute: 1_000 });
  const estimate = { promptTokens: 300, outputTokens: 300 };

  it('are held by the estimate and settled by what was spent', () => {
    const limits = limitsFor();
    const first = enter(limits, key, 0);
    expect(first.reserve(estimate, 0)).toBeNull();
    expect(header(first, 'remaining-tokens', 0)).toBe('400');
    const second = enter(limits, key, 0);
    expect(second.reserve(estimate, 0)).toMatchObject({ code: 'rate_limit_exceeded', retryAfterS: 12 });
    first.settle({ inputTokens: 90, outputTokens: 10 }, 0);
    expect(header(first, 'remaining-tokens', 0)).toBe('900');
    expect(second.reserve(estimate, 0)).toBeNull();
  });

  it('come back whole when nothing was spent, and a cut stream pays for its prompt and what came', () => {
    const limits = limitsFor();
    const failed = enter(limits, key, 0);
    failed.reserve(estimate, 0);
    failed.leave();
    const cut = enter(limits, key, 0);
    expect(header(cut, 'remaining-tokens', 0)).toBe('1000');
    cut.reserve(estimate, 0);
    cut.settle({ inputTokens: null, outputTokens: 7 }, 0);
    cut.leave();
    expect(header(enter(limits, key, 0), 'remaining-tokens', 0)).toBe('693');
  });

  it('spent beyond the estimate are a debt that later requests wait for', () => {
    const limits = limitsFor();
    const long = enter(limits, key, 0);
    long.reserve(estimate, 0);
    long.settle({ inputTokens: 300, outputTokens: 2_200 }, 0);
    long.leave();
    const next = enter(limits, key, 0);
    expect(next.reserve({ promptTokens: 10, outputTokens: 90 }, 0)).toMatchObject({ retryAfterS: 96 });
    expect(next.reserve({ promptTokens: 10, outputTokens: 90 }, 96_000)).toBeNull();
  });

  it('of a request larger than the limit wait until nothing else is open, not for ever', () => {
    const limits = limitsFor();
    const small = enter(limits, key, 0);
    small.reserve({ promptTokens: 1, outputTokens: 0 }, 0);
    const huge = enter(limits, key, 0);
    expect(huge.reserve({ promptTokens: 50_000, outputTokens: 0 }, 0)).not.toBeNull();
    small.leave();
    expect(huge.reserve({ promptTokens: 50_000, outputTokens: 0 }, 0)).toBeNull();
  });

  it('are never overspent in any span while estimates are bounds', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(fc.nat({ max: 5_000 }), fc.integer({ min: 1, max: 700 }), fc.double({ min: 0, max: 1, noNaN: true }), fc.boolean()),
          { maxLength: 120 },
        ),
        (steps) => {
          const limits = limitsFor();
          const open: { entry: Entry; tokens: number; share: number }[] = [];
          const spent: { at: number; tokens: number }[] = [];
          let now = 0;
          for (const [gap, tokens, share, close] of steps) {
            now += gap;
            const entry = enter(limits, key, now);
            if (entry.reserve({ promptTokens: tokens, outputTokens: 0 }, now) === null) open.push({ entry, tokens, share });
            else entry.leave();
            const done = close ? open.shift() : undefined;
            if (!done) continue;
            const used = Math.floor(done.tokens * done.share);
            done.entry.settle({ inputTokens: used, outputTokens: 0 }, now);
            done.entry.leave();
            spent.push({ at: now, tokens: used });
          }
          for (const [i, from] of spent.entries()) {
            let sum = 0;
            for (const one of spent.slice(i)) {
              sum += one.tokens;
              expect(sum).toBeLessThanOrEqual(1_000 + (1_000 * (one.at - from.at)) / minuteMs + 1e-6);
            }
          }
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe('concurrent requests', () => {
  it('are as many as the limit, and a place is given back once however often it is left', () => {
    const limits = limitsFor();
    const key = keyWith({ concurrentRequests: 2 });
    const [first] = [enter(limits, key, 0), enter(limits, key, 0)];
    expect(limits.enter('k', key, 0)).toMatchObject({ ok: false, error: { code: 'rate_limit_exceeded', retryAfterS: 1 } });
    first?.leave();
    first?.leave();
    expect(limits.enter('k', key, 0).ok).toBe(true);
    expect(limits.enter('k', key, 0).ok).toBe(false);
  });
});

describe('a meter', () => {
  it('is exactly empty again after a million random entries, settlements and departures', () => {
    const limits = limitsFor();
    const key = keyWith({ requestsPerMinute: 1_000_000, tokensPerMinute: 1_000_000, concurrentRequests: 100 });
    let seed = 42;
    const random = (): number => {
      seed = (seed * 1_664_525 + 1_013_904_223) >>> 0;
      return seed / 2 ** 32;
    };
    const open: Entry[] = [];
    let now = 0;
    for (let i = 0; i < 1_000_000; i += 1) {
      now += random() * 2;
      const dice = random();
      if (dice < 0.5 || open.length === 0) {
        const entered = limits.enter('k', key, now);
        if (!entered.ok) continue;
        entered.value.reserve({ promptTokens: Math.floor(random() * 50), outputTokens: random() * 50 }, now);
        open.push(entered.value);
      } else {
        const entry = open.splice(Math.floor(random() * open.length), 1)[0];
        if (dice < 0.8) entry?.settle({ inputTokens: dice < 0.6 ? null : 3, outputTokens: Math.floor(random() * 60) }, now);
        entry?.leave();
        if (dice > 0.9) entry?.leave();
      }
    }
    for (const entry of open) entry.leave();
    now += 2 * minuteMs;
    const whole = enter(limits, keyWith({ tokensPerMinute: 1_000_000, concurrentRequests: 100 }), now);
    expect(header(whole, 'remaining-tokens', now)).toBe('1000000');
    for (let i = 1; i < 100; i += 1) expect(limits.enter('k', key, now).ok).toBe(true);
    expect(limits.enter('k', key, now).ok).toBe(false);
  });

  it('of a key that is gone is forgotten', () => {
    const limits = limitsFor();
    const key = keyWith({ requestsPerMinute: 1 });
    enter(limits, key, 0);
    expect(limits.enter('k', key, 0).ok).toBe(false);
    limits.follow({ gateways: 1, keys: { k: key } }, (hash) => hash);
    expect(limits.enter('k', key, 0).ok).toBe(false);
    limits.follow({ gateways: 1, keys: {} }, (hash) => hash);
    expect(limits.enter('k', key, 0).ok).toBe(true);
  });

  it('counts by the defaults for a key without limits, and not at all without either', () => {
    const byDefault = limitsFor(1, { ...unlimited, requestsPerMinute: 1 });
    enter(byDefault, keyWith(null), 0);
    expect(byDefault.enter('k', keyWith(null), 0).ok).toBe(false);
    expect(enter(byDefault, keyWith({}), 0).headers(0)).toEqual([]);
  });
});

describe('an estimate', () => {
  it.each([
    [{ max_tokens: 50 }, 50],
    [{ max_completion_tokens: 20, max_tokens: 50, n: 3 }, 60],
    [{ max_output_tokens: 9 }, 9],
    [{}, 1_024],
    [{ max_tokens: 'many', n: -1 }, 1_024],
  ])('of %j is a quarter of the bytes and the bound of the answer', (body, outputTokens) => {
    expect(estimateOf(401, (name) => (body as Record<string, unknown>)[name], 1_024)).toEqual({ promptTokens: 101, outputTokens });
  });

  it('of what generates nothing is its text', () => {
    expect(estimateOf(400, () => 50, 0)).toEqual({ promptTokens: 100, outputTokens: 0 });
  });
});

it.each([
  [0, '0s'],
  [0.2, '1ms'],
  [120, '120ms'],
  [8_640, '8.64s'],
  [360_000, '6m0s'],
  [3_602_000, '1h0m2s'],
])('%d ms is told as %s', (ms, text) => {
  expect(durationText(ms)).toBe(text);
});
