// How a decision is put together: a move or a hold, and when to look again.
import type { Decision, Phase, Reason, Transition } from './model.js';

const lookMs = 1_000;

export function moved(transition: Transition, next: Phase, reason: Reason, now: number): Decision {
  return { transition, reason, next, nextLookAt: now + lookMs };
}

export function held(phase: Phase, reason: Reason, now: number): Decision {
  return { transition: 'hold', reason, next: phase, nextLookAt: now + lookMs };
}
