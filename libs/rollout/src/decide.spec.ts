import { describe, expect, it } from 'vitest';
import {
  aFinding,
  aRollout,
  baking,
  evidence,
  gatedPlan,
  gating,
  noData,
  now,
  onStep,
  pausedFrom,
  pending,
  plan,
  secondsAgo,
} from '../../../test/support/rollout.js';
import { type ActivePhase, decide, type Evidence, type Phase, type Plan } from './index.js';

const look = (phase: Phase, more: Partial<Evidence> = {}, own: Plan = plan) => decide(aRollout(phase, own), evidence(more), now);
const verdictOf = (verdict: 'pass' | 'fail' | 'inconclusive' | 'unmeasured'): Partial<Evidence> => ({
  gate: { verdict, note: 'as counted', effect: -0.05, lower: -0.08, upper: -0.02, evaluationId: 'e1' },
});
const unproven: Partial<Evidence> = {
  promotion: [
    { check: 'entropy', logE: 4, needed: 3, proven: true },
    { check: 'errors', logE: 1, needed: 3, proven: false },
  ],
};
const amber: Partial<Evidence> = { combined: { logE: Math.log(10), threshold: Math.log(100), share: {} } };
const counted = (more: Partial<Evidence['counts']>): Partial<Evidence> => ({ counts: { ...evidence().counts, ...more } });
const withStep = (weightPct: number): Plan => ({
  ...plan,
  steps: [
    { ...(plan.steps[0] as Plan['steps'][number]), weightPct: 5 },
    { ...(plan.steps[1] as Plan['steps'][number]), weightPct },
  ],
});
const candidateFailed: Partial<Evidence> = { arms: { stable: { state: 'ready' }, candidate: { state: 'failed', reason: 'SIGABRT' } } };
const stableFailed: Partial<Evidence> = { arms: { stable: { state: 'failed', reason: 'SIGABRT' }, candidate: { state: 'ready' } } };
const candidateAway: Partial<Evidence> = {
  arms: { stable: { state: 'ready' }, candidate: { state: 'unreachable', reason: 'connection refused', forS: 3_600 } },
};
const stableAway = (forS: number): Partial<Evidence> => ({
  arms: { stable: { state: 'unreachable', reason: 'connection refused', forS }, candidate: { state: 'ready' } },
});
const bothFailed: Partial<Evidence> = { arms: { stable: { state: 'failed' }, candidate: { state: 'failed' } } };

type Row = [what: string, phase: Phase, more: Partial<Evidence>, transition: string, next: string, code: string, own?: Plan];

