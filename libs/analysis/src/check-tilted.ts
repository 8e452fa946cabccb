// Checks of a value's centre within prompt classes: entropy, output length, cost, quality. Rollback evidence and promotion proof from one pass over the counts.
import type { CheckName } from '#libs/base';
import type { Band, BandMargins } from './bands.js';
import { strongestFirst } from './check-events.js';
import type { Comparison } from './epoch-counts.js';
import { judgedClass, pooledClass } from './frozen-scores.js';
import type { TiltTest } from './increment-table.js';
import type { Score, Sign } from './label.js';
import { linearScale, linearTilt } from './linear-tilt.js';
import { logTilt } from './log-tilt.js';
import type { CheckLook } from './measured.js';
import type { MergedCounts } from './merged-counts.js';
import { logMeanExp } from './mixture.js';
import { gamma } from './sketch.js';
import type { TiltParameters } from './tilt.js';
import { TiltBounds } from './tilt-bounds.js';
import { logScale } from './tilt-process.js';
import { type MetricCell, type TiltAnswer, type TiltSight, TiltSums } from './tilt-sums.js';
import type { WindowMetric } from './window.js';

/** What a class is held to, as margins on its scale: relative to stable (0.1 = +10%), or differences for quality. Null: this direction is not asked. */
export interface TiltMargins {
  readonly up: number | null;
  readonly down: number | null;
}

export interface TiltQuestion {
  readonly check: CheckName;
  readonly metric: WindowMetric;
  /** `log`: margins are ratios; `linear`: differences of a score in [0, 1]. */
  readonly scale: 'log' | 'linear';
  /** Fits by class, `*` for the pool; null or empty when the reference held no value of the metric. */
  readonly fits: Readonly<Record<string, TiltParameters>> | null;
  /** The plan's, as shown to people. */
  readonly margins: TiltMargins;
  /** What a judged class is held to, where a band moves the plan's margins, with the narrower margins around what was evaluated (amber). */
  readonly banded?: { readonly marginsOf: (judgedClass: string) => BandMargins; readonly source: Band['source'] } | undefined;
  /** ln e-value from which on a move beyond the narrower margins is amber. */
  readonly amberLogE?: number;
  /** Names everything above but `fits`: sums are kept while it and `fits` stay. */
  readonly key: string;
}

/** The interval shown to people; the decision itself does not use it. */
const intervalAlpha = 0.05;
const lnGamma = Math.log(gamma);
/** How far the interval looks: -99% to +2,000%, or the whole range of a score. */
const reach = {
  log: { lowest: Math.ceil(Math.log(0.01) / lnGamma), highest: Math.floor(Math.log(21) / lnGamma) },
  linear: { lowest: -100, highest: 100 },
};

/** What is known before the sums: the same for all looks at the same counts. */
type Base = Omit<CheckLook['measured'], 'measured' | 'logE'>;

interface Kept {
  readonly key: string;
  readonly fits: TiltQuestion['fits'];
  readonly sums: TiltSums;
  readonly bounds: TiltBounds;
  /** The last look without an interval: as long as nothing changed it is the answer. */
  last: { readonly sight: TiltSight; readonly look: CheckLook } | null;
}

/** One check over one rollout's counts; keeps its sums between looks. */
export class TiltedCheck {
  private kept: Kept | null = null;

  constructor(private readonly counts: MergedCounts) {}

  /** `proofLogE`: against "outside the margins", the weaker of the directions; 0 when not measured. */
  look(question: TiltQuestion, comparisons: readonly Comparison[], interval: boolean): CheckLook {
    const { check, metric, margins, scale } = question;
    const cells = this.counts.cells(comparisons, metric);
    let [nStable, nCandidate] = [0, 0];
    for (const cell of cells) {
      nStable += cell.baseline.total;
      nCandidate += cell.candidate.total;
    }
    const base: Base = {
      check,
      effect: null,
      lower: null,
      upper: null,
      marginUp: margins.up,
      marginDown: margins.down === null ? null : -margins.down,
      unit: scale === 'log' ? 'ratio' : 'points',
      nStable,
      nCandidate,
    };
    const fitted = question.fits !== null && Object.hasOwn(question.fits, pooledClass);
    if (!fitted || nStable === 0 || nCandidate === 0) {
      const note = fitted ? 'one arm has no answers yet' : 'no reference of stable yet';
      return { measured: { ...base, measured: false, logE: 0, note }, proofLogE: 0 };
    }
    const kept = this.keptFor(question);
    const sight = kept.sums.look(cells);
    if (!interval && kept.last?.sight === sight) return kept.last.look;
    const look = this.answer(question, cells, kept, sight, base, interval);
    if (!interval) kept.last = { sight, look };
    return look;
  }

