// The decision: a pure function from a rollout and its evidence to a transition. Read it top to bottom: it is the order of judgment.

import { leaveGate, leavePending, leaveShadow } from './before.js';
import { obey } from './command.js';
import { held } from './decision.js';
import { leaveBake, leaveStep, stopSpent } from './exposed.js';
import { judgeFindings } from './findings.js';
import { isTerminal } from './graph.js';
import { judgeHealth } from './health.js';
import type { Decision, Evidence, Phase, Rollout } from './model.js';

const idleLookMs = 86_400_000;

/** What happens next, why, and when to look again. `evidence.at` and `now` are milliseconds by the database's clock. */
export function decide(rollout: Rollout, evidence: Evidence, now: number): Decision {
  const { phase } = rollout;
  if (isTerminal(phase)) return { transition: 'hold', reason: { code: 'ended' }, next: phase, nextLookAt: now + idleLookMs };
  const asked = obey(rollout, evidence, now);
  if (asked && asked.transition !== 'hold' && endings.has(evidence.command?.kind ?? '')) return asked;
  const found = judgeHealth(rollout, evidence, now) ?? judgeFindings(rollout, evidence, now);
  // A pause, a resume or a word that changes nothing keeps no user with a version that is to be taken back at this very look.
  if (found?.transition === 'rollback') return found;
  return asked ?? found ?? proceed(rollout, phase, evidence, now);
}

/** Here a person's word is the last. */
const endings: ReadonlySet<string> = new Set(['promote', 'rollback', 'abort']);

function proceed(rollout: Rollout, phase: Exclude<Phase, { readonly at: number }>, evidence: Evidence, now: number): Decision {
  switch (phase.phase) {
    case 'pending':
      return leavePending(rollout, phase, evidence, now);
    case 'gating':
      return leaveGate(rollout, phase, evidence, now);
    case 'shadowing':
      return leaveShadow(rollout, phase, evidence, now);
    case 'progressing':
      return leaveStep(rollout, phase, evidence, now);
    case 'baking':
      return leaveBake(rollout, phase, evidence, now);
    case 'paused':
      // A pause that keeps its weight goes on exposing users: the budget ends that too.
      return stopSpent(rollout, phase, evidence, now) ?? held(phase, phase.reason, now);
  }
}
