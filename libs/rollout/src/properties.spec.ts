import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aFinding, aRollout, command, evidence, gatedPlan, noData, now, plan } from '../../../test/support/rollout.js';
import {
  type ActivePhase,
  decide,
  defaultShadow,
  type Evidence,
  freezeOf,
  graph,
  isDone,
  isExposed,
  isTerminal,
  mayFollow,
  type Phase,
  type PhaseName,
  type Plan,
  replay,
  weightOf,
} from './index.js';

const times = fc.integer({ min: now - 2_000_000, max: now });
const whole: Plan = { ...plan, steps: plan.steps.map((step, index) => (index === 1 ? { ...step, weightPct: 100 } : step)) };
const shadowed: Plan = { ...gatedPlan, shadow: { ...defaultShadow, share: 0.1, deadlineS: 1_000 } };
const frozen: Plan = { ...shadowed, freeze: [{ start: now - 1, end: now + 1 }] };
const asking: Plan = {
  ...shadowed,
  steps: shadowed.steps.map((step) => ({ ...step, approval: true })),
  promotion: { ...plan.promotion, approval: true },
  exposure: { maxResponses: 500, maxUnits: 400 },
};
/** A plan without a shadow is never shadowing. */
const plans = fc.constantFrom(shadowed, { ...whole, shadow: shadowed.shadow }, frozen, asking);
const activePhases: fc.Arbitrary<ActivePhase> = fc.oneof(
  fc.record({ phase: fc.constantFrom('pending' as const, 'gating' as const, 'shadowing' as const), since: times }),
  fc.record({ phase: fc.constant('progressing' as const), since: times, step: fc.integer({ min: 0, max: 1 }) }),
  fc.record({ phase: fc.constant('baking' as const), since: times, step: fc.constant(1) }),
);
const reasons = fc.record({
  code: fc.constantFrom(
    'operator',
    'gate.inconclusive',
    'shadow.inconclusive',
    'shift.unexpected',
    'approval',
    'exposure',
    'no-data',
    'deadline',
    'stable.failed',
    'reference.thin',
  ),
});
const livePhases: fc.Arbitrary<Phase> = fc.oneof(
  activePhases,
  fc.record({ phase: fc.constant('paused' as const), since: times, reason: reasons, from: activePhases }),
);
const endedPhases: fc.Arbitrary<Phase> = fc.oneof(
  fc.record({ phase: fc.constant('promoted' as const), at: times }),
  fc.record({ phase: fc.constantFrom('rolledBack' as const, 'aborted' as const), at: times, reason: reasons }),
);
const verdicts = fc.constantFrom('pass' as const, 'fail' as const, 'inconclusive' as const, 'unmeasured' as const);
const checks = fc.constantFrom(
  'entropy' as const,
  'length' as const,
  'errors' as const,
  'latency' as const,
  'quality' as const,
  'engine' as const,
);
const kinds = ['pause', 'resume', 'promote', 'rollback', 'abort'] as const;
const logs = fc.double({ min: -700, max: 700, noNaN: true });
const counts = fc.integer({ min: 0, max: 5_000 });
const arms = fc.record({
  state: fc.constantFrom('ready' as const, 'loading' as const, 'unreachable' as const, 'failed' as const, 'unknown' as const),
});
const evidences: fc.Arbitrary<Evidence> = fc
  .record({
    arms: fc.record({ stable: arms, candidate: arms }),
    gateways: fc.record({ live: fc.integer({ min: 0, max: 3 }), applied: fc.integer({ min: 0, max: 3 }) }),
    gate: fc.option(
      fc.record({
        verdict: verdicts,
        note: fc.constant('x'),
        effect: fc.option(logs),
        lower: fc.option(logs),
        upper: fc.option(logs),
        evaluationId: fc.constant('e'),
      }),
    ),
    shadow: fc.option(fc.record({ verdict: verdicts, pairs: counts, forced: counts, findings: fc.constant([]), note: fc.constant('x') })),
    expected: fc.constantFrom([], [{ metric: 'entropy' as const, lower: 0.3, upper: 0.4, source: 'shadow' as const }]),
    reference: fc.record({ responses: counts, fitted: fc.boolean() }),
    findings: fc.array(
      fc.tuple(checks, verdicts, logs).map(([check, verdict, logE]) => aFinding(check, verdict, logE)),
      { maxLength: 5 },
    ),
    combined: fc.record({ logE: logs, threshold: fc.constant(Math.log(100)), share: fc.constant({}) }),
    promotion: fc.array(fc.record({ check: checks, logE: logs, needed: fc.constant(3), proven: fc.boolean() }), { maxLength: 3 }),
    counts: fc.record({
      stable: counts,
      candidate: counts,
      candidateUnits: counts,
      stepCandidate: counts,
      stepStable: counts,
      lastStableAt: fc.option(times),
      lastCandidateAt: fc.option(times),
    }),
    command: fc.option(
      fc.record({
        kind: fc.constantFrom(...kinds),
        reason: fc.constant('because'),
        actor: fc.constant('ada'),
      }),
      { freq: 2 },
    ),
  })
  .map((more) => evidence(more));

