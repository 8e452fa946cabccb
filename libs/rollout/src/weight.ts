// The candidate's share of traffic follows from the phase alone, so status and routing cannot disagree.
import type { Phase } from './model.js';
import type { Plan } from './plan.js';

/** Probability in [0, 1] with which a unit's coin shows the candidate. A pause keeps the weight it found. */
export function weightOf(phase: Phase, plan: Plan): number {
  switch (phase.phase) {
    case 'pending':
    case 'gating':
    case 'promoted':
    case 'rolledBack':
    case 'aborted':
      return 0;
    case 'progressing':
    case 'baking':
      return (plan.steps[phase.step]?.weightPct ?? 0) / 100;
    case 'paused':
      return weightOf(phase.from, plan);
  }
}
