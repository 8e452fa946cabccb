// While users meet the candidate: what a step and the bake are left by, and what they are paused by.
import { frozenNow } from './before.js';
import { held, moved } from './decision.js';
import { smoke } from './findings.js';
import { notReady, paused, sharedStrain } from './health.js';
import type { ActivePhase, Decision, Evidence, Phase, Reason, Rollout } from './model.js';

export type Exposed = Extract<ActivePhase, { readonly step: number }>;

/** Blocks of time that a step must last where latency gates: its proof counts blocks, not responses. */
const leastBlocks = 10;

export function leaveStep(rollout: Rollout, phase: Exposed, evidence: Evidence, now: number): Decision {
  const { plan } = rollout;
  const step = plan.steps[phase.step];
  if (!step) throw new Error(`rollout ${rollout.id} is on step ${phase.step} of ${plan.steps.length}`);
  const stopped = mustStop(rollout, phase, evidence, now);
  if (stopped) return stopped;
  const elapsedMs = now - phase.since;
  /** No proof by the deadline: hold and ask, whatever it was that was waited for. */
  const overdue = (waiting: Reason): Decision =>
    elapsedMs > step.deadlineS * 1000
      ? paused(phase, { ...waiting, code: 'deadline', text: waiting.code }, now)
      : held(phase, waiting, now);
  const away = behind(evidence) ?? notReady(evidence) ?? sharedStrain(rollout, evidence);
  if (away) return overdue(away);
  if (elapsedMs < step.minS * 1000) return held(phase, { code: 'step.time' }, now);
  // At 100% there is no stable beside the candidate: nothing to compare, only time to pass.
  if (step.weightPct === 100)
    return answeredSince(phase, evidence) ? forward(rollout, phase, evidence, now) : overdue({ code: 'step.responses' });
  const { latency } = plan.checks;
  if (gates(rollout, 'latency') && elapsedMs < leastBlocks * latency.blockS * 1000) return overdue({ code: 'step.blocks' });
  const waiting =
    evidence.counts.stepCandidate < step.minResponses
      ? { code: 'step.responses' }
      : (smoke(evidence) ?? unmeasured(evidence) ?? lacking(rollout, evidence));
  return waiting ? overdue(waiting) : forward(rollout, phase, evidence, now);
}

/** The proofs were reached before the bake and stay reached; what is asked here is that nothing speaks against them since. */
export function leaveBake(rollout: Rollout, phase: Exposed, evidence: Evidence, now: number): Decision {
  const { plan } = rollout;
  const stopped = mustStop(rollout, phase, evidence, now);
  if (stopped) return stopped;
  const bakedMs = now - phase.since - plan.bakeS * 1000;
  const waiting =
    behind(evidence) ??
    notReady(evidence) ??
    sharedStrain(rollout, evidence) ??
    smoke(evidence) ??
    (bakedMs < 0 ? { code: 'bake.time' } : answeredSince(phase, evidence) ? unmeasured(evidence) : { code: 'bake.responses' });
  if (waiting) {
    const overdue = bakedMs > (plan.steps[phase.step]?.deadlineS ?? 0) * 1000;
    return overdue ? paused(phase, { ...waiting, code: 'deadline', text: waiting.code }, now) : held(phase, waiting, now);
  }
  const frozen = frozenNow(plan, now);
  if (frozen) return held(phase, frozen, now);
  const { candidate, stable } = evidence.counts;
  if (plan.promotion.approval) return paused(phase, { code: 'approval', numbers: { candidate, stable } }, now);
  return moved('promote', { phase: 'promoted', at: now }, { code: 'proof', numbers: { candidate, stable } }, now);
}

/** A gateway serves by an older table, or none is there: what users meet is not what the row says. */
function behind({ gateways: { live, applied } }: Evidence): Reason | null {
  return live === 0 || applied < live ? { code: 'propagating' } : null;
}

/** Everything is proven: the next step, or the bake, unless a freeze or a person's word stands before it. */
function forward({ plan }: Rollout, phase: Exposed, { counts }: Evidence, now: number): Decision {
  const frozen = frozenNow(plan, now);
  if (frozen) return held(phase, frozen, now);
  const next = plan.steps[phase.step + 1];
  const numbers = { candidate: counts.candidate, stable: counts.stable };
  if (!next) return moved('bake', { ...phase, phase: 'baking', since: now }, { code: 'proof', numbers }, now);
  const going = { ...numbers, weightPct: next.weightPct };
  if (next.approval) return paused(phase, { code: 'approval', numbers: going }, now);
  return moved('advance', { ...phase, phase: 'progressing', since: now, step: phase.step + 1 }, { code: 'proof', numbers: going }, now);
}

