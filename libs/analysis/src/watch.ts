// The watch of a promoted version: there is no stable beside it any more, so it is held to its own past, minute by minute, and to that alone.
// A page costs sleep: over all metrics, directions and classes together a false alarm comes once in 90 days or more rarely.
import { blockLogE, type DetectorState, detect, newDetector } from './change-detector.js';
import { judgedClass, pooledClass, tiltScores } from './frozen-scores.js';
import type { Sign } from './label.js';
import { logTiltGrid } from './log-tilt.js';
import { logMeanExp } from './mixture.js';
import { addCounts, type OpenCounts, openCounts, type StoredCounts, storedCounts, watchedMetrics } from './watch-counts.js';
import { type InputDrift, inputDriftOf } from './watch-input.js';
import { type AlarmingMetric, alarmingMetrics, fitReference, type WatchReference } from './watch-reference.js';
import type { Histogram, Window } from './window.js';

export const blockMs = 60_000;
const dayMs = 86_400_000;
/** 90 days of minutes. */
export const runLengthBlocks = 129_600;
/** Where a detector stands before its first block: e^-700 is nothing, and JSON can hold it. */
const nothing = -700;
/** What users ask is compared over about this time: older minutes fade. */
const inputHalfLifeBlocks = 60;

export interface WatchPolicyOf {
  /** Length of the reference, milliseconds: whole days. */
  readonly referenceMs: number;
}

export interface WatchAlarm {
  readonly at: number;
  readonly metric: AlarmingMetric;
  readonly direction: 'up' | 'down';
  /** The class that carries most of it. */
  readonly promptClass: string;
  /** ln of the mean R, against ln 129,600. */
  readonly logR: number;
}

/** Everything between two minutes. JSON, a few kilobytes; the reference's days are in it while it learns. */
export interface WatchState {
  /** Start of the first minute that has not been seen. */
  readonly nextAt: number;
  /** Days of the reference so far, by the start of each; null once it is frozen. */
  readonly learning: { readonly since: number; readonly days: Readonly<Record<string, StoredCounts>> } | null;
  readonly reference: WatchReference | null;
  /** ln R by grid point, under `metric sign` for all classes together and `metric sign class` for one. */
  readonly detectors: Readonly<Record<string, DetectorState>>;
  /** The newest alarm that nobody has answered. */
  readonly alarm: WatchAlarm | null;
  /** What users ask now, fading; null before the reference is frozen. */
  readonly input: StoredCounts['input'] | null;
}

export function newWatch(sinceAt: number): WatchState {
  const nextAt = Math.floor(sinceAt / blockMs) * blockMs;
  return { nextAt, learning: { since: nextAt, days: {} }, reference: null, detectors: {}, alarm: null, input: null };
}

/**
 * Takes all minutes from `state.nextAt` up to `untilAt` (exclusive; a whole minute). `windows`: the version's, each with its assignment second; others
 * are passed over, and minutes without any count as blocks of evidence 1. Pure. Cost: minutes x classes x grid.
 */
export function advanceWatch(state: WatchState, windows: readonly Window[], untilAt: number, policy: WatchPolicyOf): WatchState {
  const minutes = new Map<number, OpenCounts>();
  for (const { key, counts } of windows) {
    const minuteAt = Math.floor(key.secondAt / blockMs) * blockMs;
    if (minuteAt < state.nextAt || minuteAt >= untilAt) continue;
    let minute = minutes.get(minuteAt);
    if (!minute) {
      minute = openCounts();
      minutes.set(minuteAt, minute);
    }
    for (const metric of watchedMetrics) addCounts(minute, metric, key.promptClass, counts.histograms[metric]);
  }
  let next = state;
  for (let at = state.nextAt; at < untilAt; at += blockMs)
    next = { ...oneMinute(next, minutes.get(at) ?? openCounts(), at, policy), nextAt: at + blockMs };
  return next;
}

function oneMinute(state: WatchState, minute: OpenCounts, at: number, { referenceMs }: WatchPolicyOf): WatchState {
  if (state.reference) return judgedMinute(state, state.reference, minute, at);
  const learning = state.learning ?? { since: at, days: {} };
  const day = String(Math.floor(at / dayMs) * dayMs);
  const counts = openCounts(learning.days[day]);
  for (const metric of watchedMetrics)
    for (const [promptClass, histogram] of minute[metric]) addCounts(counts, metric, promptClass, histogram);
  const days = { ...learning.days, [day]: storedCounts(counts) };
  const whole = at + blockMs - learning.since >= referenceMs ? fitReference(Object.values(days), at + blockMs) : null;
  // Too thin after all these days: it goes on learning.
  if (!whole) return { ...state, learning: { ...learning, days } };
  return { ...state, learning: null, reference: whole, detectors: {}, input: {} };
}

