// A rollout and its decisions in plain words with numbers: pure, so the screen, the alert and the CLI say the same.
import type { Arm } from '#libs/base';
import type { Evidence, Phase, Plan, Reason, Transition } from '#libs/rollout';

/** What a sentence is about. */
export interface Subject {
  readonly stable: string;
  readonly candidate: string;
  readonly plan: Plan;
}

/** One decision to be told. */
export interface Told {
  readonly transition: Transition | 'create';
  readonly weight: number;
  readonly reason: Reason;
  readonly evidence: Evidence | null;
  readonly actor: string;
}

const measureOf: Readonly<Record<string, string>> = {
  entropy: 'output entropy',
  length: 'output length',
  errors: 'error share',
  latency: 'latency',
  quality: 'quality',
  engine: 'engine',
};

/** 0.0712 -> "+7.1%", 8.12 -> "+812%". */
export function signedPct(share: number): string {
  const value = share * 100;
  const text = Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 0.05 || value === 0 ? value.toFixed(1) : value.toFixed(2);
  return `${value >= 0 ? '+' : ''}${text}%`;
}

/** 0.05 -> "5%". */
export function weightText(weight: number): string {
  return `${Number((weight * 100).toFixed(2))}%`;
}

function quantity(count: number, one: string): string {
  return `${count} ${one}${count === 1 ? '' : 's'}`;
}

function seconds(ms: number): string {
  const s = Math.max(0, ms) / 1000;
  return s < 90 ? `${Math.round(s)} s` : s < 5400 ? `${Math.round(s / 60)} min` : `${(s / 3600).toFixed(1)} h`;
}

/** "output entropy of v4 was +812% (+640% .. +1010%) against v2, margin +10%". */
function comparison(reason: Reason, evidence: Evidence | null, { stable, candidate }: Subject): string {
  const check = reason.check ?? 'errors';
  const numbers = reason.numbers ?? {};
  const found = evidence?.findings.find((finding) => finding.check === check);
  const effect = numbers['effect'] ?? found?.effect ?? undefined;
  const lower = numbers['lower'] ?? found?.lower ?? undefined;
  const upper = numbers['upper'] ?? found?.upper ?? undefined;
  const name = measureOf[check] ?? check;
  const points = found?.unit === 'points' || check === 'quality';
  const say = (share: number): string => (points ? `${signedPct(share).slice(0, -1)} points` : signedPct(share));
  if (effect === undefined) return `${name} of ${candidate} was worse than ${stable}${reason.direction ? ` (${reason.direction})` : ''}`;
  const bounds = lower !== undefined && upper !== undefined ? ` (${say(lower)} .. ${say(upper)})` : '';
  const margin = effect < 0 ? numbers['marginDown'] : numbers['marginUp'];
  const limit = margin === undefined ? '' : `, margin ${say(effect < 0 ? -Math.abs(margin) : Math.abs(margin))}`;
  return `${name} of ${candidate} was ${say(effect)}${bounds} against ${stable}${limit}`;
}

function quoted(reason: Reason): string {
  return reason.text ? `: "${reason.text}"` : '';
}

function served(evidence: Evidence | null): string {
  return `${quantity(evidence?.counts.candidate ?? 0, 'candidate response')} served`;
}

function armName(arm: string | undefined, subject: Subject): string {
  return (arm as Arm | undefined) === 'stable' ? `stable ${subject.stable}` : `candidate ${subject.candidate}`;
}

/** Why, as a clause without capital letter or full stop. */
export function causeText(reason: Reason, evidence: Evidence | null, subject: Subject): string {
  const numbers = reason.numbers ?? {};
  switch (reason.code) {
    case 'check.failed':
      return comparison(reason, evidence, subject);
    case 'gate.failed':
      return numbers['effect'] === undefined
        ? `the gate on test set ${subject.plan.gate?.testSet ?? ''} failed${quoted(reason)}`
        : `the gate on test set ${subject.plan.gate?.testSet ?? ''} failed, ${comparison(reason, evidence, subject)}`;
    case 'gate.inconclusive':
      return `the gate on test set ${subject.plan.gate?.testSet ?? ''} was inconclusive${quoted(reason)}`;
    case 'gate.started':
      return `test set ${subject.plan.gate?.testSet ?? ''} runs against both versions`;
    case 'gate.running':
      return 'the gate is still running';
    case 'engine.failed':
      return `the engine of ${subject.candidate} failed${quoted(reason)}`;
    case 'stable.failed':
      return `the engine of stable ${subject.stable} failed${quoted(reason)}, so a rollback would leave nobody to answer`;
    case 'stable.unreachable':
      return `no server of stable ${subject.stable} can be reached${quoted(reason)}, so a rollback would leave nobody to answer`;
    case 'engine.not-ready':
      return `an engine is not ready${reason.text ? ` (${reason.text})` : ''}`;
    case 'reference.thin':
      return `only ${numbers['responses'] ?? 0} of the ${numbers['needed'] ?? subject.plan.reference.minResponses} reference responses of ${subject.stable} are there`;
    case 'no-data':
      return `the ${armName(reason.direction, subject)} gave no observation for ${numbers['silentS'] ?? subject.plan.noDataLimitS} s`;
    case 'deadline':
      return `the step's deadline passed without proof (${reason.text === 'step.responses' ? 'too few responses' : (reason.text ?? 'unproven')})`;
    case 'operator':
      return `${reason.actor ?? 'an operator'} asked for it${quoted(reason)}`;
    case 'command.refused':
      return `the command of ${reason.actor ?? 'an operator'} was refused${quoted(reason)}`;
    case 'proof':
      return `every gating check rejected "worse than the margin" (${numbers['candidate'] ?? evidence?.counts.candidate ?? 0} candidate and ${numbers['stable'] ?? evidence?.counts.stable ?? 0} stable responses)`;
    case 'propagating':
      return 'gateways are taking over the new table';
    case 'step.time':
      return "the step's least time has not passed";
    case 'step.responses':
      return 'the step has too few candidate responses yet';
    case 'bake.time':
      return 'the last step is baking';
    case 'bake.responses':
      return 'the candidate answered nobody while it baked';
    case 'amber':
      return 'the evidence against the candidate is too strong to go on and too weak to roll back';
    case 'unproven':
      return `${reason.check ? (measureOf[reason.check] ?? reason.check) : 'the checks'} is not yet proven to be within the margin`;
    default:
      return `${reason.code}${quoted(reason)}`;
  }
}

/** One decision as one or two sentences. */
export function eventSentence(told: Told, subject: Subject): string {
  const { stable, candidate } = subject;
  const cause = causeText(told.reason, told.evidence, subject);
  switch (told.transition) {
    case 'create':
      return `Rollout of ${candidate} beside ${stable} created by ${told.actor}.`;
    case 'gate':
      return `Gate started: ${cause}.`;
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
      return `${candidate} is waiting to start beside ${stable}: engines load and the reference of ${stable} is gathered.`;
    case 'gating':
      return `${candidate} is held at 0% while test set ${plan.gate?.testSet ?? ''} compares it with ${stable}.`;
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
