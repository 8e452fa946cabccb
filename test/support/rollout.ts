// Rollouts and evidence for specs of the decision: everything is well unless the spec says otherwise.
import type { Finding } from '#libs/base';
import { type ActivePhase, defaultPlan, type Evidence, type OperatorCommand, type Phase, type Plan, type Rollout } from '#libs/rollout';

/** "Now" of these specs, milliseconds since the Unix epoch. */
export const now = 1_800_000_000_000;
export const secondsAgo = (seconds: number): number => now - seconds * 1000;

/** Two steps with least times, a deadline of 1,000 s and a bake of 100 s. */
export const plan: Plan = {
  ...defaultPlan,
  steps: [
    { weightPct: 5, minS: 60, minResponses: 50, deadlineS: 1_000, approval: false },
    { weightPct: 50, minS: 60, minResponses: 50, deadlineS: 1_000, approval: false },
  ],
  bakeS: 100,
  noDataLimitS: 600,
};
export const gatedPlan: Plan = { ...plan, gate: { testSet: 'support', margin: 0.02, minCases: 100, maxErrorShare: 0.02 } };

export function aRollout(phase: Phase, own: Plan = plan): Rollout {
  return {
    id: 'r1',
    model: 'support',
    stableVersionId: 'v1',
    candidateVersionId: 'v2',
    plan: own,
    phase,
    epoch: 2,
    epochSince: secondsAgo(100),
    createdAt: secondsAgo(5_000),
  };
}

export function aFinding(check: Finding['check'], verdict: Finding['verdict'], logE = 0): Finding {
  return {
    check,
    verdict,
    logE,
    direction: 'up',
    effect: 0.3,
    lower: 0.2,
    upper: 0.4,
    marginUp: 0.1,
    marginDown: -0.1,
    unit: 'ratio',
    nStable: 900,
    nCandidate: 100,
  };
}

/** Both arms answer, all gateways follow, everything is proven: the next step could be taken. */
export function evidence(more: Partial<Evidence> = {}): Evidence {
  return {
    at: now,
    epoch: 2,
    arms: { stable: { state: 'ready' }, candidate: { state: 'ready' } },
    gateways: { live: 2, applied: 2 },
    gate: null,
    reference: { responses: 600, fitted: true },
    findings: [aFinding('entropy', 'pass'), aFinding('errors', 'pass')],
    combined: { logE: 0, threshold: Math.log(100), share: {} },
    promotion: [
      { check: 'entropy', logE: 4, needed: Math.log(20), proven: true },
      { check: 'errors', logE: 4, needed: Math.log(20), proven: true },
    ],
    counts: {
      stable: 900,
      candidate: 100,
      candidateUnits: 100,
      stepCandidate: 100,
      stepStable: 900,
      lastStableAt: secondsAgo(1),
      lastCandidateAt: secondsAgo(1),
    },
    command: null,
    ...more,
  };
}

/** No gateway reports, nobody was answered, nothing was judged. */
export function noData(more: Partial<Evidence> = {}): Evidence {
  return evidence({
    arms: { stable: { state: 'unknown' }, candidate: { state: 'unknown' } },
    gateways: { live: 0, applied: 0 },
    reference: { responses: 0, fitted: false },
    findings: [aFinding('entropy', 'unmeasured'), aFinding('errors', 'unmeasured')],
    promotion: [
      { check: 'entropy', logE: 0, needed: Math.log(20), proven: false },
      { check: 'errors', logE: 0, needed: Math.log(20), proven: false },
    ],
    counts: { stable: 0, candidate: 0, candidateUnits: 0, stepCandidate: 0, stepStable: 0, lastStableAt: null, lastCandidateAt: null },
    ...more,
  });
}

export const command = (kind: OperatorCommand['kind']): OperatorCommand => ({ kind, reason: 'because', actor: 'ada' });

export const pending = (sinceS = 10): ActivePhase => ({ phase: 'pending', since: secondsAgo(sinceS) });
export const shadowing = (sinceS = 10): ActivePhase => ({ phase: 'shadowing', since: secondsAgo(sinceS) });
export const gating = (sinceS = 10): ActivePhase => ({ phase: 'gating', since: secondsAgo(sinceS) });
export const onStep = (step: number, sinceS = 100): ActivePhase => ({ phase: 'progressing', step, since: secondsAgo(sinceS) });
export const baking = (sinceS = 200): ActivePhase => ({ phase: 'baking', step: 1, since: secondsAgo(sinceS) });
export const pausedFrom = (from: ActivePhase, code = 'operator'): Phase => ({
  phase: 'paused',
  since: secondsAgo(50),
  reason: { code },
  from,
});
