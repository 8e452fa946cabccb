// Before any user meets the candidate: engines, schedule, gate, mirrors, frozen scores.
import { held, moved } from './decision.js';
import { figuresOf, inCauseOrder } from './findings.js';
import { freezeOf } from './freeze.js';
import { isAway, notReady, paused, sharedStrain } from './health.js';
import type { ActivePhase, Decision, Evidence, Reason, Rollout } from './model.js';
import type { Plan } from './plan.js';

/** Both engines must answer before anything else is asked of the candidate. */
export function leavePending(rollout: Rollout, phase: ActivePhase, evidence: Evidence, now: number): Decision {
  const { stable, candidate } = evidence.arms;
  const { startAt, noDataLimitS, gate } = rollout.plan;
  if (startAt !== null && now < startAt) return held(phase, { code: 'scheduled', numbers: { startAt } }, now);
  if (stable.state !== 'ready' || candidate.state !== 'ready') {
    const why = [stable.reason, candidate.reason].filter((one) => one !== undefined).map((one) => `: ${one}`);
    const reason: Reason = { code: 'engine.not-ready', text: `stable ${stable.state}, candidate ${candidate.state}${why.join('')}` };
    const waitedMs = now - Math.max(phase.since, startAt ?? 0);
    return waitedMs > noDataLimitS * 1000 ? paused(phase, reason, now) : held(phase, reason, now);
  }
  if (gate) return moved('gate', { phase: 'gating', since: now }, { code: 'gate.started' }, now);
  return behindGate(rollout, phase, evidence, now);
}

export function leaveGate(rollout: Rollout, phase: ActivePhase, evidence: Evidence, now: number): Decision {
  const { gate } = evidence;
  if (!gate) return held(phase, { code: 'gate.running' }, now);
  const numbers: Record<string, number> = {};
  for (const field of ['effect', 'lower', 'upper'] as const) {
    const value = gate[field];
    if (value !== null) numbers[field] = value;
  }
  if (gate.verdict === 'pass') return behindGate(rollout, phase, evidence, now);
  if (gate.verdict === 'fail') {
    const reason: Reason = { code: 'gate.failed', check: 'quality', text: gate.note, numbers };
    return moved('rollback', { phase: 'rolledBack', at: now, reason }, reason, now);
  }
  return paused(phase, { code: 'gate.inconclusive', check: 'quality', text: gate.note, numbers }, now);
}

/** Mirrors that ask for no pairs run while the rollout waits for other things; it does not wait for them. */
export function asksMirrors({ shadow }: Plan): boolean {
  return shadow !== null && shadow.minPairs > 0;
}

function behindGate(rollout: Rollout, phase: ActivePhase, evidence: Evidence, now: number): Decision {
  return asksMirrors(rollout.plan)
    ? moved('shadow', { phase: 'shadowing', since: now }, { code: 'shadow.started' }, now)
    : begin(rollout, phase, evidence, now);
}

/** Pairs are waited for until the deadline. An open verdict on enough of them is a person's: more would only say the same more precisely. */
export function leaveShadow(rollout: Rollout, phase: ActivePhase, evidence: Evidence, now: number): Decision {
  const shadow = evidence.shadow ?? null;
  const { shadow: asked } = rollout.plan;
  if (!asked) throw new Error(`rollout ${rollout.id} is shadowing without a shadow in its plan`);
  const numbers = { pairs: shadow?.pairs ?? 0, forced: shadow?.forced ?? 0, needed: asked.minPairs };
  if (shadow?.verdict === 'fail') {
    const failed = inCauseOrder(shadow.findings.filter((finding) => finding.verdict === 'fail'))[0];
    const figures = failed ? figuresOf(failed) : null;
    const reason: Reason = { code: 'shadow.failed', ...figures, text: shadow.note, numbers: { ...figures?.numbers, ...numbers } };
    return moved('rollback', { phase: 'rolledBack', at: now, reason }, reason, now);
  }
  if (shadow?.verdict === 'pass' && shadow.pairs >= asked.minPairs) return begin(rollout, phase, evidence, now);
  const open = shadow?.verdict === 'inconclusive' && shadow.pairs >= asked.minPairs;
  const overdue = now - phase.since > asked.deadlineS * 1000;
  if (!open && !overdue) return held(phase, notReady(evidence) ?? { code: 'shadow.running', numbers }, now);
  return paused(phase, { code: 'shadow.inconclusive', numbers, ...(shadow?.note ? { text: shadow.note } : {}) }, now);
}

/** What keeps the candidate from its first user; null when nothing does. `accepted`: a person has seen an unexpected shift and says go on. */
export function keptBack(
  rollout: Rollout,
  evidence: Evidence,
  now: number,
  accepted = false,
): { readonly reason: Reason; readonly waits: 'reference' | 'person' | 'time' } | null {
  const { plan } = rollout;
  const { responses, fitted } = evidence.reference;
  // The first live response must meet frozen scores; without enough of stable's past there is nothing to compare with.
  if (!fitted)
    return { reason: { code: 'reference.thin', numbers: { responses, needed: plan.reference.minResponses } }, waits: 'reference' };
  const away = notReady(evidence) ?? sharedStrain(rollout, evidence);
  if (away) return { reason: away, waits: 'time' };
  if (isAway(evidence.arms.stable)) return { reason: { code: 'stable.unreachable', text: 'stable cannot serve beside it' }, waits: 'time' };
  const shift = accepted ? null : unexpectedShift(plan, evidence);
  if (shift) return { reason: shift, waits: 'person' };
  const frozen = frozenNow(plan, now);
  return frozen ? { reason: frozen, waits: 'time' } : null;
}

/** The first step, when nothing keeps the candidate back. */
export function begin(rollout: Rollout, phase: ActivePhase, evidence: Evidence, now: number): Decision {
  const { plan } = rollout;
  const kept = keptBack(rollout, evidence, now);
  const waitedMs = now - Math.max(phase.since, plan.startAt ?? 0);
  if (kept) {
    const asks = kept.waits === 'person' || (kept.waits === 'reference' && waitedMs > plan.reference.waitS * 1000);
    return asks ? paused(phase, kept.reason, now) : held(phase, kept.reason, now);
  }
  const numbers = { weightPct: plan.steps[0]?.weightPct ?? 0 };
  if (plan.steps[0]?.approval) return paused(phase, { code: 'approval', numbers }, now);
  return moved('start', { phase: 'progressing', since: now, step: 0 }, { code: 'started', numbers }, now);
}

/** Evaluated so far from stable that it is more likely a mistake than an upgrade: a person must accept it. */
function unexpectedShift({ checks, maxExpectedShift }: Plan, { expected = [] }: Evidence): Reason | null {
  for (const { metric, lower, upper } of expected) {
    if (!checks[metric].enabled || checks[metric].expect !== 'evaluated') continue;
    if (lower < maxExpectedShift.lower || upper > maxExpectedShift.upper)
      return { code: 'shift.unexpected', check: metric, numbers: { lower: lower - 1, upper: upper - 1 } };
  }
  return null;
}

/** A freeze window covers this instant. */
export function frozenNow({ freeze }: Plan, now: number): Reason | null {
  const { until } = freezeOf(freeze, now);
  return until === null ? null : { code: 'frozen', numbers: { until } };
}