describe('each phase is left, or held, for one reason', () => {
  it.each<Row>([
    // pending
    ['pending starts when both engines answer and the scores are fitted', pending(), {}, 'start', 'progressing', 'started'],
    ['pending with a gate begins it first', pending(), {}, 'gate', 'gating', 'gate.started', gatedPlan],
    [
      'pending waits for a loading candidate',
      pending(),
      { arms: { stable: { state: 'ready' }, candidate: { state: 'loading' } } },
      'hold',
      'pending',
      'engine.not-ready',
    ],
    [
      'pending asks when it waited too long',
      pending(601),
      { arms: { stable: { state: 'ready' }, candidate: { state: 'loading' } } },
      'pause',
      'paused',
      'engine.not-ready',
    ],
    [
      'pending waits for a thicker reference',
      pending(),
      { reference: { responses: 20, fitted: false } },
      'hold',
      'pending',
      'reference.thin',
    ],
    [
      'pending asks when the reference stays thin',
      pending(3_601),
      { reference: { responses: 20, fitted: false } },
      'pause',
      'paused',
      'reference.thin',
    ],
    // gating
    ['a running gate is waited for', gating(), {}, 'hold', 'gating', 'gate.running', gatedPlan],
    ['a passed gate starts', gating(), verdictOf('pass'), 'start', 'progressing', 'started', gatedPlan],
    [
      'a passed gate still waits for the reference',
      gating(),
      { ...verdictOf('pass'), reference: { responses: 3, fitted: false } },
      'hold',
      'gating',
      'reference.thin',
      gatedPlan,
    ],
    [
      'a failed gate rolls back before any user met the candidate',
      gating(),
      verdictOf('fail'),
      'rollback',
      'rolledBack',
      'gate.failed',
      gatedPlan,
    ],
    ['an inconclusive gate asks', gating(), verdictOf('inconclusive'), 'pause', 'paused', 'gate.inconclusive', gatedPlan],
    ['an unmeasured gate asks', gating(), verdictOf('unmeasured'), 'pause', 'paused', 'gate.inconclusive', gatedPlan],
    // progressing
    ['a proven step advances', onStep(0), {}, 'advance', 'progressing', 'proof'],
    ['the last proven step bakes', onStep(1), {}, 'bake', 'baking', 'proof'],
    ['a step lasts its least time', onStep(0, 59), {}, 'hold', 'progressing', 'step.time'],
    ['a step waits for its least responses', onStep(0), counted({ stepCandidate: 49 }), 'hold', 'progressing', 'step.responses'],
    ['a step waits for every proof', onStep(0), unproven, 'hold', 'progressing', 'unproven'],
    ['a step without any proof is never left', onStep(0), { promotion: [] }, 'hold', 'progressing', 'unproven'],
    ['amber is not left forward', onStep(0), amber, 'hold', 'progressing', 'amber'],
    [
      'a step waits for gateways that still serve by an older table',
      onStep(0),
      { gateways: { live: 2, applied: 1 } },
      'hold',
      'progressing',
      'propagating',
    ],
    ['a step without a live gateway is held', onStep(0), { gateways: { live: 0, applied: 0 } }, 'hold', 'progressing', 'propagating'],
    ['the deadline without proof asks', onStep(0, 1_001), unproven, 'pause', 'paused', 'deadline'],
    ['the deadline in amber asks', onStep(0, 1_001), amber, 'pause', 'paused', 'deadline'],
    ['the deadline with too few responses asks', onStep(0, 1_001), counted({ stepCandidate: 3 }), 'pause', 'paused', 'deadline'],
    [
      'the deadline while a gateway does not follow asks',
      onStep(0, 1_001),
      { gateways: { live: 2, applied: 1 } },
      'pause',
      'paused',
      'deadline',
    ],
    ['proof after the deadline still counts', onStep(0, 1_001), {}, 'advance', 'progressing', 'proof'],
    ['a silent candidate asks', onStep(0, 700), counted({ lastCandidateAt: secondsAgo(601) }), 'pause', 'paused', 'no-data'],
    ['a silent stable asks', onStep(0, 700), counted({ lastStableAt: null }), 'pause', 'paused', 'no-data'],
    [
      'silence counts from the step, not from before it',
      onStep(0, 100),
      counted({ lastCandidateAt: secondsAgo(601), stepCandidate: 0 }),
      'hold',
      'progressing',
      'step.responses',
    ],
    ['at 100% only time passes', onStep(1), unproven, 'bake', 'baking', 'proof', withStep(100)],
    ['at 100% stable may be silent', onStep(1, 700), counted({ lastStableAt: null }), 'bake', 'baking', 'proof', withStep(100)],
    [
      'at 100% a candidate that answered nobody is held',
      onStep(1),
      counted({ lastCandidateAt: null }),
      'hold',
      'progressing',
      'step.responses',
      withStep(100),
    ],
    ['at 100% a silent candidate asks', onStep(1, 700), counted({ lastCandidateAt: null }), 'pause', 'paused', 'no-data', withStep(100)],
    // baking
    ['a bake ends in promotion', baking(), {}, 'promote', 'promoted', 'proof'],
    ['a bake lasts its time', baking(99), {}, 'hold', 'baking', 'bake.time'],
    ['a bake in amber waits', baking(), amber, 'hold', 'baking', 'amber'],
    [
      'a bake waits for a candidate that restarts',
      baking(),
      { arms: { stable: { state: 'ready' }, candidate: { state: 'loading' } } },
      'hold',
      'baking',
      'engine.not-ready',
    ],
    [
      'a bake in which nobody was answered promotes nothing',
      baking(),
      counted({ lastCandidateAt: secondsAgo(300) }),
      'hold',
      'baking',
      'bake.responses',
    ],
    ['a silent arm during the bake asks', baking(700), counted({ lastStableAt: secondsAgo(601) }), 'pause', 'paused', 'no-data'],
    // paused
    ['a pause stays', pausedFrom(onStep(0)), {}, 'hold', 'paused', 'operator'],
    [
      'a pause after the gate stays when the gate changes its mind',
      pausedFrom(gating(), 'gate.inconclusive'),
      verdictOf('pass'),
      'hold',
      'paused',
      'gate.inconclusive',
      gatedPlan,
    ],
  ])('%s', (_what, phase, more, transition, next, code, own = plan) => {
    const decision = look(phase, more, own);
    expect([decision.transition, decision.next.phase, decision.reason.code]).toEqual([transition, next, code]);
  });

  it('a deadline says what was waited for', () => {
    expect(look(onStep(0, 1_001), unproven).reason).toMatchObject({
      code: 'deadline',
      text: 'unproven',
      check: 'errors',
      numbers: { logE: 1, needed: 3 },
    });
  });

  it('a pause remembers where it was and why, and keeps the time of its own', () => {
    expect(look(onStep(1, 700), counted({ lastCandidateAt: null })).next).toEqual({
      phase: 'paused',
      since: now,
      from: onStep(1, 700),
      reason: { code: 'no-data', direction: 'candidate', text: 'the other arm answers', numbers: { silentS: 700 } },
    });
  });

  it('a hold returns the very phase it found, and looks again in a second', () => {
    const phase = onStep(0, 10);
    const decision = look(phase);
    expect(decision.next).toBe(phase);
    expect(decision.nextLookAt).toBe(now + 1_000);
  });

  it('a rollout on a step that its plan does not have is a broken assumption', () => {
    expect(() => look(onStep(7))).toThrow(/step 7 of 2/);
  });
});