function judgedMinute(state: WatchState, reference: WatchReference, minute: OpenCounts, at: number): WatchState {
  const detectors: Record<string, DetectorState> = { ...state.detectors };
  for (const metric of alarmingMetrics) {
    const fits = reference.fits[metric];
    const scoreOf = tiltScores(fits);
    if (!scoreOf) continue;
    const classes = new Map<string, Histogram>();
    for (const [promptClass, histogram] of minute[metric]) classes.set(promptClass, histogram);
    // A class whose detector runs has a block of no answers in a minute without any.
    const names = new Set([...classes.keys()].map((promptClass) => judgedClass(fits, promptClass)).filter((name) => name !== pooledClass));
    for (const name of Object.keys(fits)) if (name !== pooledClass) names.add(name);
    for (const sign of [1, -1] as const) {
      const margin = sign > 0 ? reference.margins[metric] : -reference.margins[metric] / (1 + reference.margins[metric]);
      const forward = (key: string, block: ReadonlyMap<string, Histogram>): void => {
        const before = detectors[key] ?? newDetector(logTiltGrid.shifts.length);
        detectors[key] = detect(before, blockLogE(block, scoreOf, sign, margin)).map((lnR) => Math.max(nothing, lnR));
      };
      forward(`${metric} ${sign}`, classes);
      for (const name of names) {
        const own = new Map([...classes].filter(([promptClass]) => judgedClass(fits, promptClass) === name));
        forward(`${metric} ${sign} ${name}`, own);
      }
    }
  }
  const input = fading(state.input, minute.input);
  const next = { ...state, detectors, input };
  const alarm = state.alarm ?? alarmOf(next, at + blockMs);
  return { ...next, alarm };
}

/** The mean R: half of it over the detectors of all classes together, half over those of single classes. A mean of such detectors keeps their run length. */
export function watchLogR({ detectors }: Pick<WatchState, 'detectors'>): number {
  const all = Object.entries(detectors);
  const mean = (some: typeof all): number | null => (some.length === 0 ? null : logMeanExp(some.flatMap(([, lnR]) => lnR)));
  const together = mean(all.filter(([key]) => key.split(' ').length === 2));
  const single = mean(all.filter(([key]) => key.split(' ').length > 2));
  if (together === null) return nothing;
  return single === null ? together : logMeanExp([together, single]);
}

function alarmOf(state: WatchState, at: number): WatchAlarm | null {
  const logR = watchLogR(state);
  if (logR < Math.log(runLengthBlocks)) return null;
  const strongest = (some: [string, DetectorState][]): string | undefined =>
    some.map(([key, lnR]) => ({ key, height: logMeanExp(lnR) })).sort((a, b) => b.height - a.height)[0]?.key;
  const entries = Object.entries(state.detectors).map(([key, lnR]): [string, DetectorState] => [key, lnR]);
  const key = strongest(entries) ?? 'entropy 1';
  const [metric = 'entropy', sign = '1'] = key.split(' ');
  const own = strongest(entries.filter(([name]) => name.startsWith(`${metric} ${sign} `)));
  return {
    at,
    metric: metric === 'length' ? 'length' : 'entropy',
    direction: (Number(sign) as Sign) > 0 ? 'up' : 'down',
    promptClass: own?.split(' ').slice(2).join(' ') ?? pooledClass,
    logR,
  };
}

/** A person has answered: it watches on from here, with the same reference or a new one. */
export function answerWatch(state: WatchState, relearnFromAt: number | null): WatchState {
  if (relearnFromAt !== null) return { ...newWatch(relearnFromAt), nextAt: Math.max(state.nextAt, newWatch(relearnFromAt).nextAt) };
  return { ...state, alarm: null, detectors: {} };
}

/** What users ask now beside what they asked in the reference; null before there is one. */
export function watchedInput({ reference, input }: WatchState): InputDrift | null {
  return reference && input ? inputDriftOf(reference.input, openCounts({ entropy: {}, length: {}, input }).input) : null;
}

function fading(held: StoredCounts['input'] | null, minute: OpenCounts['input']): StoredCounts['input'] {
  const keep = 0.5 ** (1 / inputHalfLifeBlocks);
  const counts = openCounts({ entropy: {}, length: {}, input: held ?? {} });
  for (const histogram of counts.input.values()) {
    for (const [bucket, count] of histogram) {
      if (count * keep < 0.01) histogram.delete(bucket);
      else histogram.set(bucket, Math.round(count * keep * 1e6) / 1e6);
    }
  }
  for (const [promptClass, histogram] of minute) addCounts(counts, 'input', promptClass, histogram);
  return storedCounts(counts).input;
}
