// The gate's verdict: may the candidate go live, given how both versions answered the same frozen cases?
import type { Verdict } from '#libs/base';
import { detectableRate, exactMcNemarWorse, type Flips, pairedRateInterval, rateInterval } from './paired.js';

/** What became of one case with one version. `errored`: no answer could be had, for reasons of transport or engine. */
export type CaseOutcome = 'passed' | 'failed' | 'errored';

export interface ComparedCase {
  /** Slice it belongs to; undefined cases are in no slice. */
  readonly kind?: string | undefined;
  /** Null: not run. Then nothing is proven, whatever the rest says. */
  readonly candidate: CaseOutcome | null;
  readonly baseline: CaseOutcome | null;
}

export interface GateRule {
  /** Largest tolerated loss of the pass rate, as a share. */
  readonly margin: number;
  readonly minCases: number;
  readonly maxErrorShare: number;
}

export interface GateSlice extends Flips {
  readonly kind: string;
  readonly n: number;
  readonly candidatePassRate: number;
  readonly baselinePassRate: number;
}

/** Stored with the evaluation and shown to people; rates and bounds are shares (0.02 = 2 points). */
export interface GateFinding extends Flips {
  readonly verdict: Verdict;
  /** Candidate's pass rate minus the baseline's; null when nothing could be compared. */
  readonly effect: number | null;
  /** One-sided 95% bounds of `effect`. */
  readonly lower: number | null;
  readonly upper: number | null;
  readonly margin: number;
  /** Smallest true difference that this run finds with 80% power at 5% (two-sided), given how many cases changed sides. */
  readonly detectable: number | null;
  /** Cases compared. */
  readonly n: number;
  readonly candidatePassRate: number | null;
  readonly baselinePassRate: number | null;
  readonly candidateErrors: number;
  readonly baselineErrors: number;
  /** One-sided exact McNemar against "the candidate is worse". */
  readonly pWorse: number | null;
  readonly slices: readonly GateSlice[];
  readonly note: string;
}

/** Bounds are one-sided at 5% each, so both together hold 90%. */
const level = 0.9;
const worseAlpha = 0.05;
const detectability = { alpha: 0.05, power: 0.8, sides: 2 } as const;
const mostSlices = 32;
/** With fewer flips than this no run reaches significance with that power, so none can be called detectable. */
const leastFlips = 8;

/**
 * Pass: the lower bound is above -margin. Fail: the upper bound is below -margin, or the loss is beyond the margin and significantly a loss.
 * Anything else is inconclusive, and so is any run that is incomplete, too small for a pass, or has too many errors.
 * Errors stay in the denominator: the candidate's count as failures; the baseline's count as passes for a pass and as ties for a fail,
 * so that an error never helps the candidate to pass and a baseline's error never makes it fail.
 */
export function judgeGate(cases: readonly ComparedCase[], rule: GateRule): GateFinding {
  const run = cases.filter(({ candidate, baseline }) => candidate !== null && baseline !== null);
  const errors = { candidate: countOf(run, 'candidate', 'errored'), baseline: countOf(run, 'baseline', 'errored') };
  const nothing = {
    effect: null,
    lower: null,
    upper: null,
    detectable: null,
    candidatePassRate: null,
    baselinePassRate: null,
    pWorse: null,
  };
  const common = { margin: rule.margin, n: run.length, candidateErrors: errors.candidate, baselineErrors: errors.baseline };
  if (run.length === 0) {
    return { ...common, ...nothing, better: 0, worse: 0, slices: [], verdict: 'unmeasured', note: 'no case was answered by both versions' };
  }
  const n = run.length;
  const strict = flipsOf(run, 'passed');
  const lenient = flipsOf(run, 'tie');
  const bounds = pairedRateInterval(strict, n, level);
  const effect = (strict.better - strict.worse) / n;
  const measured = {
    ...common,
    ...strict,
    effect,
    lower: bounds.lower,
    upper: bounds.upper,
    detectable: detectableRate(n, Math.min(n, Math.max(leastFlips, strict.better + strict.worse)) / n, detectability),
    candidatePassRate: countOf(run, 'candidate', 'passed') / n,
    baselinePassRate: countOf(run, 'baseline', 'passed') / n,
    pWorse: exactMcNemarWorse(strict),
    slices: slicesOf(run),
  };
  const { verdict, why } = verdictOf(cases.length, n, errors, { bounds, lenient }, rule);
  return { ...measured, verdict, note: `${numbersOf(measured)}; ${why}` };
}

