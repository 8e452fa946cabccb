// One look: merged counts in, one finding per check, the combined e-value and the promotion proofs out. Pure; the same counts always give the same answer.
import type { CheckName, Finding } from '#libs/base';
import { judgeErrors, proveErrors } from './check-errors.js';
import { judgeLatency } from './check-latency.js';
import { judgeTilted, proveTilted } from './check-tilted.js';
import { countEpochs, type Epoch, type EpochCounts } from './epoch-counts.js';
import type { FrozenScores } from './frozen-scores.js';
import type { Measured } from './measured.js';
import { combine } from './mixture.js';
import type { Window } from './window.js';

/** What a plan says about checks; the shape of `Plan['checks']`. */
export interface CheckOptions {
  readonly entropy: { readonly enabled: boolean; readonly weight: number; readonly up: number; readonly down: number };
  readonly length: { readonly enabled: boolean; readonly weight: number; readonly up: number; readonly down: number };
  readonly errors: { readonly enabled: boolean; readonly weight: number; readonly ratio: number; readonly proofMargin: number };
  readonly latency: {
    readonly enabled: boolean;
    readonly weight: number;
    readonly margin: number;
    readonly gross: number;
    readonly blockS: number;
    readonly settleS: number;
  };
}

export interface JudgeInput {
  /** All windows of the rollout, both arms, every epoch, in any order. */
  readonly windows: readonly Window[];
  readonly epochs: readonly Epoch[];
  readonly currentEpoch: number;
  /** Null until stable's reference was thick enough: entropy, length and gross latency stay unmeasured. */
  readonly scores: FrozenScores | null;
  readonly checks: CheckOptions;
  readonly promotion: { readonly alpha: number; readonly gating: readonly CheckName[] };
  readonly guards: { readonly minResponses: number; readonly minUnits: number; readonly minS: number };
  /** Bound on a false rollback over the whole rollout. */
  readonly alpha: number;
  readonly now: number;
}

export interface Judgement {
  readonly findings: Finding[];
  readonly combined: { readonly logE: number; readonly threshold: number; readonly share: Partial<Record<CheckName, number>> };
  readonly promotion: { readonly check: CheckName; readonly logE: number; readonly needed: number; readonly proven: boolean }[];
  readonly counts: {
    readonly stable: number;
    readonly candidate: number;
    readonly candidateUnits: number;
    readonly stepCandidate: number;
    readonly stepStable: number;
    readonly lastStableAt: number | null;
    readonly lastCandidateAt: number | null;
  };
}

/** ln E beyond this is certainty; JSON stays finite. */
const largestLogE = 700;

/** Judges all evidence of a rollout at one instant. Cost: about a million table look-ups at 30 classes, a few tens of milliseconds. */
export function judge(input: JudgeInput): Judgement {
  const epochs = countEpochs(input.windows, input.epochs);
  const counts = countAll(epochs, input.currentEpoch);
  const measured = measure(input, epochs);
  const promotion = prove(input, epochs);
  const weights = normalisedWeights(input.checks, measured);
  const logE = Object.fromEntries(measured.map((one) => [one.check, one.measured ? one.logE : 0])) as Partial<Record<CheckName, number>>;
  const threshold = Math.log(1 / input.alpha);
  const total = measured.length > 0 ? combine(logE, weights) : { logE: 0, share: {} };
  const guarded = guardsMet(input, epochs, counts);
  const alarmed = guarded && total.logE >= threshold;
  const failing = alarmed ? failingChecks(logE, weights, threshold, total.share) : [];
  const findings = measured.map((one): Finding => {
    const { measured: looked, ...finding } = one;
    const proof = promotion.find((candidate) => candidate.check === one.check);
    const verdict = failing.includes(one.check) ? 'fail' : !looked ? 'unmeasured' : proof?.proven ? 'pass' : 'inconclusive';
    return { ...finding, logE: clamp(one.logE), verdict };
  });
  return {
    findings,
    // Without the guards' minimum the evidence is shown but cannot alarm: clamp it just below the threshold.
    combined: { logE: clamp(guarded ? total.logE : Math.min(total.logE, threshold - 1e-6)), threshold, share: total.share },
    promotion,
    counts,
  };
}

