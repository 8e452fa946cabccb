// What the state of the two engines means for a rollout, before any figure is looked at.
import type { Arm } from '#libs/base';
import { held, moved } from './decision.js';
import { isActive } from './graph.js';
import type { ActivePhase, ArmHealth, Decision, Evidence, Reason, Rollout } from './model.js';
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
  if (candidate.state === 'failed' && (!isAway(stable) || weightOf(phase, plan) === 0)) {
    const reason = cause('engine.failed', 'candidate', candidate);
    return moved('rollback', { phase: 'rolledBack', at: now, reason }, reason, now);
  }
  if (!isAway(stable)) return null;
  const failed = stable.state === 'failed';
  const reason = cause(failed ? 'stable.failed' : 'stable.unreachable', 'stable', stable);
  const asks = failed || (stable.forS ?? 0) > longestOutageS;
  return asks && isActive(phase) ? paused(phase, reason, now) : held(phase, reason, now);
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
