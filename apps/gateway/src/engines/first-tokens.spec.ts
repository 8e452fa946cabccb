// A candidate that is slow beside a quick stable is found within twenty requests; a slowness that both share never is.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FirstTokens, lookAfterMs } from './first-tokens.js';

type Arm = 'candidate' | 'stable';
interface Traffic {
  readonly perSecond: number;
  readonly weight: number;
  readonly seconds: number;
  /** First token of a request that is assigned at a time. */
  readonly ms: (arm: Arm, atMs: number) => number;
}

/** Candidate requests until it was found slow, and when; null: it was not. */
function play({ perSecond, weight, seconds, ms }: Traffic): { readonly requests: number; readonly atMs: number } | null {
  const tokens = new FirstTokens();
  const events: { atMs: number; run: () => unknown }[] = [];
  let requests = 0;
  let foundAtMs: number | null = null;
  const assign = (arm: Arm, atMs: number): void => {
    if (arm === 'candidate' && atMs >= 5_000) requests += 1;
    const slowMs = tokens.begun(arm, true, atMs);
    const took = ms(arm, atMs);
    if (arm === 'stable') events.push({ atMs: atMs + took, run: () => tokens.stableTook(true, took) });
    if (slowMs === null || took <= slowMs) return;
    events.push({ atMs: atMs + slowMs, run: () => tokens.slow(arm, true, atMs) });
    if (arm === 'candidate')
      events.push({ atMs: atMs + slowMs + lookAfterMs, run: () => tokens.candidateAlone(true, slowMs, atMs + slowMs + lookAfterMs) });
  };
  for (let n = 0; n < seconds * perSecond; n += 1) {
    const arm = Math.floor((n + 1) * weight) > Math.floor(n * weight) ? 'candidate' : 'stable';
    const atMs = (n * 1_000) / perSecond;
    events.push({ atMs, run: () => assign(arm, atMs) });
  }
  while (events.length > 0 && foundAtMs === null) {
    let next = 0;
    for (let at = 1; at < events.length; at += 1) if ((events[at]?.atMs ?? 0) < (events[next]?.atMs ?? 0)) next = at;
    const [event] = events.splice(next, 1);
    if (event?.run() === true) foundAtMs = event.atMs;
  }
  return foundAtMs === null ? null : { requests, atMs: foundAtMs };
}

const turnsSlow = (slowMs: number) => (arm: Arm, atMs: number) => (arm === 'candidate' && atMs >= 5_000 ? slowMs : 100);

describe('first tokens', () => {
  it.each([
    [40, 0.5],
    [40, 0.25],
    [20, 0.25],
  ])('find a candidate that turns slow, at %d requests a second and weight %d, within 5 s', (perSecond, weight) => {
    const found = play({ perSecond, weight, seconds: 14, ms: turnsSlow(8_000) });
    expect(found).not.toBeNull();
    expect(found?.atMs).toBeGreaterThan(5_000);
    // 16 slow ones of the newest 20, a second to be slow, and the look at them.
    expect(found?.atMs).toBeLessThanOrEqual(5_000 + Math.max(5_000, (20 / (perSecond * weight)) * 1_000 + 2_500));
  });

  it('say nothing when both turn slow, at whatever weight', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(0.02, 0.05, 0.25, 0.5, 0.9),
        fc.constantFrom(5, 20, 60),
        fc.integer({ min: 1_100, max: 20_000 }),
        (weight, perSecond, slowMs) => {
          expect(play({ perSecond, weight, seconds: 12, ms: (_, atMs) => (atMs >= 5_000 ? slowMs : 100) })).toBeNull();
        },
      ),
      { numRuns: 20, seed: 1 },
    );
  });

  it('say nothing of a candidate that is a little slower, of a single stall, or without a stable beside it', () => {
    expect(play({ perSecond: 20, weight: 0.5, seconds: 12, ms: turnsSlow(390) })).toBeNull();
    const stall = (arm: Arm, atMs: number): number => (arm === 'candidate' && atMs >= 5_000 && atMs < 5_600 ? 5_600 - atMs + 2_000 : 100);
    expect(play({ perSecond: 20, weight: 0.5, seconds: 12, ms: stall })).toBeNull();
    expect(play({ perSecond: 20, weight: 1, seconds: 12, ms: turnsSlow(8_000) })).toBeNull();
  });
});
