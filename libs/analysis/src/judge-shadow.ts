// The shadow phase's answer: both versions on the same prompts before any user meets the candidate. Pure; the same windows always give the same answer.
import type { CheckName, Finding, Verdict } from '#libs/base';
import { type Band, defaultExpectedShift, type ExpectedShift, fitBands, judgeBands, pairedSamples } from './bands.js';
import { binomialLogE } from './binomial.js';
import { failingChecks } from './combination.js';
import { eventRatioLogE } from './event-ratio.js';
import type { Measured } from './measured.js';
import { combine, logMeanExp } from './mixture.js';
import { type PairedRatio, pairedLogE } from './paired.js';
import type { PairedMetric, PairedWindow } from './paired-window.js';
import { lnRepresentative, mergeInto } from './sketch.js';
import type { Histogram } from './window.js';

interface PairedCentre {
  readonly enabled: boolean;
  readonly weight: number;
  readonly up: number;
  readonly down: number;
  readonly expect: 'evaluated' | 'stable';
}

/** What a plan says; `checks` has the shape of `Plan['checks']`. */
export interface ShadowOptions {
  readonly checks: {
    readonly entropy: PairedCentre;
    readonly length: PairedCentre;
    /** Loops: `ratio` is the tolerated multiple of stable's. */
    readonly shape: { readonly enabled: boolean; readonly weight: number; readonly ratio: number };
    readonly errors: { readonly enabled: boolean; readonly weight: number };
  };
  /** Bound on failing a candidate that is within all margins, over all looks. */
  readonly alpha: number;
  /** Pairs of answers to the same prompt that a pass needs: 150 unless given. */
  readonly minPairs?: number;
  /** What `expect: evaluated` holds entropy and length to before anything was evaluated: 0.5 to 2 times stable's unless given. */
  readonly maxExpectedShift?: ExpectedShift;
  /** Tolerated share of mirrors that fail where stable answered: 0.05 unless given. Mirrors have the lowest priority, so some fail for want of room. */
  readonly maxFailureShare?: number;
}

export interface ShadowJudgement {
  /** `fail` at any look; `pass` from `minPairs` on; else `inconclusive`, or `unmeasured` when no mirror ended. */
  readonly verdict: Verdict;
  readonly pairs: number;
  /** Prompts whose stable answer the candidate read. */
  readonly forced: number;
  /** One for each of entropy, length, shape (loops) and errors (failures) that the plan asks for. */
  readonly findings: Finding[];
  readonly combined: { readonly logE: number; readonly threshold: number; readonly share: Partial<Record<CheckName, number>> };
  /** What the live steps may expect: fixed with the scores when the first weight is set. Empty below 150 pairs. */
  readonly bands: Partial<Record<'entropy' | 'length', Record<string, Band>>>;
  readonly note: string;
}

const defaultMinPairs = 150;
const defaultFailureShare = 0.05;
/** A fixed part for each class that may come, for weights must not follow the data. Gateways keep no more classes than this. */
const mostClasses = 32;
const largestLogE = 700;

/**
 * Judges all mirrored prompts of a rollout.
 *
 * Entropy (of the candidate's own answers, and of stable's text as the candidate reads it) and length: the paired e-process in both directions, over all
 * classes together and by class, against the plan's margins where the candidate should be as stable, else against `maxExpectedShift`: an honest upgrade
 * moves, and what it moved by becomes the band of the live steps. Loops: the event ratio at a fair coin; exact whatever ties the two answers to a prompt,
 * for an e-value of both never exceeds that of independent ones. Failures: a bound on the candidate's own share, since stable answered each of these prompts.
 * The average of all over fixed weights fails a candidate within the margins in at most `alpha` of rollouts, at any look.
 *
 * The candidate's surprise at stable's text (`forcedNll`) never fails it alone, for stable's own text is likeliest under stable; a proven move beyond
 * `maxExpectedShift` leaves the verdict open, as does an interval of the bands that reaches beyond it: a person decides.
 */
