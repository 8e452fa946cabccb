// What a person asks for comes before the plan, but not before safety: a rollback onto a dead stable is refused and said so.
import { held, moved } from './decision.js';
import { isAway } from './health.js';
import type { Decision, Evidence, OperatorCommand, Reason, Rollout } from './model.js';
import { weightOf } from './weight.js';

/** The transition of the operator's command; null when there is none. A refused command holds with code `command.refused`. */
export function obey(rollout: Rollout, evidence: Evidence, now: number): Decision | null {
  const { command } = evidence;
  if (!command) return null;
  const { phase } = rollout;
  const reason: Reason = { code: 'operator', actor: command.actor, text: command.reason };
  const refused = (why: string): Decision =>
    held(phase, { code: 'command.refused', actor: command.actor, text: `${command.kind}: ${why}` }, now);
  switch (command.kind) {
    case 'pause':
      if (phase.phase === 'paused') return refused('the rollout is paused already');
      if ('at' in phase) return null;
      return moved('pause', { phase: 'paused', since: now, reason, from: phase }, reason, now);
    case 'resume':
      if (phase.phase !== 'paused') return refused('the rollout is not paused');
      // A candidate whose first answers met no frozen scores could never be judged by them afterwards.
      if (acceptsGate(phase) && !evidence.reference.fitted)
        return refused(`stable has ${evidence.reference.responses} of ${rollout.plan.reference.minResponses} reference responses`);
      return resume(phase, command, now);
    case 'promote':
      if (evidence.arms.candidate.state !== 'ready') return refused(`the candidate is ${evidence.arms.candidate.state}`);
      // Untried is better than dead: with no stable to answer, a person may put the candidate in its place.
      if (weightOf(phase, rollout.plan) === 0 && !isAway(evidence.arms.stable)) return refused('the candidate has served no traffic yet');
      return moved('promote', { phase: 'promoted', at: now }, reason, now);
    case 'rollback':
    case 'abort': {
      // Nothing is gained by moving users from a version that answers to one that does not; without users nothing moves.
      if (weightOf(phase, rollout.plan) > 0 && isAway(evidence.arms.stable) && evidence.arms.candidate.state === 'ready')
        return refused('stable cannot serve; the candidate keeps its traffic');
      const end = command.kind === 'rollback' ? 'rolledBack' : 'aborted';
      return moved(command.kind, { phase: end, at: now, reason }, reason, now);
    }
  }
}

type Paused = Extract<Rollout['phase'], { readonly phase: 'paused' }>;

function acceptsGate(phase: Paused): boolean {
  return phase.from.phase === 'gating' && phase.reason.code === 'gate.inconclusive';
}

/** Resuming after an inconclusive gate means that a person accepts it: the reason is the evidence. Step clocks start anew. */
function resume(phase: Paused, command: OperatorCommand, now: number): Decision {
  const reason: Reason = { code: 'operator', actor: command.actor, text: command.reason };
  if (acceptsGate(phase)) return moved('resume', { phase: 'progressing', since: now, step: 0 }, reason, now);
  return moved('resume', { ...phase.from, since: now }, reason, now);
}
