import { describe, expect, it } from 'vitest';
import { aRollout, evidence, now, onStep } from '../../../test/support/rollout.js';
import { checkPlan, completePlan, defaultPlan, defaultShadow, type Plan, type PlanDraft, replay, resolvePlan } from './index.js';

const checked = (draft: PlanDraft) => checkPlan(resolvePlan(draft, defaultPlan));
const off = { enabled: false };

describe('a plan draft', () => {
  it('left empty is the default plan, which is sound', () => {
    expect(resolvePlan({}, defaultPlan)).toEqual(defaultPlan);
    expect(checked({}).ok).toBe(true);
  });

  it('changes what it names and nothing beside it', () => {
    const plan = resolvePlan({ bakeS: 1, checks: { entropy: { up: 0.3 } }, guards: { minS: 9 }, promotion: { alpha: 0.01 } }, defaultPlan);
    expect(plan).toEqual({
      ...defaultPlan,
      bakeS: 1,
      checks: { ...defaultPlan.checks, entropy: { ...defaultPlan.checks.entropy, up: 0.3 } },
      guards: { ...defaultPlan.guards, minS: 9 },
      promotion: { ...defaultPlan.promotion, alpha: 0.01 },
    });
  });

  it('takes a field that is undefined as left out', () => {
    expect(resolvePlan({ bakeS: undefined, checks: { entropy: { up: undefined } }, gate: undefined }, defaultPlan)).toEqual(defaultPlan);
  });

  it('replaces the steps as a whole and fills each from the step defaults', () => {
    expect(resolvePlan({ steps: [{ weightPct: 20, minS: 5 }] }, defaultPlan).steps).toEqual([
      { weightPct: 20, minS: 5, minResponses: 50, deadlineS: 86_400, approval: false },
    ]);
  });

  it('fills a gate from the one below it, then from the defaults; null takes the gate away', () => {
    const gated = resolvePlan({ gate: { testSet: 'a', margin: 0.1 } }, defaultPlan);
    expect(gated.gate).toEqual({ testSet: 'a', margin: 0.1, minCases: 100, maxErrorShare: 0.02 });
    expect(resolvePlan({ gate: { testSet: 'b' } }, gated).gate).toEqual({ testSet: 'b', margin: 0.1, minCases: 100, maxErrorShare: 0.02 });
    expect(resolvePlan({ gate: null }, gated).gate).toBeNull();
    expect(resolvePlan({}, gated).gate).toEqual(gated.gate);
  });

  it('fills the mirroring from the one below it, then from the defaults; null takes it away', () => {
    const mirrored = resolvePlan({ shadow: { share: 0.1, tokensPerSecond: 50 } }, defaultPlan);
    expect(mirrored.shadow).toEqual({ ...defaultShadow, share: 0.1, tokensPerSecond: 50 });
    expect(resolvePlan({ shadow: { share: 1 } }, mirrored).shadow).toEqual({ ...defaultShadow, share: 1, tokensPerSecond: 50 });
    expect(resolvePlan({}, mirrored).shadow).toEqual(mirrored.shadow);
    expect(resolvePlan({ shadow: null }, mirrored).shadow).toBeNull();
  });

  it('fills a judge from the one below it, but keeps no version of another model', () => {
    const judged = resolvePlan({ checks: { quality: { judge: { model: 'j', version: 'j1', tokensPerSecond: 50 } } } }, defaultPlan);
    const first = { model: 'j', version: 'j1', versionId: null, concurrentRequests: 2, tokensPerSecond: 50 };
    expect(judged.checks.quality.judge).toEqual(first);
    const judgeOf = (draft: PlanDraft) => resolvePlan(draft, judged).checks.quality.judge;
    expect(judgeOf({})).toEqual(first);
    expect(judgeOf({ checks: { quality: { judge: { model: 'j', concurrentRequests: 9 } } } })).toEqual({ ...first, concurrentRequests: 9 });
    expect(judgeOf({ checks: { quality: { judge: { model: 'k' } } } })).toMatchObject({ model: 'k', version: null, tokensPerSecond: 500 });
    expect(judgeOf({ checks: { quality: { judge: null } } })).toBeNull();
  });

  it('does not write into its base', () => {
    const base = structuredClone(defaultPlan);
    resolvePlan({ steps: [{ weightPct: 20 }], checks: { errors: { ratio: 9 } } }, base);
    expect(base).toEqual(defaultPlan);
  });
});