export function judgeShadow(windows: readonly PairedWindow[], options: ShadowOptions): ShadowJudgement {
  const { checks, alpha, minPairs = defaultMinPairs, maxExpectedShift = defaultExpectedShift } = options;
  const seen = mergeWindows(windows);
  const threshold = Math.log(1 / alpha);
  const looks: Measured[] = [];
  for (const check of ['entropy', 'length'] as const)
    if (checks[check].enabled) looks.push(lookAtCentre(check, seen, checks[check], maxExpectedShift));
  if (checks.shape.enabled) looks.push(lookAtLoops(seen, checks.shape.ratio));
  if (checks.errors.enabled) looks.push(lookAtFailures(seen, options.maxFailureShare ?? defaultFailureShare));

  const weightOf = (check: CheckName): number => checks[check as keyof ShadowOptions['checks']].weight;
  const all = looks.reduce((sum, { check }) => sum + weightOf(check), 0);
  const weights = Object.fromEntries(looks.map(({ check }) => [check, all > 0 ? weightOf(check) / all : 0]));
  const logE = Object.fromEntries(looks.map(({ check, logE: one }) => [check, one]));
  const total = all > 0 ? combine<CheckName>(logE, weights) : { logE: 0, share: {} };
  const failing = total.logE >= threshold ? failingChecks(looks, weights, threshold, total.share) : [];

  const bands = bandsOf(seen);
  const expected = judgeBands(evaluatedOnly(bands, checks), maxExpectedShift);
  const surprise = surpriseOf(seen, maxExpectedShift, threshold);
  const enough = seen.pairs >= minPairs;
  const open = !enough ? `${seen.pairs} of ${minPairs} pairs so far` : expected.verdict === 'inconclusive' ? expected.note : surprise;
  const nothing = seen.pairs + seen.forced + seen.failures === 0;
  const verdict: Verdict = nothing ? 'unmeasured' : failing.length > 0 ? 'fail' : open !== null ? 'inconclusive' : 'pass';
  const findings = looks.map(({ measured, ...finding }): Finding => {
    const own: Verdict = failing.includes(finding.check) ? 'fail' : !measured ? 'unmeasured' : enough ? 'pass' : 'inconclusive';
    return { ...finding, logE: clamp(finding.logE), verdict: own };
  });
  const said = findings.find(({ verdict: own }) => own === 'fail')?.note;
  return {
    verdict,
    pairs: seen.pairs,
    forced: seen.forced,
    findings,
    combined: { logE: clamp(total.logE), threshold, share: total.share },
    bands,
    note: nothing
      ? 'no mirrored prompt was answered yet'
      : (said ?? open ?? `${seen.pairs} pairs: no loops, failures or shifts beyond what is expected`),
  };
}

interface Seen {
  pairs: number;
  forced: number;
  failures: number;
  loopsStable: number;
  loopsCandidate: number;
  /** By class, in order of name. */
  readonly classes: readonly { readonly promptClass: string; readonly ratios: Record<PairedMetric, Histogram> }[];
}

function mergeWindows(windows: readonly PairedWindow[]): Seen {
  const sums = { pairs: 0, forced: 0, failures: 0, loopsStable: 0, loopsCandidate: 0 };
  const classes = new Map<string, Record<PairedMetric, Histogram>>();
  for (const { promptClass, counts } of windows) {
    for (const field of Object.keys(sums) as (keyof typeof sums)[]) sums[field] += counts[field];
    let ratios = classes.get(promptClass);
    if (!ratios) {
      ratios = { forcedNll: new Map(), forcedEntropy: new Map(), entropy: new Map(), length: new Map() };
      classes.set(promptClass, ratios);
    }
    for (const metric of Object.keys(ratios) as PairedMetric[]) mergeInto(ratios[metric], counts.ratios[metric]);
  }
  const order = [...classes].sort(([a], [b]) => (a < b ? -1 : 1));
  return { ...sums, classes: order.map(([promptClass, ratios]) => ({ promptClass, ratios })) };
}

function pairsOf(histogram: Histogram): PairedRatio[] {
  return [...histogram].sort(([a], [b]) => a - b).map(([index, count]) => [lnRepresentative(index), count]);
}

interface Directed {
  readonly logE: number;
  readonly direction: string;
}

/** One measure against (1 + up) and (1 - down): half for all classes together, half shared by the classes that may come. */
function pairedEvidence(
  classes: readonly { readonly promptClass: string; readonly pairs: readonly PairedRatio[] }[],
  { up, down }: { readonly up: number; readonly down: number },
): Directed & { readonly classes: readonly { readonly promptClass: string; readonly logE: number; readonly nCandidate: number }[] } {
  const both = (pairs: readonly PairedRatio[]): Directed => {
    const [rise, fall] = [pairedLogE(pairs, 1, up), pairedLogE(pairs, -1, -down)];
    return { logE: logMeanExp([rise, fall]), direction: rise >= fall ? 'up' : 'down' };
  };
  const pooled = both(classes.flatMap(({ pairs }) => pairs));
  const own = classes.map(({ promptClass, pairs }) => ({ promptClass, ...both(pairs), nCandidate: countOf(pairs) }));
  // Classes beyond those that gateways keep: the strongest alone would choose its own weight, so they only count in the pool.
  const counted = own.slice(0, mostClasses);
  const rest = (mostClasses - counted.length) / mostClasses;
  const logs = [pooled.logE, ...counted.map(({ logE }) => logE), 0];
  const weights = [0.5, ...counted.map(() => 0.5 / mostClasses), 0.5 * rest];
  const strongest = counted.reduce<Directed>(
    (best, one) =>
      one.logE + Math.log(1 / mostClasses) > best.logE ? { logE: one.logE + Math.log(1 / mostClasses), direction: one.direction } : best,
    pooled,
  );
  return {
    logE: logMeanExp(logs, weights),
    direction: strongest.direction,
    classes: own
      .map(({ promptClass, logE, nCandidate }) => ({ promptClass, logE: clamp(logE), nCandidate }))
      .sort((a, b) => b.logE - a.logE || (a.promptClass < b.promptClass ? -1 : 1)),
  };
}

