// Why a decision was made, as a clause of plain words with numbers. Pure.
import type { Arm, CheckName } from '#libs/base';
import type { Evidence, Plan, Reason } from '#libs/rollout';

/** What a sentence is about. */
export interface Subject {
  readonly stable: string;
  readonly candidate: string;
  readonly plan: Plan;
}

const measureOf: Readonly<Record<CheckName, string>> = {
  entropy: 'output entropy',
  shape: 'share of answers that loop or are unusually sure or unsure',
  length: 'output length',
  errors: 'error share',
  refusals: 'refusal share',
  ttft: 'time to the first token',
  interToken: 'time between tokens',
  latency: 'latency',
  quality: 'quality',
  cost: 'cost per request',
  engine: 'engine',
  memory: 'memory',
};

function measure(check: CheckName | undefined): string {
  return check ? measureOf[check] : 'the checks';
}

const waitedFor: Readonly<Record<string, string>> = {
  'step.responses': 'too few responses',
  'step.blocks': 'too few blocks of time',
  propagating: 'a gateway does not follow',
  'engine.not-ready': 'an engine is not ready',
};

/** "2026-12-01 08:00 UTC". */
function instant(at: number): string {
  return `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

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

/** "output entropy of v4 was +812% (+640% .. +1010%) against v2, margin +10%". */
function comparison(reason: Reason, evidence: Evidence | null, { stable, candidate }: Subject): string {
  const check = reason.check ?? 'errors';
  const numbers = reason.numbers ?? {};
  const found = evidence?.findings.find((finding) => finding.check === check);
  const effect = numbers['effect'] ?? found?.effect ?? undefined;
  const lower = numbers['lower'] ?? found?.lower ?? undefined;
  const upper = numbers['upper'] ?? found?.upper ?? undefined;
  const name = check === 'errors' && reason.direction === 'unfinished' ? 'share of failed and unfinished requests' : measure(check);
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
    case 'shadow.started':
      return `mirrors of the requests of ${subject.stable} go to ${subject.candidate}, and no user sees an answer of it`;
    case 'shadow.running':
      return `${numbers['pairs'] ?? 0} of ${numbers['needed'] ?? 0} mirrored pairs are judged`;
    case 'shadow.failed':
      return reason.check
        ? `in the shadow, ${comparison(reason, evidence, subject)} (${numbers['pairs'] ?? 0} pairs)`
        : `the shadow failed${quoted(reason)}`;
    case 'shadow.inconclusive':
      return `the mirrors gave no verdict (${numbers['pairs'] ?? 0} of ${numbers['needed'] ?? 0} pairs)${quoted(reason)}`;
    case 'shift.unexpected':
      return `before exposure, ${measure(reason.check)} of ${subject.candidate} moved by ${signedPct(numbers['lower'] ?? 0)} .. ${signedPct(numbers['upper'] ?? 0)} against ${subject.stable}, outside the plan's maxExpectedShift`;
    case 'approval':
      return numbers['weightPct'] === undefined
        ? 'the plan asks for a person to approve the promotion'
        : `the plan asks for a person to approve ${numbers['weightPct']}%`;
    case 'exposure':
      return `the plan's exposure budget is spent (${numbers['spent'] ?? 0} of ${numbers['most'] ?? 0} ${reason.direction === 'units' ? 'users' : 'candidate responses'}), so ${subject.candidate} gets no traffic until a person decides`;
    case 'frozen':
      return `a freeze window lets nothing go forward${numbers['until'] === undefined ? '' : ` until ${instant(numbers['until'])}`}`;
    case 'scheduled':
      return `it is scheduled to start at ${instant(numbers['startAt'] ?? 0)}`;
    case 'memory.exceeded':
      return `the engine of ${subject.candidate} uses ${weightText(numbers['share'] ?? 0)} of its memory, more than ${weightText(numbers['most'] ?? 0)}`;
    case 'engine.restarts':
      return `the engine of ${subject.candidate} restarted ${numbers['restarts'] ?? 0} times, more than ${numbers['most'] ?? 0}`;
    case 'strain.shared':
      return 'both versions strain their engines, which has a common cause';
    case 'database.failed-over':
      return 'the database was promoted or restored and may lack the last decisions, so no user meets the candidate until a person resumes';
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
      return `the ${armName(reason.direction, subject)} gave no observation for ${numbers['silentS'] ?? subject.plan.noDataLimitS} s${reason.text ? ` (${reason.text})` : ''}`;
    case 'deadline':
      return `the step's deadline passed without proof (${waitedFor[reason.text ?? ''] ?? reason.text ?? 'unproven'})`;
    case 'operator':
      return `${reason.actor ?? 'an operator'} asked for it${quoted(reason)}`;
    case 'command.refused':
      return `the command of ${reason.actor ?? 'an operator'} was refused${quoted(reason)}`;
    case 'command.done':
      return `it was so already when ${reason.actor ?? 'an operator'} asked${quoted(reason)}`;
    case 'proof':
      return `every gating check rejected "worse than the margin" (${numbers['candidate'] ?? evidence?.counts.candidate ?? 0} candidate and ${numbers['stable'] ?? evidence?.counts.stable ?? 0} stable responses)`;
    case 'propagating':
      return 'gateways are taking over the new table';
    case 'step.time':
      return "the step's least time has not passed";
    case 'step.responses':
      return 'the step has too few candidate responses yet';
    case 'step.blocks':
      return 'the step has lasted too few blocks of time for a proof of latency';
    case 'bake.time':
      return 'the last step is baking';
    case 'bake.responses':
      return 'the candidate answered nobody while it baked';
    case 'amber':
      return reason.check
        ? `${measure(reason.check)} of ${subject.candidate} gives smoke: enough to stay at this weight, not enough to roll back`
        : 'the evidence against the candidate is too strong to go on and too weak to roll back';
    case 'unproven':
      return `${reason.check ? measure(reason.check) : 'the checks'} is not yet proven to be within the margin`;
    case 'unmeasured':
      return `${measure(reason.check)} is not measured, so nothing is proven`;
    default:
      return `${reason.code}${quoted(reason)}`;
  }
}