/** A run without a baseline: tells the pass rate, proves nothing by comparison. */
export function measureAlone(cases: readonly Pick<ComparedCase, 'candidate' | 'kind'>[], margin: number): GateFinding {
  const run = cases.filter(({ candidate }) => candidate !== null);
  const n = run.length;
  const passed = run.filter(({ candidate }) => candidate === 'passed').length;
  const bounds = n === 0 ? null : rateInterval(passed, n, level);
  return {
    verdict: 'unmeasured',
    effect: null,
    lower: null,
    upper: null,
    margin,
    detectable: null,
    n,
    better: 0,
    worse: 0,
    candidatePassRate: n === 0 ? null : passed / n,
    baselinePassRate: null,
    candidateErrors: run.filter(({ candidate }) => candidate === 'errored').length,
    baselineErrors: 0,
    pWorse: null,
    slices: [],
    note: bounds
      ? `the candidate passes ${percent(passed / n)} of ${n} cases (90% interval ${percent(bounds.lower)} to ${percent(bounds.upper)}); there is no baseline to compare with`
      : 'no case was answered',
  };
}

function verdictOf(
  planned: number,
  n: number,
  errors: { readonly candidate: number; readonly baseline: number },
  { bounds, lenient }: { readonly bounds: { readonly lower: number; readonly upper: number }; readonly lenient: Flips },
  { margin, minCases, maxErrorShare }: GateRule,
): { verdict: Verdict; why: string } {
  if (n < planned) return { verdict: 'inconclusive', why: `only ${n} of ${planned} cases have run` };
  const errored = Math.max(errors.candidate, errors.baseline);
  if (errored / n > maxErrorShare) {
    const arm = errors.candidate >= errors.baseline ? 'candidate' : 'baseline';
    return {
      verdict: 'inconclusive',
      why: `${percent(errored / n)} of the ${arm}'s cases ended in errors, more than the ${percent(maxErrorShare)} allowed`,
    };
  }
  const worst = pairedRateInterval(lenient, n, level);
  const loss = (lenient.worse - lenient.better) / n;
  const tolerated = `the tolerated loss of ${points(margin)}`;
  if (worst.upper < -margin) return { verdict: 'fail', why: `certainly more than ${tolerated}` };
  if (loss > margin && exactMcNemarWorse(lenient) < worseAlpha) return { verdict: 'fail', why: `a significant loss, beyond ${tolerated}` };
  if (bounds.lower <= -margin)
    return { verdict: 'inconclusive', why: `a loss beyond ${points(margin)} cannot be ruled out: more cases would tell` };
  if (n < minCases) return { verdict: 'inconclusive', why: `${n} cases are fewer than the ${minCases} that a pass needs` };
  return { verdict: 'pass', why: `within ${tolerated}` };
}

function numbersOf(
  finding: Pick<GateFinding, 'n' | 'better' | 'worse'> & {
    effect: number;
    lower: number;
    upper: number;
    candidatePassRate: number;
    baselinePassRate: number;
  },
): string {
  const { n, better, worse, effect, lower, upper, candidatePassRate, baselinePassRate } = finding;
  return `pass rate ${percent(candidatePassRate)} against ${percent(baselinePassRate)} on ${n} cases: ${better} better, ${worse} worse, difference ${signed(effect)} points (${signed(lower)} to ${signed(upper)})`;
}

/** Flips with the baseline's errors taken as passes (against the candidate) or as ties. */
function flipsOf(run: readonly ComparedCase[], baselineError: 'passed' | 'tie'): Flips {
  let [better, worse] = [0, 0];
  for (const { candidate, baseline } of run) {
    if (baseline === 'errored' && baselineError === 'tie') continue;
    const wanted = baseline !== 'failed';
    const got = candidate === 'passed';
    if (got && !wanted) better += 1;
    if (!got && wanted) worse += 1;
  }
  return { better, worse };
}

function slicesOf(run: readonly ComparedCase[]): GateSlice[] {
  const groups = Map.groupBy(
    run.filter(({ kind }) => kind !== undefined),
    ({ kind }) => kind ?? '',
  );
  return [...groups.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .slice(0, mostSlices)
    .map(([kind, members]) => ({
      kind,
      n: members.length,
      ...flipsOf(members, 'passed'),
      candidatePassRate: countOf(members, 'candidate', 'passed') / members.length,
      baselinePassRate: countOf(members, 'baseline', 'passed') / members.length,
    }));
}

function countOf(run: readonly ComparedCase[], arm: 'candidate' | 'baseline', outcome: CaseOutcome): number {
  return run.filter((one) => one[arm] === outcome).length;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)}%`;
}

function points(share: number): string {
  return `${Number((share * 100).toFixed(2))} points`;
}

function signed(share: number): string {
  return `${share >= 0 ? '+' : ''}${(share * 100).toFixed(1)}`;
}