function lookAtCentre(check: 'entropy' | 'length', seen: Seen, { up, down, expect }: PairedCentre, shift: ExpectedShift): Measured {
  const margins = expect === 'stable' ? { up, down } : { up: shift.upper - 1, down: 1 - shift.lower };
  const evidence = (metric: PairedMetric) =>
    pairedEvidence(
      seen.classes
        .map(({ promptClass, ratios }) => ({ promptClass, pairs: pairsOf(ratios[metric]) }))
        .filter(({ pairs }) => pairs.length > 0),
      margins,
    );
  const generated = evidence(check);
  const forced = check === 'entropy' ? evidence('forcedEntropy') : null;
  // Half each where there are two: fixed, for a share that follows the data is no share.
  const logE = forced ? logMeanExp([generated.logE, forced.logE]) : generated.logE;
  const byForced = forced !== null && forced.logE > generated.logE;
  const found = byForced ? forced : generated;
  const pairs = seen.classes.flatMap(({ ratios }) => pairsOf(ratios[byForced ? 'forcedEntropy' : check]));
  const n = countOf(pairs);
  const effect = n > 0 ? Math.exp(pairs.reduce((sum, [ln, count]) => sum + ln * count, 0) / n) - 1 : null;
  const moved = effect === null ? 'not measured' : `${effect >= 0 ? '+' : ''}${(100 * effect).toFixed(0)}% on ${n} mirrored prompts`;
  return {
    measured: n > 0,
    check,
    logE,
    direction: byForced ? `forced ${found.direction}` : found.direction,
    effect,
    lower: null,
    upper: null,
    marginUp: margins.up,
    marginDown: -margins.down,
    unit: 'ratio',
    nStable: n,
    nCandidate: n,
    classes: found.classes,
    note: `${check} ${byForced ? "over stable's text " : ''}${moved}`,
  };
}

function lookAtLoops({ pairs, loopsStable, loopsCandidate }: Seen, ratio: number): Measured {
  return {
    measured: pairs > 0,
    check: 'shape',
    logE: eventRatioLogE([{ weight: 0.5, stable: loopsStable, candidate: loopsCandidate }], ratio),
    direction: 'loops',
    effect: pairs > 0 ? (loopsCandidate - loopsStable) / pairs : null,
    lower: null,
    upper: null,
    marginUp: ratio - 1,
    marginDown: null,
    unit: 'points',
    nStable: pairs,
    nCandidate: pairs,
    note: `${loopsCandidate} of ${pairs} candidate answers looped, ${loopsStable} of stable`,
  };
}

function lookAtFailures({ pairs, failures }: Seen, share: number): Measured {
  const asked = pairs + failures;
  return {
    measured: asked > 0,
    check: 'errors',
    logE: binomialLogE(failures, asked, share),
    direction: 'events',
    effect: asked > 0 ? failures / asked : null,
    lower: null,
    upper: null,
    marginUp: share,
    marginDown: null,
    unit: 'points',
    nStable: asked,
    nCandidate: asked,
    note: `${failures} of ${asked} mirrors failed where stable answered`,
  };
}

function bandsOf({ classes }: Seen): ShadowJudgement['bands'] {
  const bands: ShadowJudgement['bands'] = {};
  for (const metric of ['entropy', 'length'] as const) {
    const fitted = fitBands(new Map(classes.map(({ promptClass, ratios }) => [promptClass, pairedSamples(ratios[metric])])), {
      source: 'shadow',
    });
    if (Object.keys(fitted).length > 0) bands[metric] = fitted;
  }
  return bands;
}

function evaluatedOnly(bands: ShadowJudgement['bands'], checks: ShadowOptions['checks']): ShadowJudgement['bands'] {
  return Object.fromEntries(
    (['entropy', 'length'] as const).flatMap((metric) => {
      const fitted = bands[metric];
      return fitted && checks[metric].enabled && checks[metric].expect === 'evaluated' ? [[metric, fitted]] : [];
    }),
  );
}

/** A proven rise of the candidate's surprise at stable's text beyond what may be expected; null when there is none. */
function surpriseOf({ classes }: Seen, { upper }: ExpectedShift, threshold: number): string | null {
  const pairs = classes.flatMap(({ ratios }) => pairsOf(ratios.forcedNll));
  if (pairedLogE(pairs, 1, upper - 1) < threshold) return null;
  const mean = pairs.reduce((sum, [ln, count]) => sum + ln * count, 0) / countOf(pairs);
  return `the candidate finds stable's text ${Math.exp(mean).toFixed(1)} times as surprising as stable does`;
}

function countOf(pairs: readonly PairedRatio[]): number {
  return pairs.reduce((sum, [, count]) => sum + count, 0);
}

function clamp(logE: number): number {
  return Math.max(-largestLogE, Math.min(largestLogE, logE));
}
