import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { uniforms } from '../../../test/support/random.js';
import { type CaseOutcome, type ComparedCase, judgeGate, measureAlone, pairedRateInterval } from './index.js';

const rule = { margin: 0.02, minCases: 100, maxErrorShare: 0.02 };
const pair = (candidate: CaseOutcome | null, baseline: CaseOutcome | null): ComparedCase => ({ candidate, baseline });
const many = (count: number, one: ComparedCase): ComparedCase[] => Array.from({ length: count }, () => one);
/** A run of `n` cases in which all that is not said was passed by both. */
function runOf(n: number, { better = 0, worse = 0, bothFailed = 0 } = {}): ComparedCase[] {
  return [
    ...many(better, pair('passed', 'failed')),
    ...many(worse, pair('failed', 'passed')),
    ...many(bothFailed, pair('failed', 'failed')),
    ...many(n - better - worse - bothFailed, pair('passed', 'passed')),
  ];
}

describe('the gate on the demo’s versions, as its README counts them', () => {
  it.each([
    ['v2, better in 25 and worse in 4', { better: 25, worse: 4 }, 'pass'],
    ['v3, better in 8 and worse in 55', { better: 8, worse: 55 }, 'fail'],
    ['v6, the same text in all', {}, 'pass'],
  ] as const)('%s of 490: %s is %s', (_, flips, verdict) => {
    expect(judgeGate(runOf(490, flips), { ...rule, minCases: 300 }).verdict).toBe(verdict);
  });
});

describe('the verdict', () => {
  it('is inconclusive when all is equal but the cases are too few to exclude the margin', () => {
    expect(judgeGate(runOf(100), rule)).toMatchObject({ verdict: 'inconclusive', effect: 0 });
    expect(judgeGate(runOf(140), rule).verdict).toBe('pass');
  });

  it('is inconclusive below the least number of cases, however good', () => {
    const finding = judgeGate(runOf(90, { better: 40 }), rule);
    expect(finding.verdict).toBe('inconclusive');
    expect(finding.note).toMatch(/90 cases are fewer than the 100/);
  });

  it('is inconclusive while a case has not run', () => {
    const finding = judgeGate([...runOf(400), pair('passed', null)], rule);
    expect(finding).toMatchObject({ verdict: 'inconclusive', n: 400 });
    expect(finding.note).toMatch(/only 400 of 401 cases have run/);
  });

  it('is unmeasured when nothing was answered by both', () => {
    expect(judgeGate([], rule).verdict).toBe('unmeasured');
    expect(judgeGate(many(3, pair('passed', null)), rule)).toMatchObject({ verdict: 'unmeasured', effect: null, lower: null });
  });

  it('is inconclusive when errors are more than the policy bears, in either arm, even for a bad candidate', () => {
    for (const error of [pair('errored', 'passed'), pair('passed', 'errored')]) {
      expect(judgeGate([...runOf(389, { worse: 100 }), ...many(11, error)], { ...rule, margin: 0.1 }).verdict).toBe('inconclusive');
      expect(judgeGate([...runOf(394), ...many(6, error)], { ...rule, margin: 0.1 }).verdict).toBe('pass');
    }
  });

  it('fails on a loss beyond the margin that is significant although the margin itself is within doubt', () => {
    // 12 lost of 300: 4 points, upper bound about -2.4; 8 lost: 2.7 points, upper bound above -2.
    const finding = judgeGate(runOf(300, { worse: 8 }), rule);
    expect(finding.upper).toBeGreaterThan(-0.02);
    expect(finding).toMatchObject({ verdict: 'fail', worse: 8 });
  });

  it('tells pass rates by kind', () => {
    const cases = [...many(3, { ...pair('passed', 'failed'), kind: 'date' }), ...many(2, { ...pair('failed', 'passed'), kind: 'sum' })];
    expect(judgeGate(cases, rule).slices).toEqual([
      { kind: 'date', n: 3, better: 3, worse: 0, candidatePassRate: 1, baselinePassRate: 0 },
      { kind: 'sum', n: 2, better: 0, worse: 2, candidatePassRate: 0, baselinePassRate: 1 },
    ]);
  });

  it('says what a run without a baseline measured and proves nothing', () => {
    const finding = measureAlone([...many(8, pair('passed', null)), ...many(2, pair('failed', null))], 0.02);
    expect(finding).toMatchObject({ verdict: 'unmeasured', candidatePassRate: 0.8, baselinePassRate: null, n: 10 });
    expect(finding.note).toMatch(/80\.0% of 10 cases/);
  });
});

const outcome = fc.constantFrom<CaseOutcome>('passed', 'failed', 'errored');
const cases = fc.array(fc.record({ candidate: outcome, baseline: outcome }), { minLength: 1, maxLength: 300 });
const anyRule = fc.record({
  margin: fc.double({ min: 0.001, max: 0.5, noNaN: true }),
  minCases: fc.integer({ min: 1, max: 200 }),
  maxErrorShare: fc.double({ min: 0, max: 1, noNaN: true }),
});

