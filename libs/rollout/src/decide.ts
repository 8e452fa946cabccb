// The decision: a pure function from a rollout and its evidence to a transition. Read it top to bottom: it is the order of judgment.

import type { CheckName, Finding } from '#libs/base';
import { obey } from './command.js';
import { held, moved } from './decision.js';
import { isTerminal } from './graph.js';
import { judgeHealth, notReady, paused } from './health.js';
import type { ActivePhase, Decision, Evidence, Phase, Reason, Rollout } from './model.js';
import { weightOf } from './weight.js';

const idleLookMs = 86_400_000;
/** Above this combined e-value a step is not left forward: too much smoke to walk on. */
const amberLogE = Math.log(10);

/** What happens next, why, and when to look again. `evidence.at` and `now` are milliseconds by the database's clock. */
export function decide(rollout: Rollout, evidence: Evidence, now: number): Decision {
  const { phase } = rollout;
  if (isTerminal(phase)) return { transition: 'hold', reason: { code: 'ended' }, next: phase, nextLookAt: now + idleLookMs };
  return (
    obey(rollout, evidence, now) ??
    judgeHealth(rollout, evidence, now) ??
    judgeEvidence(rollout, evidence, now) ??
    proceed(rollout, phase, evidence, now)
  );
}

/** Any check that fails takes the candidate back at once, without waiting for a bake, also during a pause. */
function judgeEvidence(rollout: Rollout, evidence: Evidence, now: number): Decision | null {
  if (weightOf(rollout.phase, rollout.plan) === 0) return null;
  const failed = nearestCause(evidence.findings);
  const { logE, threshold } = evidence.combined;
  if (!failed && logE < threshold) return null;
  const worst = failed ?? strongest(evidence.findings);
  const reason: Reason = { code: 'check.failed', ...(worst ? describe(worst, evidence) : { numbers: { logE, threshold } }) };
  return moved('rollback', { phase: 'rolledBack', at: now, reason }, reason, now);
}

/**
 * Several checks often fail at once: a version that loops is long, therefore slow. The one nearest to the cause is named, so that whoever is
 * on call looks in the right place.
 */
const causeOrder: readonly CheckName[] = [
  'engine',
  'memory',
  'errors',
  'refusals',
  'shape',
  'entropy',
  'length',
  'quality',
  'cost',
  'ttft',
  'interToken',
  'latency',
];

function nearestCause(findings: readonly Finding[]): Finding | undefined {
  const failed = findings.filter((finding) => finding.verdict === 'fail');
  return failed.toSorted((a, b) => causeOrder.indexOf(a.check) - causeOrder.indexOf(b.check))[0];
}

function strongest(findings: readonly Finding[]): Finding | undefined {
  return findings.toSorted((a, b) => b.logE - a.logE)[0];
}

function describe(finding: Finding, evidence: Evidence): Omit<Reason, 'code'> {
  const numbers: Record<string, number> = {
    logE: evidence.combined.logE,
    threshold: evidence.combined.threshold,
    nStable: finding.nStable,
    nCandidate: finding.nCandidate,
    served: evidence.counts.candidate,
  };
  for (const field of ['effect', 'lower', 'upper', 'marginUp', 'marginDown'] as const) {
    const value = finding[field];
    if (value !== null) numbers[field] = value;
  }
  return { check: finding.check, ...(finding.direction ? { direction: finding.direction } : {}), numbers };
}

function proceed(rollout: Rollout, phase: Exclude<Phase, { readonly at: number }>, evidence: Evidence, now: number): Decision {
  switch (phase.phase) {
    case 'pending':
      return leavePending(rollout, phase, evidence, now);
    case 'gating':
      return leaveGate(rollout, phase, evidence, now);
    case 'progressing':
      return leaveStep(rollout, phase, evidence, now);
    case 'baking':
      return leaveBake(rollout, phase, evidence, now);
    case 'paused':
      return held(phase, phase.reason, now);
  }
}

/** Both engines must answer before anything else is asked of the candidate. */
function leavePending(rollout: Rollout, phase: ActivePhase, evidence: Evidence, now: number): Decision {
  const { stable, candidate } = evidence.arms;
  if (stable.state !== 'ready' || candidate.state !== 'ready') {
    const why = [stable.reason, candidate.reason].filter((one) => one !== undefined).map((one) => `: ${one}`);
    const reason: Reason = { code: 'engine.not-ready', text: `stable ${stable.state}, candidate ${candidate.state}${why.join('')}` };
    return now - phase.since > rollout.plan.noDataLimitS * 1000 ? paused(phase, reason, now) : held(phase, reason, now);
  }
  if (rollout.plan.gate) return moved('gate', { phase: 'gating', since: now }, { code: 'gate.started' }, now);
  return startWhenFitted(rollout, phase, evidence, now);
}

function leaveGate(rollout: Rollout, phase: ActivePhase, evidence: Evidence, now: number): Decision {
  const { gate } = evidence;
  if (!gate) return held(phase, { code: 'gate.running' }, now);
  const numbers: Record<string, number> = {};
  for (const field of ['effect', 'lower', 'upper'] as const) {
    const value = gate[field];
    if (value !== null) numbers[field] = value;
  }
  if (gate.verdict === 'pass') return startWhenFitted(rollout, phase, evidence, now);
  if (gate.verdict === 'fail') {
    const reason: Reason = { code: 'gate.failed', check: 'quality', text: gate.note, numbers };
    return moved('rollback', { phase: 'rolledBack', at: now, reason }, reason, now);
  }
  return paused(phase, { code: 'gate.inconclusive', check: 'quality', text: gate.note, numbers }, now);
}