function measure(input: JudgeInput, epochs: readonly EpochCounts[]): Measured[] {
  const { checks } = input;
  const all: Measured[] = [];
  if (checks.entropy.enabled) all.push(judgeTilted('entropy', input));
  if (checks.errors.enabled) all.push(judgeErrors(checks.errors, epochs));
  if (checks.latency.enabled) all.push(judgeLatency(input, epochs));
  if (checks.length.enabled) all.push(judgeTilted('length', input));
  return all;
}

function prove(input: JudgeInput, epochs: readonly EpochCounts[]): Judgement['promotion'] {
  const needed = Math.log(1 / input.promotion.alpha);
  return input.promotion.gating
    .filter((check) => (check === 'entropy' || check === 'errors') && input.checks[check].enabled)
    .map((check) => {
      const logE = check === 'entropy' ? proveTilted('entropy', input) : proveErrors(input.checks.errors, epochs);
      return { check, logE: clamp(logE), needed, proven: logE >= needed };
    });
}

function countAll(epochs: readonly EpochCounts[], currentEpoch: number): Judgement['counts'] {
  const current = epochs.find((epoch) => epoch.epoch === currentEpoch);
  const newest = (arm: 'stable' | 'candidate'): number | null => {
    const times = epochs.map((epoch) => epoch[arm].lastAt).filter((at) => at !== null);
    return times.length === 0 ? null : Math.max(...times);
  };
  const sum = (arm: 'stable' | 'candidate', field: 'responses' | 'units'): number =>
    epochs.reduce((total, epoch) => total + epoch[arm][field], 0);
  return {
    stable: sum('stable', 'responses'),
    candidate: sum('candidate', 'responses'),
    candidateUnits: sum('candidate', 'units'),
    stepCandidate: current?.candidate.responses ?? 0,
    stepStable: current?.stable.responses ?? 0,
    lastStableAt: newest('stable'),
    lastCandidateAt: newest('candidate'),
  };
}

/** Policy, not validity: nobody should be rolled back on a handful of answers within the first moments. */
function guardsMet(input: JudgeInput, epochs: readonly EpochCounts[], counts: Judgement['counts']): boolean {
  const exposedSince = input.epochs.filter((epoch) => epoch.weight > 0).map((epoch) => epoch.since);
  if (exposedSince.length === 0 || epochs.length === 0) return false;
  return (
    counts.candidate >= input.guards.minResponses &&
    counts.candidateUnits >= input.guards.minUnits &&
    input.now - Math.min(...exposedSince) >= input.guards.minS * 1000
  );
}

function normalisedWeights(checks: CheckOptions, measured: readonly Measured[]): Partial<Record<CheckName, number>> {
  const own = (check: CheckName): number => (check in checks ? checks[check as keyof CheckOptions].weight : 0);
  const total = measured.reduce((sum, one) => sum + own(one.check), 0);
  return Object.fromEntries(measured.map((one) => [one.check, own(one.check) / total]));
}

/** Every check whose weighted e-value alone reaches the threshold; when only their average does, the one that carries most of it. */
function failingChecks(
  logE: Partial<Record<CheckName, number>>,
  weights: Partial<Record<CheckName, number>>,
  threshold: number,
  share: Partial<Record<CheckName, number>>,
): CheckName[] {
  const alone = (Object.keys(logE) as CheckName[]).filter((check) => (logE[check] ?? 0) + Math.log(weights[check] ?? 0) >= threshold);
  const largest = largestShare(share);
  return alone.length > 0 ? alone : largest ? [largest] : [];
}

function largestShare(share: Partial<Record<CheckName, number>>): CheckName | null {
  let best: CheckName | null = null;
  for (const check of Object.keys(share) as CheckName[]) {
    if (best === null || (share[check] ?? 0) > (share[best] ?? 0)) best = check;
  }
  return best;
}

function clamp(logE: number): number {
  return Math.max(-largestLogE, Math.min(largestLogE, logE));
}