describe('a failed check', () => {
  const failing = (findings: Evidence['findings'], logE = 9): Partial<Evidence> => ({
    findings,
    combined: { logE, threshold: Math.log(100), share: {} },
  });

  it.each<[string, ActivePhase]>([
    ['on the first look of a step', onStep(0, 0)],
    ['while everything else is proven', onStep(0)],
    ['during the bake', baking(1)],
  ])('takes the candidate back %s', (_when, phase) => {
    for (const from of [phase, pausedFrom(phase)]) {
      const decision = look(from, failing([aFinding('entropy', 'fail', 9)]));
      expect(decision.transition).toBe('rollback');
      expect(decision.reason).toMatchObject({
        code: 'check.failed',
        check: 'entropy',
        direction: 'up',
        numbers: { effect: 0.3, lower: 0.2, upper: 0.4, logE: 9, served: 100 },
      });
      expect(decision.next).toMatchObject({ phase: 'rolledBack', at: now, reason: { code: 'check.failed' } });
    }
  });

  it('is nothing before the candidate takes traffic', () => {
    for (const phase of [pending(), pausedFrom(pending())])
      expect(look(phase, failing([aFinding('entropy', 'fail', 9)])).transition).not.toBe('rollback');
  });

  it('names the one nearest to the cause: a version that loops is long, therefore slow', () => {
    const all = failing([
      aFinding('latency', 'fail', 50),
      aFinding('length', 'fail', 20),
      aFinding('entropy', 'fail', 9),
      aFinding('errors', 'inconclusive', 60),
    ]);
    expect(look(onStep(0), all).reason.check).toBe('entropy');
  });

  it('need not be one alone: the average reaching the threshold is enough, and the strongest is named', () => {
    const together = failing([aFinding('latency', 'inconclusive', 5.1), aFinding('entropy', 'inconclusive', 4.9)], Math.log(100));
    expect(look(onStep(0), together)).toMatchObject({ transition: 'rollback', reason: { check: 'latency' } });
  });

  it('below the threshold changes nothing', () => {
    expect(look(onStep(0), failing([aFinding('latency', 'inconclusive', 5.1)], Math.log(100) - 1e-9)).transition).toBe('hold');
  });
});

describe('servers that cannot be reached', () => {
  it('of the candidate take nothing back and let nothing forward, however good the proof: it has shown nothing', () => {
    for (const phase of [onStep(0, 700), baking(700)]) {
      const decision = look(phase, candidateAway);
      expect(decision).toMatchObject({ next: phase, transition: 'hold', reason: { code: 'engine.not-ready', direction: 'candidate' } });
      expect(decision.reason.text).toBe('candidate unreachable: connection refused');
    }
    expect(look(pending(), candidateAway)).toMatchObject({ transition: 'hold', next: { phase: 'pending' } });
  });

  it('of the candidate are asked about when the step is overdue', () => {
    const { deadlineS = 0 } = plan.steps[0] ?? {};
    const seen = { ...candidateAway, counts: { ...evidence().counts, lastCandidateAt: secondsAgo(1), lastStableAt: secondsAgo(1) } };
    expect(look(onStep(0, deadlineS + 1), seen)).toMatchObject({ transition: 'pause', reason: { code: 'deadline' } });
  });

  it('of the candidate do not shield it from what users met before', () => {
    const bad: Partial<Evidence> = { findings: [aFinding('errors', 'fail', 9)], combined: { logE: 9, threshold: 4.6, share: {} } };
    expect(look(onStep(0), { ...bad, ...candidateAway })).toMatchObject({ transition: 'rollback', reason: { check: 'errors' } });
  });

  it('of stable hold everything for half a minute, then a person is asked', () => {
    const bad: Partial<Evidence> = { findings: [aFinding('entropy', 'fail', 9)], combined: { logE: 9, threshold: 4.6, share: {} } };
    for (const phase of [pending(), onStep(0), baking()]) {
      expect(look(phase, { ...bad, ...stableAway(30) })).toMatchObject({
        transition: 'hold',
        next: phase,
        reason: { code: 'stable.unreachable', direction: 'stable', text: 'connection refused' },
      });
      expect(look(phase, { ...bad, ...stableAway(31) })).toMatchObject({ transition: 'pause', reason: { code: 'stable.unreachable' } });
    }
    expect(look(onStep(0), bad).transition).toBe('rollback');
  });

  it('of stable are nowhere to roll back to, for a failed candidate as for a person', () => {
    const worse: Partial<Evidence> = { arms: { stable: { state: 'unreachable' }, candidate: { state: 'failed' } } };
    expect(look(onStep(0), worse).transition).toBe('hold');
    expect(look(pending(), worse).transition).toBe('rollback');
    const command = { kind: 'rollback', reason: 'enough', actor: 'ada' } as const;
    expect(look(onStep(0), { ...stableAway(5), command })).toMatchObject({ transition: 'hold', reason: { code: 'command.refused' } });
    expect(look(onStep(0), { ...worse, command }).transition).toBe('rollback');
  });
});