/** The first live response must meet frozen scores; without enough of stable's past there is nothing to compare with. */
export function startWhenFitted(rollout: Rollout, phase: ActivePhase, evidence: Evidence, now: number): Decision {
  if (!evidence.reference.fitted) {
    const reason: Reason = {
      code: 'reference.thin',
      numbers: { responses: evidence.reference.responses, needed: rollout.plan.reference.minResponses },
    };
    return now - phase.since > rollout.plan.reference.waitS * 1000 ? paused(phase, reason, now) : held(phase, reason, now);
  }
  return moved(
    'start',
    { phase: 'progressing', since: now, step: 0 },
    { code: 'started', numbers: { weightPct: rollout.plan.steps[0]?.weightPct ?? 0 } },
    now,
  );
}

function leaveStep(rollout: Rollout, phase: Exposed, evidence: Evidence, now: number): Decision {
  const step = rollout.plan.steps[phase.step];
  if (!step) throw new Error(`rollout ${rollout.id} is on step ${phase.step} of ${rollout.plan.steps.length}`);
  const propagating = evidence.gateways.live === 0 || evidence.gateways.applied < evidence.gateways.live;
  const elapsedMs = now - phase.since;
  /** No proof by the deadline: hold and ask, whatever it was that was waited for. */
  const overdue = (waiting: Reason): Decision =>
    elapsedMs > step.deadlineS * 1000
      ? paused(phase, { ...waiting, code: 'deadline', text: waiting.code }, now)
      : held(phase, waiting, now);
  const forward = (): Decision => {
    const next = rollout.plan.steps[phase.step + 1];
    const numbers = { candidate: evidence.counts.candidate, stable: evidence.counts.stable };
    return next
      ? moved(
          'advance',
          { phase: 'progressing', since: now, step: phase.step + 1 },
          { code: 'proof', numbers: { ...numbers, weightPct: next.weightPct } },
          now,
        )
      : moved('bake', { phase: 'baking', since: now, step: phase.step }, { code: 'proof', numbers }, now);
  };
  const silence = silentArm(rollout, phase, evidence, now);
  if (silence) return paused(phase, silence, now);
  if (propagating) return overdue({ code: 'propagating' });
  const away = notReady(evidence);
  if (away) return overdue(away);
  if (elapsedMs < step.minS * 1000) return held(phase, { code: 'step.time' }, now);
  // At 100% there is no stable beside the candidate: nothing to compare, only time to pass.
  if (step.weightPct === 100) return answeredSince(phase, evidence) ? forward() : overdue({ code: 'step.responses' });
  const unproven = evidence.promotion.filter((proof) => !proof.proven);
  const waiting: Reason | null =
    evidence.counts.stepCandidate < step.minResponses
      ? { code: 'step.responses' }
      : evidence.combined.logE >= amberLogE
        ? { code: 'amber' }
        : unproven[0]
          ? { code: 'unproven', check: unproven[0].check, numbers: { logE: unproven[0].logE, needed: unproven[0].needed } }
          : evidence.promotion.length === 0
            ? { code: 'unproven' }
            : null;
  return waiting ? overdue(waiting) : forward();
}

type Exposed = Extract<ActivePhase, { readonly step: number }>;

/** No data is never evidence: an arm that went silent pauses the rollout, it neither passes nor fails. At 100% stable is silent by plan. */
function silentArm({ plan }: Rollout, phase: Exposed, { counts }: Evidence, now: number): Reason | null {
  const alone = plan.steps[phase.step]?.weightPct === 100;
  for (const arm of alone ? (['candidate'] as const) : (['candidate', 'stable'] as const)) {
    const lastAt = arm === 'candidate' ? counts.lastCandidateAt : counts.lastStableAt;
    const silentMs = now - Math.max(lastAt ?? 0, phase.since);
    if (silentMs > plan.noDataLimitS * 1000) return { code: 'no-data', direction: arm, numbers: { silentS: Math.round(silentMs / 1000) } };
  }
  return null;
}

/** The candidate answered somebody in this phase. Observations carry the second in which they were assigned. */
function answeredSince(phase: Exposed, { counts }: Evidence): boolean {
  return counts.lastCandidateAt !== null && counts.lastCandidateAt + 1_000 > phase.since;
}

function leaveBake(rollout: Rollout, phase: Exposed, evidence: Evidence, now: number): Decision {
  const silence = silentArm(rollout, phase, evidence, now);
  if (silence) return paused(phase, silence, now);
  const away = notReady(evidence);
  if (away) return held(phase, away, now);
  if (evidence.combined.logE >= amberLogE) return held(phase, { code: 'amber' }, now);
  if (now - phase.since < rollout.plan.bakeS * 1000) return held(phase, { code: 'bake.time' }, now);
  if (!answeredSince(phase, evidence)) return held(phase, { code: 'bake.responses' }, now);
  return moved(
    'promote',
    { phase: 'promoted', at: now },
    { code: 'proof', numbers: { candidate: evidence.counts.candidate, stable: evidence.counts.stable } },
    now,
  );
}
