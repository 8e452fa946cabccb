// A rollout and its decisions in plain words with numbers: pure, so the screen, the alert and the CLI say the same.
import type { Evidence, Phase, Reason, Transition } from '#libs/rollout';
import { causeText, type Subject, signedPct, weightText } from './cause.js';

/** One decision to be told. */
export interface Told {
  readonly transition: Transition | 'create';
  readonly weight: number;
  readonly reason: Reason;
  readonly evidence: Evidence | null;
  readonly actor: string;
}

function quantity(count: number, one: string): string {
  return `${count} ${one}${count === 1 ? '' : 's'}`;
}

function seconds(ms: number): string {
  const s = Math.max(0, ms) / 1000;
  return s < 90 ? `${Math.round(s)} s` : s < 5400 ? `${Math.round(s / 60)} min` : `${(s / 3600).toFixed(1)} h`;
}

function served(evidence: Evidence | null): string {
  return `${quantity(evidence?.counts.candidate ?? 0, 'candidate response')} served`;
}

/** One decision as one or two sentences. */
export function eventSentence(told: Told, subject: Subject): string {
  const { stable, candidate } = subject;
  const cause = causeText(told.reason, told.evidence, subject);
  switch (told.transition) {
    case 'create':
      return `Rollout of ${candidate} beside ${stable} created by ${told.actor}.${earlierText(told.reason)}`;
    case 'gate':
      return `Gate started: ${cause}.`;
    case 'shadow':
      return `Shadow started: ${cause}.`;
    case 'start':
      return `Started: ${gateText(told, subject)}${candidate} takes ${weightText(told.weight)} of the traffic beside ${stable}.`;
    case 'advance':
      return `Advanced to ${weightText(told.weight)} for ${candidate}: ${cause}.`;
    case 'bake':
      return `Last step proven, baking at ${weightText(told.weight)} for ${subject.plan.bakeS} s: ${cause}.`;
    case 'pause':
      return `Paused at ${weightText(told.weight)}: ${cause}.`;
    case 'resume':
      return `Resumed at ${weightText(told.weight)}: ${cause}.`;
    case 'promote':
      return `Promoted ${candidate} in place of ${stable}: ${cause}.`;
    case 'rollback':
      return `Rolled back${sinceExposure(told)}: ${cause}; ${served(told.evidence)}.`;
    case 'abort':
      return `Aborted: ${cause}; ${served(told.evidence)}.`;
    case 'hold':
      return `Nothing changed: ${cause}.`;
  }
}

/** What the gate found, before the version that passed it is named. Nothing for a plan without one. */
function gateText({ evidence }: Told, { stable, plan }: Subject): string {
  const gate = evidence?.gate;
  if (gate?.verdict !== 'pass') return '';
  const points = (share: number): string => `${signedPct(share).slice(0, -1)} points`;
  const bounds = gate.lower !== null && gate.upper !== null ? ` (${points(gate.lower)} .. ${points(gate.upper)})` : '';
  const found = gate.effect === null ? '' : `, quality ${points(gate.effect)}${bounds} against ${stable}`;
  return `gate passed on test set ${plan.gate?.testSet ?? ''}${found}; `;
}

/** " Tried 2 times before: ..." Nothing for a candidate's first rollout. */
function earlierText({ numbers }: Reason): string {
  const earlier = numbers?.['earlier'] ?? 0;
  if (earlier === 0) return '';
  const spent = Number(((numbers?.['spentAlpha'] ?? 0) * 100).toFixed(3));
  return ` It was tried ${earlier === 1 ? 'once' : `${earlier} times`} before; ${numbers?.['exposed'] ?? 0} of these met users and spent ${spent}% of chance for a false rollback, which adds to this plan's.`;
}

function shadowText(evidence: Evidence | null, { shadow }: Subject['plan']): string {
  return `${quantity(evidence?.shadow?.pairs ?? 0, 'pair')} of ${shadow?.minPairs ?? 0} judged`;
}

/** " 4 s after the step began": how long the candidate stood at its last weight. Silent when it took no traffic. */
function sinceExposure(told: Told): string {
  const since = told.reason.numbers?.['exposedMs'];
  return since === undefined || told.reason.code !== 'check.failed' ? '' : ` ${seconds(since)} after the first candidate response`;
}

/** What is going on now, for the head of the page. */
export function stateSentence(
  phase: Phase,
  weight: number,
  newest: { readonly reason: Reason; readonly evidence: Evidence | null } | null,
  subject: Subject,
  now: number,
): string {
  const { stable, candidate, plan } = subject;
  switch (phase.phase) {
    case 'pending':
      return plan.startAt !== null && now < plan.startAt
        ? `${candidate} waits to start beside ${stable}: ${causeText({ code: 'scheduled', numbers: { startAt: plan.startAt } }, null, subject)}.`
        : `${candidate} is waiting to start beside ${stable}: engines load and the reference of ${stable} is gathered.`;
    case 'gating':
      return `${candidate} is held at 0% while test set ${plan.gate?.testSet ?? ''} compares it with ${stable}.`;
    case 'shadowing':
      return `${candidate} is held at 0% while it answers mirrors of the requests of ${stable}: ${shadowText(newest?.evidence ?? null, plan)}.`;
    case 'progressing':
      return `${candidate} takes ${weightText(weight)} of the traffic beside ${stable}, step ${phase.step + 1} of ${plan.steps.length}, for ${seconds(now - phase.since)}.`;
    case 'baking':
      return `${candidate} is proven and bakes at ${weightText(weight)} beside ${stable}, ${seconds(now - phase.since)} of ${plan.bakeS} s.`;
    case 'paused':
      return `Paused at ${weightText(weight)} for ${candidate}: ${causeText(phase.reason, newest?.evidence ?? null, subject)}. Resume, promote or roll back.`;
    case 'promoted':
      return newest
        ? eventSentence({ transition: 'promote', weight, ...newest, actor: '' }, subject)
        : `${candidate} was promoted in place of ${stable}.`;
    case 'rolledBack':
      return eventSentence(
        // The newest event's reason is the phase's, with how long users met the candidate.
        { transition: 'rollback', weight, reason: newest?.reason ?? phase.reason, evidence: newest?.evidence ?? null, actor: '' },
        subject,
      );
    case 'aborted':
      return eventSentence({ transition: 'abort', weight, reason: phase.reason, evidence: newest?.evidence ?? null, actor: '' }, subject);
  }
}
