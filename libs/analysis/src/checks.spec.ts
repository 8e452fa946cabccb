import { describe, expect, expectTypeOf, it } from 'vitest';
import { defaultPlan, type Plan } from '#libs/rollout';
import { type Answered, answeredBy } from '../../../test/support/answered.js';
import { testedOptions } from '../../../test/support/judge-options.js';
import { type CheckOptions, fitScores, type JudgeOptions, Ledger, type Window } from './index.js';

const answered = answeredBy(8);
const thick = { minResponses: 500, minPerClass: 500 };
const usual: Omit<Answered, 'arm' | 'n'> = { costMicros: 900, quality: 0.7, refusals: 0.02, loops: 0.005, errors: 0.01 };
const code: Omit<Answered, 'arm' | 'n'> = { ...usual, promptClass: 'code', entropyNats: 1.2, tokens: 200 };
const reference = [...answered({ arm: null, n: 1_500, ...usual }), ...answered({ arm: null, n: 1_000, ...code })];
const scores = fitScores(reference, thick);
const { checks } = defaultPlan;
const on: CheckOptions = {
  ...checks,
  cost: { ...checks.cost, enabled: true },
  quality: { ...checks.quality, enabled: true, sampleStable: 1 },
};

function judged(windows: readonly Window[], more: Partial<JudgeOptions> = {}) {
  const ledger = new Ledger();
  ledger.add(windows);
  return ledger.judge(testedOptions({ scores, checks: on, now: 10_000_000, ...more }));
}

const both = (n: number, more: Partial<Answered> = {}, of: Omit<Answered, 'arm' | 'n'> = usual): Window[] => [
  ...answered({ arm: 'stable', n, ...of }),
  ...answered({ arm: 'candidate', n, ...of, ...more }),
];
const failed = (windows: readonly Window[], more: Partial<JudgeOptions> = {}) =>
  judged(windows, more)
    .findings.filter(({ verdict }) => verdict === 'fail')
    .map(({ check, direction }) => `${check} ${direction}`);
const finding = (windows: readonly Window[], check: string, more: Partial<JudgeOptions> = {}) =>
  judged(windows, more).findings.find((one) => one.check === check);

describe('the options of a judgement', () => {
  it('are those of the plan', () => {
    // Who scores is no matter of the judgement.
    expectTypeOf<Omit<CheckOptions, 'quality'>>().toExtend<Omit<Plan['checks'], 'quality'>>();
    expectTypeOf<Plan['checks']>().toExtend<CheckOptions>();
  });
});

describe('all checks', () => {
  it('say nothing against a candidate like stable, and prove it within what a step serves', () => {
    const gating = ['entropy', 'length', 'errors', 'refusals', 'quality'] as const;
    const { findings, promotion, amber, combined } = judged([...both(2_500), ...both(1_500, {}, code)], {
      promotion: { alpha: 0.05, gating },
    });
    expect(findings.map(({ verdict }) => verdict)).not.toContain('fail');
    expect(promotion.filter(({ proven }) => !proven)).toEqual([]);
    expect(amber).toEqual([]);
    expect(combined.logE).toBeLessThan(1);
  });

  it.each<[string, number, Partial<Answered>, string]>([
    ['loops', 300, { loops: 0.2 }, 'shape loop'],
    ['breaks half of a class, and leaves the centre where it was', 1_000, { halfTimes: 4, entropyNats: 0.26 }, 'shape high'],
    ['refuses', 400, { refusals: 0.2 }, 'refusals events'],
    ['costs twice as much', 300, { costMicros: 1_800 }, 'cost up'],
    ['answers worse', 600, { quality: 0.55 }, 'quality down'],
    ['errs', 400, { errors: 0.15 }, 'errors events'],
    ['is less certain', 400, { entropyNats: 0.7 }, 'entropy up'],
    ['is curt', 400, { tokens: 20 }, 'length down'],
  ])('name a candidate that %s', (_what, n, more, expected) => {
    expect(failed(both(n, more))).toContain(expected);
  });

  it('name the centre of entropy where its tails moved with it, and the tails where they moved alone', () => {
    expect(failed(both(400, { entropyNats: 0.9 }))).toEqual(['entropy up']);
    expect(failed(both(400, { entropyNats: 0.15 }))).toEqual(['entropy down']);
  });

  it('do not mind a cheaper, better candidate', () => {
    expect(failed(both(1_500, { costMicros: 300, quality: 0.85, refusals: 0, loops: 0, errors: 0 }))).toEqual([]);
  });

  it('say which class moved', () => {
    const one = finding([...both(600), ...both(600, { refusals: 0.2, loops: 0.2 }, code)], 'shape');
    expect(one?.classes?.map(({ promptClass }) => promptClass)).toEqual(['code', 'chat']);
    expect(finding([...both(600), ...both(600, { refusals: 0.2 }, code)], 'refusals')?.classes?.[0]?.promptClass).toBe('code');
  });

  it('judge thin classes as one, however few answers each has', () => {
    const rare = Array.from({ length: 30 }, (_, at) => `rare${at}`);
    const windows = rare.flatMap((promptClass) => both(20, { entropyNats: 0.8 }, { ...usual, promptClass }));
    const entropy = finding(windows, 'entropy');
    expect(entropy?.verdict).toBe('fail');
    expect(entropy?.classes?.map(({ promptClass }) => promptClass)).toEqual(['*']);
  });
});

