// What the checks found: a failed one takes the candidate back, smoke keeps it where it is.
import type { CheckName, Finding } from '#libs/base';
import { moved } from './decision.js';
import { isExposed } from './graph.js';
import type { Decision, Evidence, Reason, Rollout } from './model.js';

/** From this combined e-value on a step is not left forward: too much smoke to walk on. */
const amberLogE = Math.log(10);

/** Any check that fails takes the candidate back at once, without waiting for a bake, also during a pause. */
export function judgeFindings(rollout: Rollout, evidence: Evidence, now: number): Decision | null {
  if (!isExposed(rollout.phase)) return null;
  const failed = nearestCause(evidence.findings);
  const { logE, threshold } = evidence.combined;
  if (!failed && logE < threshold) return null;
  const worst = failed ?? strongest(evidence.findings);
  const reason: Reason = { code: 'check.failed', ...(worst ? described(worst, evidence) : { numbers: { logE, threshold } }) };
  return moved('rollback', { phase: 'rolledBack', at: now, reason }, reason, now);
}

/** Too little to roll back and too much to go on: the combined evidence, or one check's own amber. Null = clear. */
export function smoke({ combined, findings }: Evidence): Reason | null {
  const amber = inCauseOrder(findings.filter((finding) => finding.amber === true))[0];
  if (amber) return { code: 'amber', check: amber.check, ...(amber.direction ? { direction: amber.direction } : {}) };
  return combined.logE >= amberLogE ? { code: 'amber', numbers: { logE: combined.logE } } : null;
}

/**
 * Several checks often fail at once: a version that loops is long, therefore slow. The one nearest to the cause is named, so that whoever is
 * on call looks in the right place.
 */
const causeOrder: readonly CheckName[] = [
  'engine',
  'memory',
  'errors',
  'refusals',
  'shape',
  'entropy',
  'length',
  'quality',
  'cost',
  'ttft',
  'interToken',
  'latency',
];

export function inCauseOrder(findings: readonly Finding[]): Finding[] {
  return findings.toSorted((a, b) => causeOrder.indexOf(a.check) - causeOrder.indexOf(b.check));
}

function nearestCause(findings: readonly Finding[]): Finding | undefined {
  return inCauseOrder(findings.filter((finding) => finding.verdict === 'fail'))[0];
}

function strongest(findings: readonly Finding[]): Finding | undefined {
  return findings.toSorted((a, b) => b.logE - a.logE)[0];
}

/** Check, direction and figures of a finding. */
export function figuresOf(finding: Finding): Omit<Reason, 'code'> & { readonly numbers: Readonly<Record<string, number>> } {
  const numbers: Record<string, number> = { nStable: finding.nStable, nCandidate: finding.nCandidate };
  for (const field of ['effect', 'lower', 'upper', 'marginUp', 'marginDown'] as const) {
    const value = finding[field];
    if (value !== null) numbers[field] = value;
  }
  return { check: finding.check, ...(finding.direction ? { direction: finding.direction } : {}), numbers };
}

function described(finding: Finding, { combined, counts }: Evidence): Omit<Reason, 'code'> {
  const { numbers, ...rest } = figuresOf(finding);
  return { ...rest, numbers: { logE: combined.logE, threshold: combined.threshold, served: counts.candidate, ...numbers } };
}
