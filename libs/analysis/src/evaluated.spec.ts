import { describe, expect, it } from 'vitest';
import { defaultPlan } from '#libs/rollout';
import { testedOptions } from '../../../test/support/judge-options.js';
import { aWindow } from '../../../test/support/observation.js';
import { normals, uniforms } from '../../../test/support/random.js';
import {
  addTo,
  type Band,
  bucketOf,
  type CheckOptions,
  emptyHistograms,
  type FrozenScores,
  fitScores,
  type Judgement,
  Ledger,
  type Window,
} from './index.js';

const uniform = uniforms(21);
const normal = normals(uniform);
const weight = 0.2;
const alpha = 0.05;

function answers(arm: Window['key']['arm'], n: number, level: number): Window {
  const histograms = emptyHistograms();
  for (let one = 0; one < n; one += 1) addTo(histograms.entropy, bucketOf(0.5 * level * Math.exp(0.45 * normal())));
  return aWindow({ arm, epoch: arm ? 1 : null }, { responses: n, units: n, lnTotalCount: n, histograms });
}

const plain = fitScores([answers(null, 4_000, 1)], { minResponses: 500, minPerClass: 500 }) as FrozenScores;
/** A gate on 200 cases found the candidate at `ratio` of stable's entropy. */
const evaluatedAt = (ratio: number): FrozenScores => {
  const band: Band = { lower: ratio * 0.95, upper: ratio * 1.05, ratio, pairs: 200, source: 'gate', casesDigest: 'sha256:1' };
  return { ...plain, bands: { entropy: { '*': band } } };
};
const { checks } = defaultPlan;
const off = { enabled: false };
const only = (expected: 'evaluated' | 'stable'): CheckOptions => ({
  ...checks,
  entropy: { ...checks.entropy, expect: expected },
  length: { ...checks.length, ...off },
  errors: { ...checks.errors, ...off },
  refusals: { ...checks.refusals, ...off },
  latency: { ...checks.latency, ...off },
});

interface Rollout {
  readonly level: number;
  readonly scores: FrozenScores;
  readonly expect?: 'evaluated' | 'stable';
  readonly responses?: number;
}

/** Candidate responses until the rollback, looking every twenty-five answers; null when there was none. And the last look. */
function served({ level, scores, expect: expected = 'evaluated', responses = 1_500 }: Rollout): { at: number | null; last: Judgement } {
  const ledger = new Ledger();
  const options = testedOptions({ epochs: [{ epoch: 1, weight, since: 0 }], scores, checks: only(expected), alpha });
  let [candidate, last] = [0, ledger.judge(options)];
  for (let done = 0; done < responses; done += 25) {
    let drawn = 0;
    for (let one = 0; one < 25; one += 1) drawn += uniform() < weight ? 1 : 0;
    candidate += drawn;
    ledger.add([answers('candidate', drawn, level), answers('stable', 25 - drawn, 1)]);
    last = ledger.judge(options);
    if (last.combined.logE >= last.combined.threshold) return { at: candidate, last };
  }
  return { at: null, last };
}

const runs = (times: number, rollout: Rollout): (number | null)[] => Array.from({ length: times }, () => served(rollout).at);
const share = (found: readonly (number | null)[]): number => found.filter((at) => at !== null).length / found.length;
const median = (found: readonly (number | null)[]): number =>
  found.map((at) => at ?? Infinity).sort((a, b) => a - b)[Math.floor(found.length / 2)] ?? 0;

describe('a candidate that is what was evaluated', () => {
  it('is rolled back in at most the promised share of runs, where it would nearly always be against stable', () => {
    expect(share(runs(100, { level: 0.7, scores: evaluatedAt(0.7) }))).toBeLessThanOrEqual(alpha);
    expect(share(runs(10, { level: 0.7, scores: evaluatedAt(0.7), expect: 'stable' }))).toBeGreaterThan(0.9);
    expect(share(runs(10, { level: 0.7, scores: plain }))).toBeGreaterThan(0.9);
  });

  it('nor is one that stayed like stable, or lies anywhere between', () => {
    for (const level of [0.62, 0.85, 1, 1.09]) expect(share(runs(20, { level, scores: evaluatedAt(0.7) }))).toBeLessThanOrEqual(alpha);
  });

  it('is found after a collapse as fast as against stable at the same distance', () => {
    const [banded, bare] = [runs(60, { level: 0.7 * 0.3, scores: evaluatedAt(0.7) }), runs(60, { level: 0.3, scores: plain })];
    expect(share(banded)).toBe(1);
    expect(median(banded)).toBeLessThanOrEqual(1.5 * median(bare));
    // And so is a worse one that lies well outside: half of what was evaluated.
    expect(share(runs(20, { level: 0.35, scores: evaluatedAt(0.7) }))).toBe(1);
  });

  it('is proven within the band, and its finding says what it was held to', () => {
    const { last } = served({ level: 0.7, scores: evaluatedAt(0.7) });
    expect(last.promotion.find(({ check }) => check === 'entropy')?.proven).toBe(true);
    expect(last.findings[0]).toMatchObject({
      check: 'entropy',
      verdict: 'pass',
      marginUp: 0.1,
      marginDown: -0.1,
      band: { lower: expect.closeTo(0.9 * 0.7 * 0.95, 9), upper: expect.closeTo(1.1, 9), source: 'gate' },
    });
    expect(last.amber).toEqual([]);
  });
});

describe('a candidate that is not what was evaluated, and not outside the band either', () => {
  it('is amber: nobody goes forward, nobody is rolled back', () => {
    const { at, last } = served({ level: 1, scores: evaluatedAt(0.7) });
    expect(at).toBeNull();
    expect(last.amber).toEqual(['entropy']);
    expect(last.findings[0]).toMatchObject({ amber: true, note: expect.stringContaining('evaluated') });
  });

  it('is held to stable alone where the plan says so', () => {
    const { last } = served({ level: 1, scores: evaluatedAt(0.7), expect: 'stable' });
    expect(last.amber).toEqual([]);
    expect(last.findings[0]).not.toHaveProperty('band');
  });
});