describe('the shape of entropy', () => {
  it('does not take a move of the centre that is tolerated for a broken tail', () => {
    for (const ratio of [0.92, 1.08]) {
      const shape = finding(both(3_000, { entropyNats: 0.5 * ratio, spread: 0.15 }, { ...usual, spread: 0.15 }), 'shape', {
        scores: fitScores(answered({ arm: null, n: 2_000, ...usual, spread: 0.15 }), thick),
      });
      expect(shape?.logE).toBeLessThan(0);
    }
  });

  it('without a reference still sees loops', () => {
    expect(failed(both(300, { loops: 0.2 }), { scores: null })).toContain('shape loop');
  });
});

describe('scores of a sample', () => {
  const sampled: CheckOptions = { ...on, quality: { ...on.quality, sampleStable: 0.1, sampleCandidate: 1 } };
  const sound = { ...usual, errors: 0 };
  const windows = [...answered({ arm: 'stable', n: 4_000, ...sound, scored: 0.1 }), ...answered({ arm: 'candidate', n: 4_000, ...sound })];

  it('are compared by the coin among those that were scored', () => {
    expect(finding(windows, 'quality', { checks: sampled })).toMatchObject({
      nStable: 400,
      nCandidate: 4_000,
      unit: 'points',
      marginDown: -0.02,
    });
    // 400 to 4,000: by the coin of all answers (half and half) that is no chance; by that of the scored ones it is.
    expect(finding(windows, 'quality', { checks: sampled })?.logE).toBeLessThan(1);
    expect(finding(windows, 'quality', { checks: on })?.logE).toBeLessThan(-50);
    const worse = [
      ...answered({ arm: 'stable', n: 4_000, ...sound, scored: 0.1 }),
      ...answered({ arm: 'candidate', n: 4_000, ...sound, quality: 0.6 }),
    ];
    expect(failed(worse, { checks: sampled })).toEqual(['quality down']);
  });

  it('need no history of stable', () => {
    const { quality: _, ...unscored } = scores ?? { quality: {} };
    expect(failed(both(1_000, { quality: 0.5 }), { scores: unscored as typeof scores })).toContain('quality down');
  });
});

describe('weights', () => {
  /** What a look gave each check, from its share of the average. */
  const weightsOf = (windows: readonly Window[], more: Partial<JudgeOptions> = {}) => {
    const { findings, combined } = judged(windows, more);
    return Object.fromEntries(
      findings.map(({ check, logE, verdict }) => [
        check,
        Math.round((combined.share[check] ?? 0) * Math.exp(combined.logE - (verdict === 'unmeasured' ? 0 : logE)) * 1e6) / 1e6,
      ]),
    );
  };

  it('do not depend on what the answers say, nor on which checks have answers yet', () => {
    const expected = weightsOf(both(300));
    expect(Object.values(expected).reduce((sum, one) => sum + one, 0)).toBeCloseTo(1, 4);
    const bare = answered({ arm: 'candidate', n: 20, errors: 1 });
    expect(weightsOf([...both(300), ...answered({ arm: 'candidate', n: 60, ...usual, errors: 0.3 })])).toEqual(expected);
    expect(weightsOf(bare)).toEqual(expected);
    expect(weightsOf([])).toEqual(expected);
  });

  it('of a check that stable never had a value for go to the others, for that is known before the first answer', () => {
    const silent = fitScores(
      reference.map(({ key, counts }) => ({
        key,
        counts: { ...counts, histograms: { ...counts.histograms, entropy: new Map(), cost: new Map() } },
      })),
      thick,
    );
    const weights = weightsOf(both(300), { scores: silent });
    expect(weights).toMatchObject({ entropy: 0, cost: 0 });
    expect(weights['errors']).toBeCloseTo(checks.errors.weight / (0.05 + 0.1 + 0.2 + 0.05 + 0.25 + 0.15), 4);
    expect(Object.values(weights).reduce((sum, one) => sum + one, 0)).toBeCloseTo(1, 4);
  });
});

describe('promotion', () => {
  const prove = (windows: readonly Window[], gating: JudgeOptions['promotion']['gating'], more: Partial<JudgeOptions> = {}) =>
    Object.fromEntries(
      judged(windows, { promotion: { alpha: 0.05, gating }, ...more }).promotion.map(({ check, proven }) => [check, proven]),
    );

  it('is not proven by a check that could not look', () => {
    expect(prove(both(50), ['entropy', 'quality', 'errors'], { scores: null })).toEqual({ entropy: false, quality: false, errors: false });
    expect(prove([], ['entropy', 'length', 'errors', 'refusals', 'quality'])).toEqual({
      entropy: false,
      length: false,
      errors: false,
      refusals: false,
      quality: false,
    });
  });

  it.each<[JudgeOptions['promotion']['gating'][number], Partial<Answered>]>([
    ['entropy', { entropyNats: 0.56 }],
    ['length', { tokens: 55 }],
    ['errors', { errors: 0.022 }],
    ['refusals', { refusals: 0.033 }],
    ['quality', { quality: 0.675 }],
  ])('is never proven by %s when the candidate is beyond the margin', (check, more) => {
    expect(prove(both(4_000, more), [check])).toEqual({ [check]: false });
    expect(prove(both(4_000), [check])).toEqual({ [check]: true });
  });
});
