// One look: merged counts in, one finding per check, the combined e-value and the promotion proofs out. Pure; the same counts always give the same answer.
import type { CheckName, Finding } from '#libs/base';
import { AssignmentGuard } from './assignment.js';
import { bandMargins, bandOf } from './bands.js';
import { EventCheck } from './check-events.js';
import { LatencyChecks } from './check-latency.js';
import { ShapeCheck } from './check-shape.js';
import { TiltedCheck, type TiltQuestion } from './check-tilted.js';
import { failingChecks, weightsOf } from './combination.js';
import { type Comparison, comparisonsOf, type Epoch, isMixed } from './epoch-counts.js';
import type { FrozenScores } from './frozen-scores.js';
import { inputDrift } from './input-drift.js';
import type { CheckOptions, Judgement, JudgeOptions } from './judgement.js';
import { unknownQuality } from './linear-tilt.js';
import type { CheckLook } from './measured.js';
import type { MergedCounts } from './merged-counts.js';
import { combine } from './mixture.js';
import { surprise, toldBySurprise } from './surprise.js';

/** ln E beyond this is certainty; JSON stays finite. */
const largestLogE = 700;

/** Judges one rollout's counts again and again. Keeps partial sums only: the answer depends on counts and options alone. */
export class Judge {
  private readonly tilted: Readonly<Record<'entropy' | 'length' | 'cost' | 'quality', TiltedCheck>>;
  private readonly shape: ShapeCheck;
  private readonly errors: EventCheck;
  private readonly refusals: EventCheck;
  private readonly latency: LatencyChecks;
  private readonly assignment: AssignmentGuard;
  private comparisons: readonly Comparison[] = [];
  private scored: { readonly of: readonly Comparison[]; readonly key: string; readonly kept: readonly Comparison[] } | null = null;
  private scores: { readonly given: FrozenScores | null; readonly text: string; readonly kept: FrozenScores | null } | null = null;

  constructor(private readonly merged: MergedCounts) {
    const tilted = (): TiltedCheck => new TiltedCheck(merged);
    this.tilted = { entropy: tilted(), length: tilted(), cost: tilted(), quality: tilted() };
    this.shape = new ShapeCheck(merged);
    this.errors = new EventCheck(merged, { check: 'errors', field: 'failures', verb: 'failed' });
    this.refusals = new EventCheck(merged, { check: 'refusals', field: 'refusals', verb: 'refused to answer' });
    this.latency = new LatencyChecks(merged);
    this.assignment = new AssignmentGuard(merged);
  }

  look(given: JudgeOptions): Judgement {
    const options = { ...given, scores: this.keptScores(given.scores) };
    const comparisons = this.keptComparisons(options.epochs);
    const counts = countAll(this.merged, options);
    const looks = this.lookAt(options, comparisons);
    const measured = looks.map((look) => look.measured);
    const promotion = prove(looks, options);
    const weights = weightsOf(
      options.checks,
      measured.map(({ check }) => check),
      options.scores,
    );
    const logE = Object.fromEntries(measured.map((one) => [one.check, one.measured ? one.logE : 0])) as Partial<Record<CheckName, number>>;
    const threshold = Math.log(1 / options.alpha);
    const weighed = Object.values(weights).some((weight) => weight > 0);
    const total = weighed ? combine(logE, weights) : { logE: 0, share: {} };
    const guarded = guardsMet(options, counts);
    const failing = guarded && total.logE >= threshold ? failingChecks(measured, weights, threshold, total.share) : [];
    const assignment = this.assignment.look(comparisons);
    const findings = measured.map((one): Finding => {
      const { measured: looked, ...finding } = one;
      const proven = promotion.find((proof) => proof.check === one.check)?.proven;
      const verdict = failing.includes(one.check) ? 'fail' : !looked ? 'unmeasured' : proven ? 'pass' : 'inconclusive';
      // Who compares answers must know that the requests were shared out as the coin said: said where people look first.
      const skew = one.check === 'errors' && assignment.note !== null ? { amber: true, note: `${finding.note}; ${assignment.note}` } : {};
      return { ...finding, ...skew, logE: clamp(one.logE), verdict };
    });
    return {
      findings,
      // Without the guards' minimum the evidence is shown but cannot alarm: clamp it just below the threshold.
      combined: { logE: clamp(guarded ? total.logE : Math.min(total.logE, threshold - 1e-6)), threshold, share: total.share },
      promotion,
      amber: findings.filter(({ amber }) => amber === true).map(({ check }) => check),
      drift: options.interval ? inputDrift(this.merged, options.currentEpoch, options.scores?.input, options.scores?.responses ?? 0) : null,
      assignment,
      counts,
    };
  }

