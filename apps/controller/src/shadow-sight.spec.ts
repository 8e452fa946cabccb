// A version that is surer of itself by design passes its shadow, and what it moved by is frozen as the band of the live steps.
import { describe, expect, it } from 'vitest';
import { bucketOf, type FrozenScores, type PairedWindow } from '#libs/analysis';
import { defaultPlan, type Plan } from '#libs/rollout';
import { expectedShifts, shadowSight, withBands } from './shadow-sight.js';

const plan: Plan = {
  ...defaultPlan,
  shadow: { share: 1, concurrentRequests: 2, tokensPerSecond: 200, minPairs: 150, deadlineS: 3_600, scoring: false },
};

/** One second of `n` prompts whose answers have 0.7 times stable's entropy, give or take. */
function mirrors(second: number, n: number): PairedWindow {
  const spread = (centre: number): Map<number, number> => {
    const histogram = new Map<number, number>();
    for (let one = 0; one < n; one += 1) {
      const bucket = bucketOf(centre * (0.9 + (0.2 * one) / n));
      histogram.set(bucket, (histogram.get(bucket) ?? 0) + 1);
    }
    return histogram;
  };
  const none = new Map<number, number>();
  const ratios = { forcedNll: none, forcedEntropy: none, entropy: spread(0.7), length: spread(1) };
  const counts = { pairs: n, forced: 0, failures: 0, loopsStable: 0, loopsCandidate: 0, ratios };
  return { rolloutId: 'r1', promptClass: 'chat', secondAt: second * 1_000, counts };
}

const windows = Array.from({ length: 20 }, (_, second) => mirrors(second, 10));
const scores = { responses: 600, entropy: {}, length: {}, totalP99Ms: null } satisfies FrozenScores;

describe('the shadow of an honest upgrade', () => {
  it('is open until there are enough pairs, then passes with the shift it measured', () => {
    expect(shadowSight([], { plan }, 0).evidence).toMatchObject({ verdict: 'unmeasured', pairs: 0 });
    expect(shadowSight(windows.slice(0, 5), { plan }, 0).evidence).toMatchObject({ verdict: 'inconclusive', pairs: 50 });
    const sight = shadowSight(windows, { plan }, 0);
    expect(sight.evidence).toMatchObject({ verdict: 'pass', pairs: 200 });
    const entropy = expectedShifts(sight.bands).find(({ metric }) => metric === 'entropy');
    expect(entropy?.lower).toBeGreaterThan(0.6);
    expect(entropy?.upper).toBeLessThan(0.8);
  });

  it('leaves a band only where the plan holds the version to what was evaluated', () => {
    const sight = shadowSight(windows, { plan }, 0);
    const held: Plan = { ...plan, checks: { ...plan.checks, length: { ...plan.checks.length, expect: 'stable' } } };
    expect(Object.keys(withBands(scores, sight, { plan }).bands ?? {})).toEqual(['entropy', 'length']);
    expect(Object.keys(withBands(scores, sight, { plan: held }).bands ?? {})).toEqual(['entropy']);
    expect(withBands(scores, null, { plan })).toBe(scores);
  });
});