describe('a plan is refused with its field and a remedy', () => {
  it.each<[string, PlanDraft, string, string]>([
    [
      'without any active check',
      { checks: { entropy: off, shape: off, length: off, errors: off, refusals: off, latency: off } },
      'plan.no-active-check',
      'plan.checks',
    ],
    ['when nothing gates promotion', { promotion: { gating: [] } }, 'plan.no-proof', 'plan.promotion.gating'],
    [
      'when all that gates is switched off',
      { checks: { entropy: off }, promotion: { gating: ['entropy'] } },
      'plan.no-proof',
      'plan.promotion.gating',
    ],
    [
      'when a step is not above the one before',
      { steps: [{ weightPct: 5 }, { weightPct: 50 }, { weightPct: 50 }] },
      'plan.steps-not-rising',
      'plan.steps[2].weightPct',
    ],
    [
      'when a deadline comes before the least time',
      { steps: [{ weightPct: 5, minS: 100, deadlineS: 99 }] },
      'plan.deadline-too-early',
      'plan.steps[0].deadlineS',
    ],
    ['when stable is never beside the candidate', { steps: [{ weightPct: 100 }] }, 'plan.no-comparison', 'plan.steps'],
    ['when no change is expected too far', { maxExpectedShift: { upper: 0.9 } }, 'plan.shift-excludes-none', 'plan.maxExpectedShift'],
    ['when a freeze ends before it begins', { freeze: [{ start: 9, end: 9 }] }, 'plan.freeze-empty', 'plan.freeze[0].end'],
    [
      'when nothing is ever free of freezes',
      { freeze: [{ days: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'], from: '09:00', to: '09:00' }] },
      'plan.always-frozen',
      'plan.freeze',
    ],
    ['when mirrors could prove nothing', { shadow: { share: 1, minPairs: 8 } }, 'plan.too-few-pairs', 'plan.shadow.minPairs'],
    ['when nobody scores quality', { checks: { quality: { enabled: true } } }, 'plan.nobody-scores', 'plan.checks.quality.judge'],
    [
      'when a judge and users would score one check',
      { checks: { quality: { enabled: true, judge: { model: 'j' }, feedback: 'judged' } } },
      'plan.two-scorers',
      'plan.checks.quality.feedback',
    ],
    [
      'when feedback is taken for a sample that nobody drew',
      { checks: { quality: { enabled: true, feedback: 'judged' } } },
      'plan.feedback-sampled',
      'plan.checks.quality.sampleStable',
    ],
    ['without steps', { steps: [] }, 'plan.no-comparison', 'plan.steps'],
  ])('%s', (_what, draft, code, field) => {
    const outcome = checked(draft);
    expect(outcome).toMatchObject({ ok: false, fault: { code, field, retryable: false } });
    if (!outcome.ok) expect(outcome.fault.remedy?.length).toBeGreaterThan(20);
  });

  it('but not while one check and one proof are left', () => {
    expect(checked({ checks: { entropy: off, length: off, latency: off } }).ok).toBe(true);
    expect(checked({ steps: [{ weightPct: 50 }, { weightPct: 100 }] }).ok).toBe(true);
  });
});

describe('a stored plan from before a field existed', () => {
  const shadow = { share: 0.1, concurrentRequests: 2, tokensPerSecond: 50 };
  /** As release 0.1 stored it. */
  const old = {
    steps: [{ weightPct: 5, minS: 1, minResponses: 2, deadlineS: 3 }],
    bakeS: 1,
    gate: null,
    shadow,
    alpha: 0.01,
    checks: {
      entropy: { enabled: true, weight: 0.25, up: 0.1, down: 0.1 },
      length: { enabled: true, weight: 0.1, up: 0.33, down: 0.25 },
      errors: { enabled: true, weight: 0.25, ratio: 1.5, proofMargin: 0.01 },
      latency: { enabled: true, weight: 0.25, margin: 0.1, gross: 1, proofMargin: 0.25, proofBlocks: 20, blockS: 30, settleS: 30 },
    },
    promotion: { alpha: 0.05, gating: ['entropy', 'errors'] },
    guards: defaultPlan.guards,
    reference: defaultPlan.reference,
    noDataLimitS: 600,
    stickyBy: 'request',
  } as unknown as Plan;
  const whole = completePlan(old);

  it('says what it said, and of the new only that it is off', () => {
    expect(whole).toMatchObject(old);
    expect(Object.entries(whole.checks).flatMap(([name, { enabled }]) => (enabled ? [name] : []))).toEqual([
      'entropy',
      'length',
      'errors',
      'latency',
    ]);
    expect([whole.checks.entropy.expect, whole.checks.length.expect, whole.checks.latency.tailsFromPct]).toEqual(['stable', 'stable', 100]);
    expect(whole).toMatchObject({ control: null, noData: 'pause', freeze: [], startAt: null, watch: { enabled: false } });
    expect(whole.shadow).toEqual({ ...shadow, deadlineS: 86_400, minPairs: 0, scoring: false });
  });

  it('is whole when it already was', () => {
    expect(completePlan(defaultPlan)).toEqual(defaultPlan);
    expect(completePlan(whole)).toEqual(whole);
  });
});

describe('replay', () => {
  const record = { rollout: aRollout(onStep(0)), evidence: evidence(), now, transition: 'advance' as const };

  it('finds no difference in decisions that would be made again, also after a trip through JSON', () => {
    expect(replay([record, JSON.parse(JSON.stringify(record)) as typeof record])).toEqual([]);
  });

  it('tells which decision would be another one today', () => {
    const stricter: Plan = { ...record.rollout.plan, steps: record.rollout.plan.steps.map((step) => ({ ...step, minResponses: 101 })) };
    expect(replay([record, { ...record, rollout: { ...record.rollout, plan: stricter } }])).toMatchObject([
      { index: 1, recorded: 'advance', replayed: { transition: 'hold', reason: { code: 'step.responses' } } },
    ]);
  });
});