  private lookAt(
    { checks, epochs, scores, promotion, interval = false, now }: JudgeOptions,
    comparisons: readonly Comparison[],
  ): CheckLook[] {
    const looks: CheckLook[] = [];
    const amberLogE = Math.log(1 / promotion.alpha);
    for (const check of ['entropy', 'length'] as const) {
      if (!checks[check].enabled) continue;
      const question = centredQuestion(check, checks, scores, amberLogE);
      const look = this.tilted[check].look(question, comparisons, interval);
      looks.push(question.metric === 'nll' ? toldBySurprise(look, this.merged, comparisons) : look);
    }
    if (isOn(checks, 'shape')) looks.push(this.shape.look(shapeQuestion(checks, scores), comparisons));
    if (checks.errors.enabled) looks.push(this.errors.look(checks.errors, comparisons));
    if (isOn(checks, 'refusals')) looks.push(this.refusals.look(checks.refusals, comparisons));
    if (checks.latency.enabled) {
      looks.push(...this.latency.look({ options: checks.latency, epochs, comparisons, scores, now, amberLogE }));
    }
    if (isOn(checks, 'cost')) {
      const { up } = checks.cost;
      const look = this.tilted.cost.look(
        { check: 'cost', metric: 'cost', scale: 'log', fits: scores?.cost ?? null, margins: { up, down: null }, key: `${up}` },
        comparisons,
        interval,
      );
      looks.push({ ...look, proofLogE: null });
    }
    if (isOn(checks, 'quality')) {
      const { down } = checks.quality;
      const known = scores?.quality && Object.keys(scores.quality).length > 0 ? scores.quality : unknownQuality;
      looks.push(
        this.tilted.quality.look(
          { check: 'quality', metric: 'quality', scale: 'linear', fits: known, margins: { up: null, down }, key: `${down}` },
          this.keptScored(comparisons, checks.quality),
          interval,
        ),
      );
    }
    return looks;
  }

  /** The same epochs as the same array: sums are kept for it. */
  private keptComparisons(epochs: readonly Epoch[]): readonly Comparison[] {
    const comparisons = comparisonsOf(epochs);
    const same =
      comparisons.length === this.comparisons.length &&
      comparisons.every((one, at) => {
        const before = this.comparisons[at];
        return before?.epoch === one.epoch && before.weight === one.weight && before.baseline === one.baseline;
      });
    if (!same) this.comparisons = comparisons;
    return this.comparisons;
  }

  private keptScored(comparisons: readonly Comparison[], rates: CheckOptions['quality']): readonly Comparison[] {
    const key = `${rates.sampleStable} ${rates.sampleCandidate}`;
    if (this.scored?.of !== comparisons || this.scored.key !== key)
      this.scored = { of: comparisons, key, kept: scored(comparisons, rates) };
    return this.scored.kept;
  }

  /** Stored scores are read anew for every look: as long as they say the same, what was computed with them stays. */
  private keptScores(given: FrozenScores | null): FrozenScores | null {
    if (this.scores?.given === given) return this.scores.kept;
    const text = JSON.stringify(given);
    this.scores = { given, text, kept: this.scores?.text === text ? this.scores.kept : given };
    return this.scores.kept;
  }
}

/** Plans that were stored before a check existed lack it. */
function isOn(checks: CheckOptions, check: keyof CheckOptions): boolean {
  return (checks as Partial<CheckOptions>)[check]?.enabled === true;
}

function centredQuestion(check: 'entropy' | 'length', checks: CheckOptions, scores: FrozenScores | null, amberLogE: number): TiltQuestion {
  const { up, down, expect } = checks[check];
  const metric = check === 'entropy' && scores ? (surprise(scores) ?? check) : check;
  const bands = expect === 'stable' ? null : (scores?.bands?.[check] ?? null);
  const [some] = Object.values(bands ?? {});
  const banded = some && {
    marginsOf: (promptClass: string) => bandMargins(bandOf(bands, promptClass), { up, down }),
    source: some.source,
  };
  return {
    check,
    metric,
    scale: 'log',
    fits: scores?.[metric] ?? null,
    margins: { up, down },
    banded,
    amberLogE,
    key: `${metric} ${up} ${down} ${expect} ${banded ? amberLogE : ''}`,
  };
}

/** The shape is held to what entropy is held to: what a tolerated move of the centre does to its tails is no event. */
function shapeQuestion(checks: CheckOptions, scores: FrozenScores | null): Parameters<ShapeCheck['look']>[0] {
  const { up, down, expect } = checks.entropy;
  const bands = expect === 'stable' ? null : (scores?.bands?.entropy ?? null);
  return {
    ratio: checks.shape.ratio,
    bounds: scores?.shape ?? null,
    marginsOf: (promptClass) => bandMargins(bandOf(bands, promptClass), { up, down }),
    key: `${checks.shape.ratio} ${up} ${down} ${expect}`,
  };
}

/** Only samples are scored: given that an answer was, the coin shows w s1 / (w s1 + (1 - w) s0). */
function scored(comparisons: readonly Comparison[], { sampleStable, sampleCandidate }: CheckOptions['quality']): Comparison[] {
  return comparisons
    .map((one) => {
      const candidate = one.weight * sampleCandidate;
      return { ...one, weight: candidate / (candidate + (1 - one.weight) * sampleStable) };
    })
    .filter(isMixed);
}

function prove(looks: readonly CheckLook[], { promotion: { alpha, gating }, checks }: JudgeOptions): Judgement['promotion'] {
  const needed = Math.log(1 / alpha);
  return gating
    .filter((check) => check in checks && checks[check as keyof CheckOptions].enabled)
    .map((check) => {
      const logE = clamp(looks.find(({ measured }) => measured.check === check)?.proofLogE ?? 0);
      return { check, logE, needed, proven: logE >= needed };
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

function clamp(logE: number): number {
  return Math.max(-largestLogE, Math.min(largestLogE, logE));
}