const runs = { numRuns: 3_000, seed: 7 };

describe('whatever the evidence', () => {
  it('a decision stays within the graph, and on a step that the plan has', () => {
    fc.assert(
      fc.property(livePhases, plans, evidences, (phase, own, seen) => {
        const { next, transition } = decide(aRollout(phase, own), seen, now);
        expect(mayFollow(phase.phase, next.phase)).toBe(true);
        if ('step' in next) expect(own.steps[next.step]).toBeDefined();
        if (transition === 'hold') expect(next).toBe(phase);
        else expect(next).not.toEqual(phase);
      }),
      runs,
    );
  });

  it('an ended rollout does not change', () => {
    fc.assert(
      fc.property(endedPhases, plans, evidences, (phase, own, seen) => {
        expect(decide(aRollout(phase, own), seen, now)).toMatchObject({ transition: 'hold', next: phase });
      }),
      runs,
    );
  });

  it('the weight rises only on proof, by one step at a time, or by a person', () => {
    fc.assert(
      fc.property(livePhases, plans, evidences, (phase, own, seen) => {
        const { next, transition } = decide(aRollout(phase, own), seen, now);
        if (weightOf(next, own) <= weightOf(phase, own)) return;
        expect(['start', 'advance', 'resume']).toContain(transition);
        if (transition === 'resume') expect(seen.command?.kind).toBe('resume');
        if (transition === 'start') expect([seen.reference.fitted, seen.arms.candidate.state]).toEqual([true, 'ready']);
        if (transition === 'start' && phase.phase === 'shadowing') expect(seen.shadow?.verdict).toBe('pass');
        if (transition === 'advance') {
          expect(seen.promotion.length).toBeGreaterThan(0);
          expect(seen.promotion.every((proof) => proof.proven)).toBe(true);
          const blind = seen.findings.filter(({ verdict }) => verdict === 'unmeasured').map(({ check }) => check);
          expect(seen.promotion.some((proof) => blind.includes(proof.check))).toBe(
            own.steps[(phase as { step: number }).step]?.weightPct === 100,
          );
          expect((next as { step: number }).step).toBe((phase as { step: number }).step + 1);
        }
      }),
      runs,
    );
  });

  it('a freeze lets nothing forward, whoever asks, while stable can serve; and it keeps no rollback back', () => {
    fc.assert(
      fc.property(livePhases, evidences, (phase, seen) => {
        const { next, transition } = decide(aRollout(phase, frozen), seen, now);
        if (!['failed', 'unreachable'].includes(seen.arms.stable.state)) expect(transition).not.toBe('promote');
        expect(weightOf(next, frozen)).toBeLessThanOrEqual(weightOf(phase, frozen));
        const back = decide(aRollout(phase, frozen), { ...seen, arms: evidence().arms, command: command('rollback') }, now);
        expect(back.transition).toBe('rollback');
      }),
      runs,
    );
  });

  it('nobody but a person promotes where the plan asks for one, and nothing unmeasured is promoted', () => {
    fc.assert(
      fc.property(livePhases, plans, evidences, (phase, own, seen) => {
        const { transition } = decide(aRollout(phase, own), seen, now);
        if (transition !== 'promote' || seen.command) return;
        expect(own.promotion.approval).toBe(false);
        const blind = seen.findings.filter(({ verdict }) => verdict === 'unmeasured').map(({ check }) => check);
        expect(seen.promotion.some(({ check }) => blind.includes(check))).toBe(false);
      }),
      runs,
    );
  });

  it('a spent budget takes the traffic away, unless stable cannot take it or a check takes it for good', () => {
    fc.assert(
      fc.property(livePhases, evidences, (phase, seen) => {
        const spent: Evidence = { ...seen, command: null, counts: { ...seen.counts, candidate: 500 } };
        const { next } = decide(aRollout(phase, asking), spent, now);
        if (['failed', 'unreachable'].includes(seen.arms.stable.state)) return;
        expect(isExposed(phase) ? weightOf(next, asking) : 0).toBe(0);
      }),
      runs,
    );
  });

  it('a command that asks for what is so already changes nothing', () => {
    fc.assert(
      fc.property(fc.oneof(livePhases, endedPhases), plans, fc.constantFrom(...kinds), (phase, own, kind) => {
        if (!isDone(phase, kind)) return;
        const decision = decide(aRollout(phase, own), evidence({ command: command(kind) }), now);
        if (weightOf(decision.next, own) === weightOf(phase, own)) expect(decision).toMatchObject({ transition: 'hold', next: phase });
      }),
      runs,
    );
  });

  it('it never rises while a check fails, and without a person the candidate is then gone or kept for want of a stable', () => {
    fc.assert(
      fc.property(livePhases, plans, evidences, (phase, own, seen) => {
        const failing: Evidence = { ...seen, command: null, findings: [...seen.findings, aFinding('entropy', 'fail', 9)] };
        const { next, transition } = decide(aRollout(phase, own), failing, now);
        if (weightOf(phase, own) === 0) return;
        expect(weightOf(next, own)).toBeLessThanOrEqual(weightOf(phase, own));
        if (!['failed', 'unreachable'].includes(seen.arms.stable.state)) expect(transition).toBe('rollback');
        else expect(['hold', 'pause']).toContain(transition);
      }),
      runs,
    );
  });

  it('the same input gives the same decision, and leaves the input alone', () => {
    fc.assert(
      fc.property(livePhases, plans, evidences, (phase, own, seen) => {
        const rollout = aRollout(phase, own);
        const copy = structuredClone({ rollout, seen });
        const first = decide(rollout, seen, now);
        expect(decide(copy.rollout, copy.seen, now)).toEqual(first);
        expect({ rollout, seen }).toEqual(copy);
        expect(replay([{ rollout, evidence: seen, now, transition: first.transition }])).toEqual([]);
      }),
      runs,
    );
  });

  it('no data neither promotes nor moves forward nor rolls back, however long it lasts', () => {
    fc.assert(
      fc.property(livePhases, plans, (phase, own) => {
        const { transition } = decide(aRollout(phase, own), noData(), now);
        expect(['hold', 'pause']).toContain(transition);
      }),
      runs,
    );
  });

  it('nothing is decided twice: a rollout that only moved is not moved back by the same evidence', () => {
    fc.assert(
      fc.property(livePhases, plans, evidences, (phase, own, seen) => {
        const first = decide(aRollout(phase, own), { ...seen, command: null }, now);
        if (first.transition !== 'pause') return;
        expect(['hold', 'rollback']).toContain(decide(aRollout(first.next, own), { ...seen, command: null }, now).transition);
      }),
      runs,
    );
  });
});

