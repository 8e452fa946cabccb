// Which phase may follow which, said once. Terminal phases end.
import type { ActivePhase, Phase, PhaseName } from './model.js';

export const graph: Readonly<Record<PhaseName, readonly PhaseName[]>> = {
  pending: ['gating', 'shadowing', 'progressing', 'paused', 'promoted', 'rolledBack', 'aborted'],
  gating: ['shadowing', 'progressing', 'paused', 'promoted', 'rolledBack', 'aborted'],
  shadowing: ['progressing', 'paused', 'promoted', 'rolledBack', 'aborted'],
  progressing: ['progressing', 'baking', 'paused', 'promoted', 'rolledBack', 'aborted'],
  baking: ['paused', 'promoted', 'rolledBack', 'aborted'],
  paused: ['pending', 'gating', 'shadowing', 'progressing', 'baking', 'promoted', 'rolledBack', 'aborted'],
  promoted: [],
  rolledBack: [],
  aborted: [],
};

export function isTerminal(phase: Phase): phase is Extract<Phase, { readonly phase: 'promoted' | 'rolledBack' | 'aborted' }> {
  return graph[phase.phase].length === 0;
}

/** Under way: neither ended nor paused. */
export function isActive(phase: Phase): phase is ActivePhase {
  return !isTerminal(phase) && phase.phase !== 'paused';
}

/** Staying is always allowed; leaving only along an edge. */
export function mayFollow(from: PhaseName, to: PhaseName): boolean {
  return from === to || graph[from].includes(to);
}

/** Users meet the candidate, or met it before the pause. */
export function isExposed(phase: Phase): boolean {
  return 'step' in (phase.phase === 'paused' ? phase.from : phase);
}
