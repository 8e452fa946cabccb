import { describe, expect, it } from 'vitest';
import {
  aRollout,
  baking,
  command,
  evidence,
  gatedPlan,
  gating,
  now,
  onStep,
  pausedFrom,
  pending,
  shadowing,
} from '../../../test/support/rollout.js';
import { decide, type Evidence, type OperatorCommand, type Phase } from './index.js';

const ask = (kind: OperatorCommand['kind'], phase: Phase, more: Partial<Evidence> = {}) =>
  decide(aRollout(phase, gatedPlan), evidence({ ...more, command: command(kind) }), now);
const stableFailed = { arms: { stable: { state: 'failed' }, candidate: { state: 'ready' } } } as const;
const before = [pending(), gating(), shadowing()];
const exposed = [onStep(0), onStep(1), baking()];
const active = [...before, ...exposed];

describe('pause', () => {
  it('holds any active rollout where it is', () => {
    for (const phase of active)
      expect(ask('pause', phase)).toMatchObject({
        transition: 'pause',
        next: { phase: 'paused', since: now, from: phase, reason: { code: 'operator', actor: 'ada', text: 'because' } },
      });
  });

  it('of a paused rollout changes nothing and is no error', () => {
    const phase = pausedFrom(onStep(0));
    expect(ask('pause', phase)).toMatchObject({ transition: 'hold', next: phase, reason: { code: 'command.done', actor: 'ada' } });
  });
});

describe('resume', () => {
  it('goes back to where the pause came from, with its clock anew', () => {
    for (const phase of active)
      expect(ask('resume', pausedFrom(phase))).toMatchObject({ transition: 'resume', next: { ...phase, since: now } });
  });

  it('after an inconclusive gate accepts it and starts the first step', () => {
    expect(ask('resume', pausedFrom(gating(), 'gate.inconclusive'))).toMatchObject({
      transition: 'resume',
      next: { phase: 'progressing', step: 0, since: now },
      reason: { code: 'operator', text: 'because' },
    });
  });

  it('does not start a candidate whose first answers would meet no frozen scores', () => {
    const thin = { reference: { responses: 12, fitted: false } };
    expect(ask('resume', pausedFrom(gating(), 'gate.inconclusive'), thin)).toMatchObject({
      transition: 'hold',
      reason: { code: 'command.refused', text: expect.stringContaining('12 of 500 reference responses') },
    });
  });

  it('of a rollout that runs changes nothing and is no error', () => {
    for (const phase of active)
      expect(ask('resume', phase)).toMatchObject({ transition: 'hold', next: phase, reason: { code: 'command.done' } });
  });
});

describe('promote', () => {
  it('needs no proof once the candidate takes traffic, paused or not', () => {
    for (const phase of [...exposed, ...exposed.map((from) => pausedFrom(from))])
      expect(ask('promote', phase, { promotion: [] })).toMatchObject({ transition: 'promote', next: { phase: 'promoted', at: now } });
  });

  it('is refused before the candidate met a user, paused or not', () => {
    for (const phase of [...before, ...before.map((from) => pausedFrom(from))])
      expect(ask('promote', phase)).toMatchObject({ transition: 'hold', reason: { code: 'command.refused' } });
  });

  it('is refused for a candidate that does not answer', () => {
    for (const state of ['loading', 'unreachable', 'unknown'] as const)
      expect(ask('promote', onStep(0), { arms: { stable: { state: 'ready' }, candidate: { state } } })).toMatchObject({
        transition: 'hold',
      });
  });

  it('of a candidate that has failed is overtaken by its rollback, as is a resume', () => {
    const arms = { stable: { state: 'ready' }, candidate: { state: 'failed' } } as const;
    for (const kind of ['promote', 'resume'] as const)
      expect(ask(kind, pausedFrom(onStep(0)), { arms })).toMatchObject({ transition: 'rollback', reason: { code: 'engine.failed' } });
  });

  it('of an untried candidate is the way out when stable is dead', () => {
    expect(ask('promote', pausedFrom(pending(), 'stable.failed'), stableFailed)).toMatchObject({ transition: 'promote' });
  });
});

describe('rollback and abort', () => {
  it('end every phase with the reason given', () => {
    for (const kind of ['rollback', 'abort'] as const)
      for (const phase of [...active, ...active.map((from) => pausedFrom(from))])
        expect(ask(kind, phase)).toMatchObject({
          transition: kind,
          next: {
            phase: kind === 'rollback' ? 'rolledBack' : 'aborted',
            at: now,
            reason: { code: 'operator', actor: 'ada', text: 'because' },
          },
        });
  });

  it('are refused onto a dead stable while the candidate answers users', () => {
    for (const kind of ['rollback', 'abort'] as const)
      for (const phase of [...exposed, ...exposed.map((from) => pausedFrom(from))])
        expect(ask(kind, phase, stableFailed)).toMatchObject({
          transition: 'hold',
          reason: { code: 'command.refused', text: expect.stringContaining('stable cannot serve') },
        });
  });

  it('are not refused where no user would be moved', () => {
    for (const kind of ['rollback', 'abort'] as const)
      for (const phase of before) expect(ask(kind, phase, stableFailed)).toMatchObject({ transition: kind });
    expect(ask('abort', onStep(0), { arms: { stable: { state: 'failed' }, candidate: { state: 'failed' } } })).toMatchObject({
      transition: 'abort',
    });
  });
});