describe('freeze windows', () => {
  const minutes = fc.integer({ min: 0, max: 20_000_000 }).map((minute) => minute * 60_000);
  const clocks = fc
    .integer({ min: 0, max: 1_439 })
    .map((minute) => `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`);
  const windows = fc.array(
    fc.oneof(
      fc.record({
        days: fc.uniqueArray(fc.constantFrom('sun' as const, 'mon' as const, 'sat' as const), { minLength: 1 }),
        from: clocks,
        to: clocks,
      }),
      fc.tuple(minutes, minutes).map(([a, b]) => ({ start: Math.min(a, b), end: Math.max(a, b) + 1 })),
    ),
    { maxLength: 4 },
  );

  it('end where they say: a minute of a freeze is frozen until its end, and its end is free', () => {
    fc.assert(
      fc.property(windows, minutes, (own, at) => {
        const { until } = freezeOf(own, at);
        if (until === null) return;
        expect(until).toBeGreaterThan(at);
        expect(freezeOf(own, until).until).toBeNull();
        expect(freezeOf(own, until - 1).until).toBe(until);
      }),
      { numRuns: 2_000, seed: 7 },
    );
  });

  it('on a Friday evening last until Monday morning', () => {
    const own = [
      { days: ['fri', 'sat', 'sun'] as const, from: '18:00', to: '18:00' },
      { days: ['sun'] as const, from: '18:00', to: '08:30' },
    ];
    const at = (text: string): number => Date.parse(text);
    expect(freezeOf(own, at('2026-12-04T17:59:00Z')).until).toBeNull();
    expect(freezeOf(own, at('2026-12-04T18:00:00Z')).until).toBe(at('2026-12-07T18:00:00Z'));
    const weekend = [
      { days: ['fri', 'sat'] as const, from: '18:00', to: '18:00' },
      { days: ['sun'] as const, from: '18:00', to: '08:30' },
    ];
    expect(freezeOf(weekend, at('2026-12-04T18:00:00Z')).until).toBe(at('2026-12-07T08:30:00Z'));
    expect(freezeOf(weekend, at('2026-12-07T08:30:00Z')).until).toBeNull();
    expect(freezeOf([{ days: ['sat'], from: '22:00', to: '06:00' }], at('2026-12-06T05:00:00Z')).until).toBe(at('2026-12-06T06:00:00Z'));
    expect(freezeOf([{ start: at('2026-12-24T00:00:00Z'), end: at('2026-12-27T00:00:00Z') }], at('2026-12-25T12:00:00Z')).until).toBe(
      at('2026-12-27T00:00:00Z'),
    );
  });

  it('may not cover the whole week', () => {
    const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;
    expect(freezeOf([{ days, from: '00:00', to: '00:00' }]).always).toBe(true);
    expect(freezeOf([{ days, from: '00:00', to: '23:59' }]).always).toBe(false);
  });
});

describe('the graph', () => {
  const names = Object.keys(graph) as PhaseName[];

  it('reaches every phase from the first', () => {
    const reached = new Set<PhaseName>(['pending']);
    for (const name of reached) for (const next of graph[name]) reached.add(next);
    expect([...reached].sort()).toEqual([...names].sort());
  });

  it('ends in promoted, rolledBack and aborted, and only there', () => {
    expect(names.filter((name) => graph[name].length === 0).sort()).toEqual(['aborted', 'promoted', 'rolledBack']);
  });

  it('leads from every live phase to a rollback and an abort in one move', () => {
    for (const name of names.filter((one) => graph[one].length > 0)) {
      expect(graph[name]).toContain('rolledBack');
      expect(graph[name]).toContain('aborted');
    }
  });

  it('knows its ends by the phase', () => {
    fc.assert(fc.property(endedPhases, (phase) => isTerminal(phase)));
    fc.assert(fc.property(livePhases, (phase) => !isTerminal(phase)));
  });
});
