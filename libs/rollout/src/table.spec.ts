import { describe, expect, it } from 'vitest';
import { aRollout, baking, gating, onStep, pausedFrom, pending, plan, secondsAgo, shadowing } from '../../../test/support/rollout.js';
import { deriveTable, type Phase, type Plan, type ServedVersion, type TableInput } from './index.js';

const version = (id: string): ServedVersion => ({ id, model: 'support', label: id, digest: 'd', spec: {} });
const versions = ['v1', 'v2', 'v3', 'v4'].map(version);
const input = (phase: Phase | null, more: Partial<TableInput> = {}): TableInput => ({
  models: [{ name: 'support', stableVersionId: 'v1' }],
  rollouts: phase ? [{ ...aRollout(phase), salt: 'ab' }] : [],
  versions,
  pinnedVersionIds: [],
  ...more,
});

describe('the routing table', () => {
  it.each<[string, Phase, number]>([
    ['pending', pending(), 0],
    ['gating', gating(), 0],
    ['on its first step', onStep(0), 0.05],
    ['on its second step', onStep(1), 0.5],
    ['baking', baking(), 0.5],
    ['paused before its first step', pausedFrom(pending()), 0],
    ['paused on a step', pausedFrom(onStep(0)), 0.05],
    ['paused while it baked', pausedFrom(baking()), 0.5],
  ])('gives a candidate that is %s its weight and keeps both versions loaded', (_where, phase, weight) => {
    const { routes, versions: served } = deriveTable(input(phase));
    expect(routes).toEqual([{ model: 'support', stable: 'v1', rollout: { id: 'r1', candidate: 'v2', weight, epoch: 2, salt: 'ab' } }]);
    expect(Object.keys(served).sort()).toEqual(['v1', 'v2']);
  });

  it.each<[string, Phase, boolean]>([
    ['pending', pending(), true],
    ['gating', gating(), true],
    ['shadowing', shadowing(), true],
    ['paused before its first step', pausedFrom(pending()), true],
    ['without traffic for its budget is spent', pausedFrom(onStep(0), 'exposure'), false],
    ['on its first step', onStep(0), false],
    ['paused on a step', pausedFrom(onStep(0)), false],
    ['baking', baking(), false],
  ])('has a candidate that is %s mirrored: %#', (_where, phase, mirrored) => {
    const shadow = { share: 0.1, concurrentRequests: 2, tokensPerSecond: 100 };
    const own = { ...plan, shadow: { ...shadow, scoring: false, minPairs: 150, deadlineS: 60 } };
    const rollouts = [{ ...aRollout(phase, own), salt: 'ab' }];
    expect(deriveTable(input(phase, { rollouts })).routes[0]?.rollout?.shadow).toEqual(mirrored ? shadow : undefined);
  });

  const routeOf = (phase: Phase, more: Partial<Plan>, unfinishedAfterMs: number | null = null) => {
    const rollouts = [{ ...aRollout(phase, { ...plan, ...more }), salt: 'ab', unfinishedAfterMs }];
    return deriveTable(input(phase, { rollouts })).routes[0]?.rollout;
  };

  it('has mirrors score where the plan says so', () => {
    const shadow = { share: 0.1, concurrentRequests: 2, tokensPerSecond: 100, scoring: true, minPairs: 150, deadlineS: 60 };
    expect(routeOf(shadowing(), { shadow })?.shadow).toEqual({ share: 0.1, concurrentRequests: 2, tokensPerSecond: 100, scoring: true });
  });

  it('counts as unfinished what outlasts the frozen scores of stable', () => {
    expect(routeOf(onStep(0), {}, 8_000)).toMatchObject({ unfinishedAfterMs: 8_000 });
    expect(routeOf(onStep(0), {}, null)).not.toHaveProperty('unfinishedAfterMs');
  });

  it('gives a control arm the weight of the candidate, but never more than stable keeps', () => {
    const control = { version: 'fresh', versionId: 'v3' };
    expect(routeOf(onStep(0), { control })?.control).toEqual({ version: 'v3', weight: 0.05 });
    expect(routeOf(onStep(1), { control })?.control).toEqual({ version: 'v3', weight: 0.25 });
    expect(routeOf(pending(), { control })).not.toHaveProperty('control');
    const rollouts = [{ ...aRollout(pending(), { ...plan, control }), salt: 'ab' }];
    expect(Object.keys(deriveTable(input(pending(), { rollouts })).versions)).toContain('v3');
  });

  it('has answers scored only while users meet the candidate, and only where the check is on', () => {
    const checks = { ...plan.checks, quality: { ...plan.checks.quality, enabled: true, sampleStable: 0.02, sampleCandidate: 0.5 } };
    expect(routeOf(onStep(0), { checks })?.quality).toEqual({ sampleStable: 0.02, sampleCandidate: 0.5 });
    const judge = { model: 'judge', version: null, versionId: null, concurrentRequests: 2, tokensPerSecond: 500 };
    const judged = { checks: { ...checks, quality: { ...checks.quality, judge } } };
    expect(routeOf(onStep(0), judged)?.quality?.judge).toEqual({ model: 'judge', concurrentRequests: 2, tokensPerSecond: 500 });
    const named = { checks: { ...checks, quality: { ...checks.quality, judge: { ...judge, version: 'j1', versionId: 'v3' } } } };
    expect(routeOf(onStep(0), named)?.quality?.judge).toMatchObject({ version: 'v3' });
    const rated = { checks: { ...checks, quality: { ...checks.quality, feedback: 'judged' as const } } };
    expect(routeOf(onStep(0), rated)?.quality?.feedback).toBe('judged');
    expect(routeOf(pending(), { checks })).not.toHaveProperty('quality');
    expect(routeOf(onStep(0), {})).not.toHaveProperty('quality');
  });

  it('gives nobody to a candidate whose exposure budget is spent', () => {
    expect(routeOf(pausedFrom(onStep(1), 'exposure'), {})?.weight).toBe(0);
  });

  it.each<Phase>([
    { phase: 'promoted', at: secondsAgo(1) },
    { phase: 'rolledBack', at: secondsAgo(1), reason: { code: 'operator' } },
    { phase: 'aborted', at: secondsAgo(1), reason: { code: 'operator' } },
  ])('sends nobody to the candidate of a rollout that is $phase', (phase) => {
    expect(deriveTable(input(phase))).toEqual({
      routes: [{ model: 'support', stable: 'v1', rollout: null }],
      versions: { v1: version('v1') },
    });
  });

  it('names a model without a version in service, which then answers nobody', () => {
    expect(deriveTable(input(null, { models: [{ name: 'empty', stableVersionId: null }] }))).toEqual({
      routes: [{ model: 'empty', stable: null, rollout: null }],
      versions: {},
    });
  });

  it('keeps what a running evaluation pins, and nothing else', () => {
    expect(Object.keys(deriveTable(input(null, { pinnedVersionIds: ['v3', 'v1'] })).versions).sort()).toEqual(['v1', 'v3']);
  });

  it('says that units are end users only where the plan does', () => {
    const sticky = { ...aRollout(onStep(0), { ...plan, stickyBy: 'user' }), salt: 'ab' };
    expect(deriveTable(input(null, { rollouts: [sticky] })).routes[0]?.rollout).toMatchObject({ stickyBy: 'user' });
    expect(deriveTable(input(onStep(0))).routes[0]?.rollout).not.toHaveProperty('stickyBy');
  });

  it('of another model is untouched by a rollout', () => {
    const models = [
      { name: 'support', stableVersionId: 'v1' },
      { name: 'other', stableVersionId: 'v4' },
    ];
    expect(deriveTable(input(onStep(1), { models })).routes[1]).toEqual({ model: 'other', stable: 'v4', rollout: null });
  });

  it('that needs a version nobody gave is a broken caller', () => {
    expect(() => deriveTable(input(onStep(0), { versions: [version('v1')] }))).toThrow(/needs version v2/);
  });
});
