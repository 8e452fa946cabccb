import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  asymptoticRadius,
  asymptoticRho,
  bucketOf,
  combine,
  detect,
  detectorAlarms,
  type EpochHistograms,
  eventRatioLogE,
  fitLinearTilt,
  fitLogTilt,
  type Histogram,
  labelIncrement,
  linearScale,
  linearTilt,
  logTilt,
  logTiltGrid,
  newDetector,
  normalMixtureLogE,
  normalMixtureRadius,
  pairedLogE,
  rateDifferenceLogE,
  representative,
  type Score,
  type Sign,
  scaleBounds,
  step,
  tiltLogE,
  twoSidedTiltLogE,
} from './index.js';

// biome-ignore lint/suspicious/noExplicitAny: the vectors are JSON of many shapes; a wrong field fails the comparison.
type Json = any;

const file = new URL('../../../test/vectors/statistics.json', import.meta.url);
const vectors = JSON.parse(readFileSync(file, 'utf8')) as { cases: { fn: string; in: Json; out: Json }[] };
const casesOf = (fn: string): { in: Json; out: Json }[] => vectors.cases.filter((one) => one.fn === fn);

const histogram = (raw: Record<string, number>): Histogram => new Map(Object.entries(raw).map(([index, count]) => [Number(index), count]));

/** The vectors' tolerance: absolute or relative 1e-9. */
function near(actual: number, expected: number, tolerance = 1e-9): void {
  expect(Math.abs(actual - expected) <= tolerance * Math.max(1, Math.abs(expected)), `${actual} is not ${expected}`).toBe(true);
}