  private answer(
    question: TiltQuestion,
    cells: readonly MetricCell[],
    { bounds }: Kept,
    { all, classes }: TiltSight,
    base: Base,
    interval: boolean,
  ): CheckLook {
    const { scale, margins } = question;
    const names = directionsOf(margins);
    const found = rollbackOf(all, names);
    const shifts = interval ? bounds.of(cells, intervalAlpha) : null;
    const shown = (shift: number): number => (scale === 'log' ? gamma ** shift - 1 : shift / 100);
    const shift = stratifiedShift(cells);
    // Around what was evaluated, narrower than what takes a candidate back.
    const amber = question.banded !== undefined && rollbackOf(all, names, 2).logE >= (question.amberLogE ?? Infinity);
    return {
      measured: {
        ...base,
        measured: true,
        logE: found.logE,
        direction: found.direction,
        effect: shift === null ? null : shown(shift),
        lower: shifts ? shown(shifts.lower) : null,
        upper: shifts ? shown(shifts.upper) : null,
        classes: [...classes]
          .map(([promptClass, answer]) => ({
            promptClass,
            logE: Math.max(-700, Math.min(700, rollbackOf(answer, names).logE)),
            nCandidate: answer.nCandidate,
          }))
          .sort(strongestFirst),
        ...(question.banded ? { band: heldTo(Object.keys(question.fits ?? {}), question.banded) } : {}),
        ...(amber ? { amber: true, note: 'outside of what was evaluated before exposure' } : {}),
      },
      proofLogE: Math.min(...names.map((_, at) => all.logE[names.length + at] ?? 0)),
    };
  }

  private keptFor({ fits, key, scale, margins, banded }: TiltQuestion): Kept {
    if (this.kept?.key === key && this.kept.fits === fits) return this.kept;
    const scores = new Map<string, Score>();
    const fitOf = fits ?? {};
    for (const [name, fit] of Object.entries(fitOf)) scores.set(name, scale === 'log' ? logTilt(fit) : linearTilt(fit));
    const scoreOf = (judged: string): Score => {
      const score = scores.get(judged) ?? scores.get(pooledClass);
      if (!score) throw new Error(`no score of class ${judged}`);
      return score;
    };
    const { at, shift } = scale === 'log' ? logScale : linearScale;
    const names = directionsOf(margins);
    const testsOf = (judged: string): TiltTest[] => {
      const band = banded?.marginsOf(judged);
      const held = band ?? margins;
      const test = (name: Direction, sign: Sign, { up, down }: TiltMargins): TiltTest => ({
        sign,
        shift: shift(name === 'up' ? (up ?? 0) : -(down ?? 0)),
      });
      return [
        ...names.map((name) => test(name, name === 'up' ? 1 : -1, held)),
        // Promotion asks the opposite of each.
        ...names.map((name) => test(name, name === 'up' ? -1 : 1, held)),
        ...(band ? names.map((name) => test(name, name === 'up' ? 1 : -1, { up: band.amberUp, down: band.amberDown })) : []),
      ];
    };
    const shared = { judgedClass: (promptClass: string) => judgedClass(fitOf, promptClass), scoreOf, at };
    this.kept = {
      key,
      fits,
      sums: new TiltSums({ ...shared, testsOf }),
      bounds: new TiltBounds({ ...shared, ...reach[scale] }),
      last: null,
    };
    return this.kept;
  }
}

type Direction = 'up' | 'down';

function directionsOf({ up, down }: TiltMargins): Direction[] {
  const names: Direction[] = [];
  if (up !== null) names.push('up');
  if (down !== null) names.push('down');
  return names;
}

/** Half weight each where both directions are asked. `group`: which of the tests, 0 rollback, 1 proof, 2 amber. */
function rollbackOf(
  { logE }: TiltAnswer,
  names: readonly Direction[],
  group = 0,
): { readonly logE: number; readonly direction: Direction } {
  const asked = names.map((_, at) => logE[group * names.length + at] ?? 0);
  const strongest = asked.indexOf(Math.max(...asked));
  return { logE: logMeanExp(asked), direction: names[strongest] ?? 'up' };
}

/** Difference of means within epoch and class, in buckets, weighted by the harmonic size of each cell: a different mix of prompts in the arms cannot move it. */
function stratifiedShift(cells: readonly MetricCell[]): number | null {
  let weighted = 0;
  let weights = 0;
  for (const { baseline, candidate } of cells) {
    if (baseline.total === 0 || candidate.total === 0) continue;
    const size = (baseline.total * candidate.total) / (baseline.total + candidate.total);
    weighted += size * (candidate.meanIndex() - baseline.meanIndex());
    weights += size;
  }
  return weights === 0 ? null : weighted / weights;
}

/** Extremes over the classes of what takes a candidate back, relative to stable. */
function heldTo(
  classes: readonly string[],
  { marginsOf, source }: NonNullable<TiltQuestion['banded']>,
): { readonly lower: number; readonly upper: number; readonly source: Band['source'] } {
  const margins = classes.map(marginsOf);
  return { lower: 1 - Math.max(...margins.map(({ down }) => down)), upper: 1 + Math.max(...margins.map(({ up }) => up)), source };
}
