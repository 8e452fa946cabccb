// One look: merged counts in, one finding per check, the combined e-value and the promotion proofs out. Pure; the same counts always give the same answer.
import type { CheckName, Finding } from '#libs/base';
import { lookAtEvents } from './check-events.js';
import { LatencyCheck } from './check-latency.js';
import { TiltedCheck, type TiltQuestion } from './check-tilted.js';
import { type Comparison, comparisonsOf, type Epoch } from './epoch-counts.js';
import type { FrozenScores } from './frozen-scores.js';
import type { Measured } from './measured.js';
import type { MergedCounts } from './merged-counts.js';
import { combine } from './mixture.js';

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

export interface JudgeOptions {
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
  /** Whether to compute the bounds of the effects (some tenths of a millisecond per check); nothing is decided by them. */
  readonly interval?: boolean;
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

/** A check's evidence, and its promotion proof where it has one. */
interface Look {
  readonly measured: Measured;
  readonly proofLogE: number | null;
}

/** Judges one rollout's counts again and again. Keeps partial sums only: the answer depends on counts and options alone. */
export class Judge {
  private readonly entropy: TiltedCheck;
  private readonly length: TiltedCheck;
  private readonly latency: LatencyCheck;

  constructor(private readonly merged: MergedCounts) {
    this.entropy = new TiltedCheck(merged);
    this.length = new TiltedCheck(merged);
    this.latency = new LatencyCheck(merged);
  }

  look(options: JudgeOptions): Judgement {
    const comparisons = comparisonsOf(options.epochs);
    const counts = countAll(this.merged, options);
    const looks = this.lookAt(options, comparisons);
    const measured = looks.map((look) => look.measured);
    const promotion = prove(looks, options.promotion);
    const weights = normalisedWeights(options.checks, measured);
    const logE = Object.fromEntries(measured.map((one) => [one.check, one.measured ? one.logE : 0])) as Partial<Record<CheckName, number>>;
    const threshold = Math.log(1 / options.alpha);
    const total = measured.length > 0 ? combine(logE, weights) : { logE: 0, share: {} };
    const guarded = guardsMet(options, counts);
    const failing = guarded && total.logE >= threshold ? failingChecks(logE, weights, threshold, total.share) : [];
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

  private lookAt({ checks, scores, interval = false, now }: JudgeOptions, comparisons: readonly Comparison[]): Look[] {
    const looks: Look[] = [];
    const centred = (check: 'entropy' | 'length'): Look => {
      const { up, down } = checks[check];
      const question: TiltQuestion = {
        check,
        metric: check,
        scale: 'log',
        fits: scores?.[check] ?? null,
        margins: { up, down },
        key: `${up} ${down}`,
      };
      return this[check].look(question, comparisons, interval);
    };
    if (checks.entropy.enabled) looks.push(centred('entropy'));
    if (checks.errors.enabled) {
      looks.push(lookAtEvents(this.merged, comparisons, { check: 'errors', field: 'failures', verb: 'failed', ...checks.errors }));
    }
    if (checks.latency.enabled) {
      looks.push({ measured: this.latency.look(checks.latency, comparisons, scores, now), proofLogE: null });
    }
    if (checks.length.enabled) looks.push({ ...centred('length'), proofLogE: null });
    return looks;
  }
}

function prove(looks: readonly Look[], { alpha, gating }: JudgeOptions['promotion']): Judgement['promotion'] {
  const needed = Math.log(1 / alpha);
  return gating.flatMap((check) => {
    const logE = looks.find(({ measured }) => measured.check === check)?.proofLogE ?? null;
    return logE === null ? [] : [{ check, logE: clamp(logE), needed, proven: logE >= needed }];
  });
}

function countAll(merged: MergedCounts, { epochs, currentEpoch }: JudgeOptions): Judgement['counts'] {
  const newest = (arm: 'stable' | 'candidate'): number | null => {
    const times = epochs.map(({ epoch }) => merged.lastAt(epoch, arm)).filter((at) => at !== null);
    return times.length === 0 ? null : Math.max(...times);
  };
  const sum = (arm: 'stable' | 'candidate', field: 'responses' | 'units'): number =>
    epochs.reduce((total, { epoch }) => total + merged.sum(epoch, arm, field), 0);
  const known = epochs.some(({ epoch }) => epoch === currentEpoch);
  return {
    stable: sum('stable', 'responses'),
    candidate: sum('candidate', 'responses'),
    candidateUnits: sum('candidate', 'units'),
    stepCandidate: known ? merged.sum(currentEpoch, 'candidate', 'responses') : 0,
    stepStable: known ? merged.sum(currentEpoch, 'stable', 'responses') : 0,
    lastStableAt: newest('stable'),
    lastCandidateAt: newest('candidate'),
  };
}

/** Policy, not validity: nobody should be rolled back on a handful of answers within the first moments. */
function guardsMet({ epochs, guards, now }: JudgeOptions, counts: Judgement['counts']): boolean {
  const exposedSince = epochs.filter((epoch) => epoch.weight > 0).map((epoch) => epoch.since);
  if (exposedSince.length === 0) return false;
  return (
    counts.candidate >= guards.minResponses &&
    counts.candidateUnits >= guards.minUnits &&
    now - Math.min(...exposedSince) >= guards.minS * 1000
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
