// What a person asks for comes before the plan, but not before safety: a rollback onto a dead stable is refused and said so.
import { held, moved } from './decision.js';
import type { Decision, Evidence, OperatorCommand, Reason, Rollout } from './model.js';

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
      return phase.phase === 'paused' ? resume(phase, command, now) : refused('the rollout is not paused');
    case 'promote':
      if (evidence.arms.candidate.state !== 'ready') return refused(`the candidate is ${evidence.arms.candidate.state}`);
      if (phase.phase === 'pending' || phase.phase === 'gating') return refused('the candidate has served no traffic yet');
      return moved('promote', { phase: 'promoted', at: now }, reason, now);
    case 'rollback':
    case 'abort': {
      // Nothing is gained by moving everybody from a version that answers to one that does not.
      if (evidence.arms.stable.state === 'failed' && evidence.arms.candidate.state === 'ready')
        return refused('stable cannot serve; the candidate keeps its traffic');
      const end = command.kind === 'rollback' ? 'rolledBack' : 'aborted';
      return moved(command.kind, { phase: end, at: now, reason }, reason, now);
    }
  }
}

/** Resuming after an inconclusive gate means that a person accepts it: the reason is the evidence. Step clocks start anew. */
function resume(phase: Extract<Rollout['phase'], { readonly phase: 'paused' }>, command: OperatorCommand, now: number): Decision {
  const reason: Reason = { code: 'operator', actor: command.actor, text: command.reason };
  if (phase.from.phase === 'gating' && phase.reason.code === 'gate.inconclusive') {
    return moved('resume', { phase: 'progressing', since: now, step: 0 }, reason, now);
  }
  return moved('resume', { ...phase.from, since: now }, reason, now);
}