/** A spent budget and an arm that went silent stop the rollout wherever it is. */
function mustStop(rollout: Rollout, phase: Exposed, evidence: Evidence, now: number): Decision | null {
  const spent = spentBudget(rollout, phase, evidence);
  if (spent) return paused(phase, spent, now);
  const silence = silentArm(rollout, phase, evidence, now);
  if (!silence) return null;
  if (rollout.plan.noData === 'pause') return paused(phase, silence, now);
  return moved('rollback', { phase: 'rolledBack', at: now, reason: silence }, silence, now);
}

/** Takes the traffic from a paused rollout whose budget is spent. Null when it has some left, or no traffic. */
export function stopSpent(rollout: Rollout, { reason, from }: Paused, evidence: Evidence, now: number): Decision | null {
  if (!('step' in from) || reason.code === 'exposure') return null;
  const spent = spentBudget(rollout, from, evidence);
  return spent ? paused(from, spent, now) : null;
}

type Paused = Extract<Phase, { readonly phase: 'paused' }>;

/** The budget counts from where a person last let the rollout go on past it. */
function spentBudget({ plan: { exposure } }: Rollout, { spent }: Exposed, { counts }: Evidence): Reason | null {
  const responses = counts.candidate - (spent?.responses ?? 0);
  const units = counts.candidateUnits - (spent?.units ?? 0);
  const { maxResponses, maxUnits } = exposure;
  if (maxResponses !== null && responses >= maxResponses)
    return { code: 'exposure', direction: 'responses', numbers: { spent: responses, most: maxResponses } };
  if (maxUnits !== null && units >= maxUnits) return { code: 'exposure', direction: 'units', numbers: { spent: units, most: maxUnits } };
  return null;
}

/** No data is never evidence: an arm that went silent neither passes nor fails. At 100% stable is silent by plan. */
function silentArm({ plan }: Rollout, phase: Exposed, { counts, gateways }: Evidence, now: number): Reason | null {
  const silentMs = (lastAt: number | null): number => now - Math.max(lastAt ?? 0, phase.since);
  const candidateMs = silentMs(counts.lastCandidateAt);
  const alone = plan.steps[phase.step]?.weightPct === 100;
  const stableMs = alone ? 0 : silentMs(counts.lastStableAt);
  const limitMs = plan.noDataLimitS * 1000;
  if (candidateMs <= limitMs && stableMs <= limitMs) return null;
  // Dead gateways, no traffic at all, and one silent arm are three different mornings.
  const text =
    gateways.live === 0
      ? 'no gateway reports'
      : !alone && candidateMs > limitMs && stableMs > limitMs
        ? 'no traffic'
        : 'the other arm answers';
  const direction = candidateMs > limitMs ? 'candidate' : 'stable';
  return {
    code: 'no-data',
    direction,
    text,
    numbers: { silentS: Math.round((direction === 'candidate' ? candidateMs : stableMs) / 1000) },
  };
}

/** The candidate answered somebody in this phase. Observations carry the second in which they were assigned. */
function answeredSince(phase: Exposed, { counts }: Evidence): boolean {
  return counts.lastCandidateAt !== null && counts.lastCandidateAt + 1_000 > phase.since;
}

function gates({ plan: { promotion, checks } }: Rollout, check: Rollout['plan']['promotion']['gating'][number]): boolean {
  return promotion.gating.includes(check) && checks[check].enabled;
}

/** A gating check that could not look is its own answer: it proves nothing, whatever the numbers say. */
function unmeasured({ promotion, findings }: Evidence): Reason | null {
  const blind = promotion.find(({ check }) => findings.some((one) => one.check === check && one.verdict === 'unmeasured'));
  return blind ? { code: 'unmeasured', check: blind.check } : null;
}

/** The first gating check without a proof. */
function lacking(rollout: Rollout, { promotion }: Evidence): Reason | null {
  const open = promotion.find((proof) => !proof.proven);
  if (open) return { code: 'unproven', check: open.check, numbers: { logE: open.logE, needed: open.needed } };
  const unasked = rollout.plan.promotion.gating.find((check) => gates(rollout, check) && !promotion.some((proof) => proof.check === check));
  return unasked ? { code: 'unproven', check: unasked } : null;
}
