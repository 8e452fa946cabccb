// The five commands in words, and when each makes sense. Pure.
import type { RolloutResource } from '#libs/contract';
import type { CommandKind } from '../api/rollouts.js';
import { weight } from '../words/format.js';
import { hasEnded } from '../words/names.js';

export const wordsOf: Readonly<
  Record<CommandKind, { readonly button: string; readonly confirm: string; readonly reasons: readonly string[] }>
> = {
  rollback: {
    button: 'Roll back',
    confirm: 'Roll back now',
    reasons: ['Users report bad answers', 'Precaution during an incident', 'Wrong version deployed'],
  },
  pause: { button: 'Pause', confirm: 'Pause now', reasons: ['Looking at the answers', 'Incident elsewhere', 'End of the working day'] },
  resume: { button: 'Resume', confirm: 'Resume now', reasons: ['Looked at it: nothing wrong', 'The incident is over'] },
  promote: { button: 'Promote', confirm: 'Promote now', reasons: ['Reviewed by hand', 'Urgent fix'] },
  abort: { button: 'Abort', confirm: 'Abort now', reasons: ['No longer wanted', 'A newer version is coming'] },
};

/** In the order of the buttons: the safest first. */
export function commandsFor(phase: RolloutResource['phase']): readonly CommandKind[] {
  if (hasEnded(phase)) return [];
  if (phase === 'paused') return ['rollback', 'resume', 'promote', 'abort'];
  return phase === 'progressing' || phase === 'baking' ? ['rollback', 'pause', 'promote', 'abort'] : ['rollback', 'pause', 'abort'];
}

/** What will happen, said before it does. */
export function consequence(kind: CommandKind, { stable, candidate, weightPct, model }: RolloutResource): string {
  const share = weight(weightPct);
  switch (kind) {
    case 'rollback':
      return weightPct > 0
        ? `${candidate.label} goes from ${share} of the traffic to 0%; ${stable.label} answers everything. The rollout ends; a new one can be started at any time.`
        : `${candidate.label} takes no traffic and will not get any; ${stable.label} answers everything. The rollout ends; a new one can be started at any time.`;
    case 'pause':
      return `${candidate.label} stays at ${share} of the traffic until somebody resumes. Checks keep watching: a failing one still rolls back.`;
    case 'resume':
      return `${candidate.label} goes on by the plan from ${share} of the traffic. The times of the step start anew.`;
    case 'promote':
      return `${candidate.label} becomes the stable version of ${model} and answers everything, without waiting for the rest of the plan.`;
    case 'abort':
      return `${candidate.label} goes to 0% of the traffic and the rollout ends without a verdict on it. To say that it is bad, roll back.`;
  }
}