describe('properties', () => {
  it('the estimate lies between its bounds, and all numbers are finite', () => {
    fc.assert(
      fc.property(cases, anyRule, (run, policy) => {
        const { effect, lower, upper, detectable } = judgeGate(run, policy);
        expect(lower).toBeLessThanOrEqual(effect as number);
        expect(upper).toBeGreaterThanOrEqual(effect as number);
        for (const value of [effect, lower, upper, detectable]) expect(Math.abs(value as number)).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('an error in place of a pass of the candidate, or of a failure of the baseline, never turns a verdict into a pass', () => {
    fc.assert(
      fc.property(cases, anyRule, fc.nat(), (run, policy, at) => {
        const index = at % run.length;
        const spoilt = (change: Partial<ComparedCase>): ComparedCase[] =>
          run.map((one, position) => (position === index ? { ...one, ...change } : one));
        for (const worse of [spoilt({ candidate: 'errored' }), spoilt({ baseline: 'errored' })]) {
          if (judgeGate(run, policy).verdict !== 'pass') expect(judgeGate(worse, policy).verdict).not.toBe('pass');
        }
      }),
    );
  });

  it('an error of the baseline never makes the candidate fail', () => {
    fc.assert(
      fc.property(cases, anyRule, fc.nat(), (run, policy, at) => {
        const index = at % run.length;
        const tie = run.map((one, position) => (position === index ? pair('passed', 'passed') : one));
        const error = run.map((one, position) => (position === index ? pair('passed', 'errored') : one));
        if (judgeGate(error, policy).verdict === 'fail') expect(judgeGate(tie, policy).verdict).toBe('fail');
      }),
    );
  });

  it('the order of the cases does not matter', () => {
    fc.assert(
      fc.property(cases, anyRule, (run, policy) => {
        const { slices: _, ...finding } = judgeGate(run, policy);
        expect(judgeGate([...run].reverse(), policy)).toMatchObject(finding);
      }),
    );
  });

  it('exchanging the versions mirrors the interval', () => {
    fc.assert(
      fc.property(fc.nat(40), fc.nat(40), fc.integer({ min: 80, max: 500 }), (better, worse, n) => {
        const there = pairedRateInterval({ better, worse }, n, 0.9);
        const back = pairedRateInterval({ better: worse, worse: better }, n, 0.9);
        expect(there.lower).toBeCloseTo(-back.upper, 9);
        expect(there.upper).toBeCloseTo(-back.lower, 9);
      }),
    );
  });

  it('the bounds are where the score test, maximised over the nuisance by search, just rejects', () => {
    const z = 1.6448536269514722;
    // Likelihood of flips under loss probability q and win probability q + d, by golden search over q.
    const statistic = (better: number, worse: number, n: number, d: number): number => {
      const log = (count: number, p: number): number => (count === 0 ? 0 : count * Math.log(Math.max(p, 1e-300)));
      const likelihood = (q: number): number => log(better, q + d) + log(worse, q) + log(n - better - worse, 1 - 2 * q - d);
      let [low, high] = [Math.max(0, -d), (1 - d) / 2];
      for (let step = 0; step < 200; step += 1) {
        const [a, b] = [low + (high - low) * 0.382, low + (high - low) * 0.618];
        if (likelihood(a) < likelihood(b)) low = a;
        else high = b;
      }
      const q = (low + high) / 2;
      return (better - worse - n * d) / Math.sqrt(n * (2 * q + d - d * d));
    };
    for (const [better, worse, n] of [
      [25, 4, 490],
      [8, 55, 490],
      [3, 7, 60],
      [1, 1, 40],
      [12, 0, 100],
    ] as const) {
      const { lower, upper } = pairedRateInterval({ better, worse }, n, 0.9);
      expect(statistic(better, worse, n, lower)).toBeCloseTo(z, 4);
      expect(statistic(better, worse, n, upper)).toBeCloseTo(-z, 4);
    }
  });
});

describe('how often it errs', () => {
  function share(n: number, loss: number, verdict: string, draws = 2_000): number {
    const uniform = uniforms(n);
    // 12% of cases change sides; the candidate loses `loss` more of all cases than it wins.
    const [win, lose] = [(0.12 - loss) / 2, (0.12 + loss) / 2];
    let hits = 0;
    for (let draw = 0; draw < draws; draw += 1) {
      let [better, worse] = [0, 0];
      for (let one = 0; one < n; one += 1) {
        const u = uniform();
        if (u < win) better += 1;
        else if (u < win + lose) worse += 1;
      }
      if (judgeGate(runOf(n, { better, worse }), { ...rule, minCases: 1 }).verdict === verdict) hits += 1;
    }
    return hits / draws;
  }

  // Monte-Carlo error of a 5% share over 2,000 draws: 0.5 points.
  it.each([100, 300, 1_000])('a candidate exactly at the margin passes at most in 5 of 100 runs of %i cases', (n) => {
    expect(share(n, 0.02, 'pass')).toBeLessThanOrEqual(0.05 + 0.015);
  });

  it.each([100, 300, 1_000])('an equal candidate fails at most in 5 of 100 runs of %i cases', (n) => {
    expect(share(n, 0, 'fail')).toBeLessThanOrEqual(0.05 + 0.015);
  });

  it('a candidate five points worse fails nearly always on 1,000 cases, an equal one passes more often than not', () => {
    expect(share(1_000, 0.05, 'fail', 500)).toBeGreaterThan(0.98);
    expect(share(1_000, 0, 'pass', 500)).toBeGreaterThan(0.5);
  });
});