describe('the published vectors', () => {
  it.each(casesOf('bucket'))('bucket of $in.y', ({ in: input, out }) => {
    expect(bucketOf(input.y)).toBe(out.index);
    near(representative(out.index), out.rep);
  });

  it.each(casesOf('labelIncrement'))('label increment of arm $in.arm at $in.w', ({ in: input, out }) => {
    near(labelIncrement(input.arm, input.w, input.logR), out);
  });

  it.each(casesOf('eventRatioLogE'))('event ratio %#', ({ in: input, out }) => {
    const epochs = input.epochs.map(([weight, stable, candidate]: number[]) => ({ weight, stable, candidate }));
    near(eventRatioLogE(epochs, input.rho0, input.sign, input.ratios), out);
  });

  it.each(casesOf('rateDifferenceLogE'))('rate difference %#', ({ in: input, out }) => {
    const epochs = input.epochs.map(([weight, stable, stableEvents, candidate, candidateEvents]: number[]) => ({
      weight,
      stable,
      stableEvents,
      candidate,
      candidateEvents,
    }));
    near(rateDifferenceLogE(epochs, input.margin, input.sign, input.kappas), out);
  });

  it.each(casesOf('logTiltFit'))('log tilt fit %#', ({ in: input, out }) => {
    const fit = fitLogTilt(histogram(input.ref));
    near(fit.mean, out.mean);
    near(fit.sd, out.sd);
    logTiltGrid.shifts.forEach((delta, index) => {
      const name = Number.isInteger(delta) ? `${delta}.0` : String(delta);
      near(fit.normalisers.up[index] ?? Number.NaN, out.c[`1:${name}`]);
      near(fit.normalisers.down[index] ?? Number.NaN, out.c[`-1:${name}`]);
    });
  });

  const references = casesOf('logTiltFit').map(({ in: input }) => logTilt(fitLogTilt(histogram(input.ref))));
  const scoreOf = (promptClass: string): Score => references[promptClass === 'chat' ? 0 : 1] as Score;

  it.each(casesOf('tilt'))('tilt, $in.name', ({ in: input, out }) => {
    const epochs: EpochHistograms[] = input.epochs.map(
      ([weight, classes]: [number, Record<string, [Record<string, number>, Record<string, number>]>]) => ({
        weight,
        classes: new Map(
          Object.entries(classes).map(([name, [stable, candidate]]) => [
            name,
            { stable: histogram(stable), candidate: histogram(candidate) },
          ]),
        ),
      }),
    );
    near(tiltLogE(epochs, scoreOf, 1, 0), out.up0);
    near(tiltLogE(epochs, scoreOf, -1, 0), out.down0);
    near(twoSidedTiltLogE(epochs, scoreOf, 0.05, 0.05), out.rollback_pm5);
    near(twoSidedTiltLogE(epochs, scoreOf, 0.1, 0.1), out.rollback_pm10);
    near(tiltLogE(epochs, scoreOf, -1, 0.1), out.promoteUp10);
    near(tiltLogE(epochs, scoreOf, 1, -0.1), out.promoteDown10);
    const bounds = scaleBounds(epochs, scoreOf, 0.05);
    near(bounds.lower, out.scaleBounds95[0], 2e-9);
    near(bounds.upper, out.scaleBounds95[1], 2e-9);
  });

  it.each(casesOf('latencyStep'))('latency step, $in.name', ({ in: input, out }) => {
    for (const share of [0.5, 0.05, 0.01] as const) {
      const score = step(input.thresholds[String(share)], share);
      const epochs = [
        { weight: input.w, classes: new Map([['all', { stable: histogram(input.hist0), candidate: histogram(input.hist1) }]]) },
      ];
      near(
        tiltLogE(epochs, () => score, 1, input.margin),
        out[String(share)],
      );
    }
  });

  it.each(casesOf('combine'))('combination %#', ({ in: input, out }) => {
    const combined = combine(input.logE);
    near(combined.logE, out.logE);
    for (const [name, share] of Object.entries(out.share))
      near((combined.share as Record<string, number>)[name] ?? Number.NaN, share as number);
  });

  it.each(casesOf('linearTilt'))('linear tilt, $in.name', ({ in: input, out }) => {
    const fit = fitLinearTilt(histogram(input.ref));
    near(fit.mean, out.mean);
    near(fit.sd, out.sd);
    const classes = new Map([['all', { stable: histogram(input.bins0), candidate: histogram(input.bins1) }]]);
    const logE = (sign: Sign, margin: number): number =>
      tiltLogE([{ weight: input.w, classes }], () => linearTilt(fit), sign, margin, linearScale);
    near(logE(-1, -input.margin), out.down);
    near(logE(1, -input.margin), out.promote);
  });

  it.each(casesOf('pairedLogE'))('pairs %#', ({ in: input, out }) => {
    near(pairedLogE(input.logRatios, input.sign, input.margin, input.thetas), out);
  });

  it.each(casesOf('normalMixture'))('normal mixture %#', ({ in: input, out }) => {
    near(normalMixtureLogE(input.diff, input.var, input.tau), out.logE);
    near(normalMixtureRadius(input.var, input.tau, input.alpha), out.radius);
  });

  it.each(casesOf('asympcs'))('asymptotic confidence sequence %#', ({ in: input, out }) => {
    const rho = asymptoticRho(input.tOpt, input.alpha);
    near(rho, out.rho);
    near(asymptoticRadius(input.sd, input.t, rho, input.alpha), out.radius);
  });

  it.each(casesOf('eSR'))('change detector %#', ({ in: input, out }) => {
    let state = newDetector(input.blocks[0].length);
    input.blocks.forEach((block: number[], at: number) => {
      state = detect(state, block);
      for (const [point, lnR] of state.entries()) near(lnR, out.states[at][point]);
    });
    expect(detectorAlarms(state, 100)).toBe(out.alarm_at_arl_100);
  });

  it('are all run', () => {
    const asked = new Set(vectors.cases.map(({ fn }) => fn));
    expect(asked).toEqual(
      new Set([
        'asympcs',
        'bucket',
        'combine',
        'eSR',
        'eventRatioLogE',
        'labelIncrement',
        'latencyStep',
        'linearTilt',
        'logTiltFit',
        'normalMixture',
        'pairedLogE',
        'rateDifferenceLogE',
        'tilt',
      ]),
    );
  });
});