describe('a failed engine', () => {
  const everywhere = [pending(), gating(), onStep(0), baking(), pausedFrom(onStep(0)), pausedFrom(pending())];

  it('of the candidate rolls it back from everywhere, with the reason that the gateway gave', () => {
    for (const phase of everywhere)
      expect(look(phase, candidateFailed, gatedPlan)).toMatchObject({
        transition: 'rollback',
        next: { phase: 'rolledBack' },
        reason: { code: 'engine.failed', check: 'engine', direction: 'candidate', text: 'SIGABRT' },
      });
  });

  it('of stable pauses and asks, keeping the weight: going back would leave nobody to answer', () => {
    for (const phase of [pending(), gating(), onStep(0), baking()])
      expect(look(phase, stableFailed, gatedPlan)).toMatchObject({
        transition: 'pause',
        next: { phase: 'paused', from: phase, reason: { code: 'stable.failed', direction: 'stable', text: 'SIGABRT' } },
      });
    expect(look(pausedFrom(onStep(0)), stableFailed)).toMatchObject({ transition: 'hold', reason: { code: 'stable.failed' } });
  });

  it('of stable holds even a failed check back, and lets it through when stable answers again', () => {
    const bad: Partial<Evidence> = { findings: [aFinding('entropy', 'fail', 9)], combined: { logE: 9, threshold: 4.6, share: {} } };
    expect(look(onStep(0), { ...bad, ...stableFailed }).transition).toBe('pause');
    expect(look(pausedFrom(onStep(0), 'stable.failed'), { ...bad, ...stableFailed }).transition).toBe('hold');
    expect(look(pausedFrom(onStep(0), 'stable.failed'), bad).transition).toBe('rollback');
  });

  it('of both moves no user, and ends a rollout that has none', () => {
    expect(look(onStep(0), bothFailed)).toMatchObject({ transition: 'pause', reason: { code: 'stable.failed' } });
    expect(look(pending(), bothFailed)).toMatchObject({ transition: 'rollback', reason: { code: 'engine.failed' } });
  });

  it('comes before everything the evidence says, and after what a person says', () => {
    const order: Partial<Evidence> = {
      ...candidateFailed,
      findings: [aFinding('entropy', 'fail', 9)],
      combined: { logE: 9, threshold: 4.6, share: {} },
    };
    expect(look(onStep(0), order).reason.code).toBe('engine.failed');
    expect(look(onStep(0), { ...order, command: { kind: 'abort', reason: 'enough', actor: 'ada' } }).transition).toBe('abort');
  });
});

describe('without data', () => {
  it('a rollout never moves forward, and is never called bad: it holds, then asks', () => {
    for (const phase of [pending(10), gating(10), onStep(0, 100), onStep(1, 100), baking(300)])
      expect(decide(aRollout(phase, gatedPlan), noData(), now)).toMatchObject({ transition: 'hold' });
    for (const phase of [pending(601), onStep(0, 601), onStep(1, 601), baking(601)])
      expect(decide(aRollout(phase, gatedPlan), noData(), now)).toMatchObject({ transition: 'pause' });
  });
});

describe('an ended rollout', () => {
  it.each<Phase>([
    { phase: 'promoted', at: secondsAgo(5) },
    { phase: 'rolledBack', at: secondsAgo(5), reason: { code: 'operator' } },
    { phase: 'aborted', at: secondsAgo(5), reason: { code: 'operator' } },
  ])('stays $phase whatever comes', (phase) => {
    for (const kind of ['pause', 'resume', 'promote', 'rollback', 'abort'] as const) {
      const decision = look(phase, { ...candidateFailed, command: { kind, reason: 'late', actor: 'ada' } });
      expect(decision).toMatchObject({ transition: 'hold', reason: { code: 'ended' } });
      expect(decision.next).toBe(phase);
    }
  });
});
