// Entropy and output length: held to a band around stable, both directions, by prompt class.
import type { Epoch } from './epoch-counts.js';
import { epochHistograms } from './epoch-counts.js';
import { type FrozenScores, tiltScores } from './frozen-scores.js';
import type { Measured } from './measured.js';
import { logMeanExp } from './mixture.js';
import { countOf, lnRepresentative } from './sketch.js';
import { type EpochHistograms, scaleBounds, tiltLogE } from './tilt-process.js';
import type { Histogram, Window } from './window.js';

type Tilted = 'entropy' | 'length';

interface TiltedInput {
  readonly windows: readonly Window[];
  readonly epochs: readonly Epoch[];
  readonly scores: FrozenScores | null;
  readonly checks: Readonly<Record<Tilted, { readonly up: number; readonly down: number }>>;
}

/** The interval shown to people; the decision itself does not use it. */
const intervalAlpha = 0.05;
const intervalTolerance = 1e-3;

/** Rollback evidence of one metric: half weight each for "more than up above" and "more than down below". */
export function judgeTilted(check: Tilted, input: TiltedInput): Measured {
  const { up, down } = input.checks[check];
  const fits = input.scores?.[check] ?? null;
  const epochs = epochHistograms(input.windows, input.epochs, check, fits);
  const scoreOf = fits ? tiltScores(fits) : null;
  const nStable = countArm(epochs, 'stable');
  const nCandidate = countArm(epochs, 'candidate');
  const base = { check, marginUp: up, marginDown: -down, unit: 'ratio' as const, nStable, nCandidate };
  if (!scoreOf || nStable === 0 || nCandidate === 0) {
    return {
      ...base,
      measured: false,
      logE: 0,
      effect: null,
      lower: null,
      upper: null,
      note: scoreOf ? 'one arm has no answers yet' : 'no reference of stable yet',
    };
  }
  const logUp = tiltLogE(epochs, scoreOf, 1, up);
  const logDown = tiltLogE(epochs, scoreOf, -1, -down);
  const bounds = scaleBounds(epochs, scoreOf, intervalAlpha, -0.99, 20, intervalTolerance);
  const classes = [...new Set(epochs.flatMap((epoch) => [...epoch.classes.keys()]))]
    .map((promptClass) => {
      const only = epochs.map(({ weight, classes: all }) => ({
        weight,
        classes: new Map([...all].filter(([name]) => name === promptClass)),
      }));
      return {
        promptClass,
        logE: Math.max(-700, Math.min(700, logMeanExp([tiltLogE(only, scoreOf, 1, up), tiltLogE(only, scoreOf, -1, -down)]))),
        nCandidate: countArm(only, 'candidate'),
      };
    })
    .sort((a, b) => b.logE - a.logE);
  return {
    ...base,
    measured: true,
    logE: logMeanExp([logUp, logDown]),
    direction: logUp >= logDown ? 'up' : 'down',
    effect: stratifiedEffect(epochs),
    lower: bounds.lower,
    upper: bounds.upper,
    classes,
  };
}

/** Promotion: rejects "at or above +up" and "at or below -down"; both must hold, so the weaker one counts. */
export function proveTilted(check: Tilted, input: TiltedInput): number {
  const fits = input.scores?.[check] ?? null;
  const scoreOf = fits ? tiltScores(fits) : null;
  if (!scoreOf) return 0;
  const { up, down } = input.checks[check];
  const epochs = epochHistograms(input.windows, input.epochs, check, fits);
  return Math.min(tiltLogE(epochs, scoreOf, -1, up), tiltLogE(epochs, scoreOf, 1, -down));
}

function countArm(epochs: readonly EpochHistograms[], arm: 'stable' | 'candidate'): number {
  let total = 0;
  for (const { classes } of epochs) for (const cell of classes.values()) total += countOf(cell[arm]);
  return total;
}

/** Ratio of geometric means within epoch and class, weighted by the harmonic size of each cell: a different mix of prompts in the arms cannot move it. */
function stratifiedEffect(epochs: readonly EpochHistograms[]): number | null {
  let weighted = 0;
  let weights = 0;
  for (const { classes } of epochs) {
    for (const { stable, candidate } of classes.values()) {
      const [n0, n1] = [countOf(stable), countOf(candidate)];
      if (n0 === 0 || n1 === 0) continue;
      const size = (n0 * n1) / (n0 + n1);
      weighted += size * (meanLn(candidate, n1) - meanLn(stable, n0));
      weights += size;
    }
  }
  return weights === 0 ? null : Math.exp(weighted / weights) - 1;
}

function meanLn(histogram: Histogram, total: number): number {
  let sum = 0;
  for (const [index, count] of histogram) sum += count * lnRepresentative(index);
  return sum / total;
}
