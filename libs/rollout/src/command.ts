// What a person asks for comes before the plan, but not before safety: a rollback onto a dead stable is refused and said so.
import { asksMirrors, frozenNow, keptBack } from './before.js';
import { held, moved } from './decision.js';
import { smoke } from './findings.js';
import { isActive, isExposed, isTerminal } from './graph.js';
import { isAway } from './health.js';
import type { ActivePhase, Decision, Evidence, OperatorCommand, Phase, Reason, Rollout } from './model.js';
import { weightOf } from './weight.js';

/** What the command asks for is so already: asking again changes nothing and is no error. */
export function isDone(phase: Phase, kind: OperatorCommand['kind']): boolean {
  switch (kind) {
    case 'pause':
      return phase.phase === 'paused';
    case 'resume':
      return isActive(phase);
    case 'promote':
      return phase.phase === 'promoted';
    case 'rollback':
    case 'abort':
      // Either way the candidate is off and stable answers.
      return phase.phase === 'rolledBack' || phase.phase === 'aborted';
  }
}

/** The transition of the operator's command; null when there is none. A refused command holds with code `command.refused`, a needless one with `command.done`. */
export function obey(rollout: Rollout, evidence: Evidence, now: number): Decision | null {
  const { command } = evidence;
  const { phase, plan } = rollout;
  if (!command || isTerminal(phase)) return null;
  const reason: Reason = { code: 'operator', actor: command.actor, text: command.reason };
  const refused = (why: string): Decision =>
    held(phase, { code: 'command.refused', actor: command.actor, text: `${command.kind}: ${why}` }, now);
  if (isDone(phase, command.kind)) return held(phase, { code: 'command.done', actor: command.actor, text: command.kind }, now);
  switch (command.kind) {
    case 'pause':
      return moved('pause', { phase: 'paused', since: now, reason, from: phase as ActivePhase }, reason, now);
    case 'resume':
      return resume(rollout, phase as Paused, evidence, { reason, refused }, now);
    case 'promote':
      if (evidence.arms.candidate.state !== 'ready') return refused(`the candidate is ${evidence.arms.candidate.state}`);
      // Untried is better than dead: with no stable to answer, a person may put the candidate in its place, also in a freeze.
      if (!isAway(evidence.arms.stable)) {
        if (!isExposed(phase)) return refused('the candidate has served no traffic yet');
        if (frozenNow(plan, now)) return refused(frozenText);
      }
      return moved('promote', { phase: 'promoted', at: now }, reason, now);
    case 'rollback':
    case 'abort': {
      // Nothing is gained by moving users from a version that answers to one that does not; without users nothing moves.
      if (weightOf(phase, plan) > 0 && isAway(evidence.arms.stable) && evidence.arms.candidate.state === 'ready')
        return refused('stable cannot serve; the candidate keeps its traffic');
      const end = command.kind === 'rollback' ? 'rolledBack' : 'aborted';
      return moved(command.kind, { phase: end, at: now, reason }, reason, now);
    }
  }
}

type Paused = Extract<Phase, { readonly phase: 'paused' }>;

interface Voice {
  readonly reason: Reason;
  readonly refused: (why: string) => Decision;
}

const frozenText = 'a freeze window of the plan lets nothing go forward; rolling back is possible at any time';

/**
 * Back to where the pause came from, with its clock anew; or, where the rollout asked a person for leave (inconclusive gate or mirrors, unexpected shift,
 * approval, spent budget), on to what it asked for: the reason is the evidence.
 */
function resume(rollout: Rollout, phase: Paused, evidence: Evidence, { reason, refused }: Voice, now: number): Decision {
  const { from } = phase;
  const { code } = phase.reason;
  if (!isExposed(phase)) {
    if (code === 'gate.inconclusive' && asksMirrors(rollout.plan)) return moved('resume', { phase: 'shadowing', since: now }, reason, now);
    if (!leavesFirst.has(code)) return moved('resume', { ...from, since: now }, reason, now);
    if (evidence.shadow?.verdict === 'fail') return refused(`the mirrors have failed the candidate since: ${evidence.shadow.note}`);
    const kept = keptBack(rollout, evidence, now, true);
    if (kept) return refused(keptText(kept.reason, rollout));
    return moved('resume', { phase: 'progressing', since: now, step: 0 }, reason, now);
  }
  const raises = code === 'approval' || code === 'exposure';
  if (raises && frozenNow(rollout.plan, now)) return refused(frozenText);
  if (code === 'exposure' && 'step' in from) {
    const spent = { responses: evidence.counts.candidate, units: evidence.counts.candidateUnits };
    return moved('resume', { ...from, since: now, spent }, reason, now);
  }
  if (code !== 'approval' || !('step' in from)) return moved('resume', { ...from, since: now }, reason, now);
  if (evidence.arms.candidate.state !== 'ready') return refused(`the candidate is ${evidence.arms.candidate.state}`);
  if (smoke(evidence)) return refused('the evidence against the candidate has grown too strong to go on since the approval was asked for');
  if (from.phase === 'baking') return moved('promote', { phase: 'promoted', at: now }, reason, now);
  return moved('resume', { ...from, since: now, step: from.step + 1 }, reason, now);
}

/** Pauses before the first step in which the rollout asks for leave to begin it. */
const leavesFirst: ReadonlySet<string> = new Set(['gate.inconclusive', 'shadow.inconclusive', 'shift.unexpected', 'approval']);

function keptText({ code, numbers, text }: Reason, { plan }: Rollout): string {
  // A candidate whose first answers met no frozen scores could never be judged by them afterwards.
  if (code === 'reference.thin') return `stable has ${numbers?.['responses'] ?? 0} of ${plan.reference.minResponses} reference responses`;
  return code === 'frozen' ? frozenText : (text ?? code);
}
