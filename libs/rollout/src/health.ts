// What the state of the two engines means for a rollout, before any figure is looked at.
import type { Arm } from '#libs/base';
import { held, moved } from './decision.js';
import { isActive } from './graph.js';
import type { ActivePhase, ArmHealth, Decision, Evidence, Reason, Rollout } from './model.js';
import type { Plan } from './plan.js';
import { weightOf } from './weight.js';

/** A person is asked when stable's servers are away for so long: shorter is a restart. */
const longestOutageS = 30;

/** Nobody answers there: sending users to it, or back to it, would turn a bad answer into no answer. */
export function isAway({ state }: ArmHealth): boolean {
  return state === 'failed' || state === 'unreachable';
}

/**
 * A candidate that has failed is taken back, but never onto a stable that is away: then the weight stays and a person is asked. One whose servers cannot be
 * reached has shown nothing, good or bad: gateways send it nobody, and the rollout waits (`notReady`).
 */
export function judgeHealth(rollout: Rollout, { arms }: Evidence, now: number): Decision | null {
  const { phase, plan } = rollout;
  const { stable, candidate } = arms;
  const bad = candidate.state === 'failed' ? cause('engine.failed', 'candidate', candidate) : overLimit(plan, candidate);
  const alone = candidate.state === 'failed' || !overLimit(plan, stable);
  if (bad && alone && (!isAway(stable) || weightOf(phase, plan) === 0))
    return moved('rollback', { phase: 'rolledBack', at: now, reason: bad }, bad, now);
  if (!isAway(stable)) return null;
  const failed = stable.state === 'failed';
  const reason = cause(failed ? 'stable.failed' : 'stable.unreachable', 'stable', stable);
  const asks = failed || (stable.forS ?? 0) > longestOutageS;
  return asks && isActive(phase) ? paused(phase, reason, now) : held(phase, reason, now);
}

/** Guards of policy, no tests: an engine near the end of its memory, or one that starts again and again. */
function overLimit({ checks: { memory } }: Plan, { memoryShare, restarts, reason }: ArmHealth): Reason | null {
  if (!memory.enabled) return null;
  const text = reason ? { text: reason } : {};
  if (memoryShare !== undefined && memoryShare > memory.maxShare)
    return {
      code: 'memory.exceeded',
      check: 'memory',
      direction: 'candidate',
      numbers: { share: memoryShare, most: memory.maxShare },
      ...text,
    };
  if (restarts !== undefined && restarts > memory.maxRestarts)
    return { code: 'engine.restarts', check: 'engine', direction: 'candidate', numbers: { restarts, most: memory.maxRestarts }, ...text };
  return null;
}

/** Both arms over the limit have a common cause, a full device or a sick host: nothing for a rollback, but nothing goes forward. */
export function sharedStrain({ plan }: Rollout, { arms }: Evidence): Reason | null {
  const strain = overLimit(plan, arms.candidate);
  return strain && overLimit(plan, arms.stable) ? { ...strain, code: 'strain.shared' } : null;
}

/** Why the candidate may not get more than it has; null when its engines answer everywhere. */
export function notReady({ arms: { candidate } }: Evidence): Reason | null {
  if (candidate.state === 'ready') return null;
  const text = `candidate ${candidate.state}${candidate.reason ? `: ${candidate.reason}` : ''}`;
  return { code: 'engine.not-ready', check: 'engine', direction: 'candidate', text };
}

export function paused(from: ActivePhase, reason: Reason, now: number): Decision {
  return moved('pause', { phase: 'paused', since: now, reason, from }, reason, now);
}

function cause(code: string, arm: Arm, { reason }: ArmHealth): Reason {
  return { code, check: 'engine', direction: arm, ...(reason ? { text: reason } : {}) };
}
