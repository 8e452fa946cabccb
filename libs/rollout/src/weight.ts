// The candidate's share of traffic follows from the phase alone, so status and routing cannot disagree.
import type { Phase } from './model.js';
import type { Plan } from './plan.js';

/** Probability in [0, 1] with which a unit's coin shows the candidate. A pause keeps the weight it found, but for one: a spent exposure budget is a bound, so nobody more is exposed. */
export function weightOf(phase: Phase, plan: Plan): number {
  switch (phase.phase) {
    case 'pending':
    case 'gating':
    case 'shadowing':
    case 'promoted':
    case 'rolledBack':
    case 'aborted':
      return 0;
    case 'progressing':
    case 'baking':
      return (plan.steps[phase.step]?.weightPct ?? 0) / 100;
    case 'paused':
      return phase.reason.code === 'exposure' ? 0 : weightOf(phase.from, plan);
  }
}

/** Probability of the control arm: the candidate's own, but never more than stable keeps. 0 without a control. */
export function controlWeightOf(phase: Phase, plan: Plan): number {
  const weight = weightOf(phase, plan);
  return plan.control ? Math.min(weight, (1 - weight) / 2) : 0;
}
