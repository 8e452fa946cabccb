// The heartbeat: frozen prompts and answers, read again by the version that wrote them. Users change; these do not: what moves here is the serving itself.
import { detect } from './change-detector.js';
import { logMeanExp } from './mixture.js';
import { type PairedRatio, pairedLogE } from './paired.js';

/** Kernels and batch shapes move the last digits; another model moves much more. */
const margin = 0.02;
/** Means below it are all but certain: their ratios are noise. Nats per token. */
const leastNats = 1e-2;
/** 90 days of hours. */
const runLength = 2_160;
const nothing = -700;

/** Mean of one frozen answer, nats per token. */
export interface TextFigures {
  readonly nllNats: number;
  /** Null where the engine tells no exact entropy. */
  readonly entropyNats: number | null;
}

export interface HeartbeatReading {
  readonly texts: number;
  /** ln of this run's e-value that texts moved by more than 2%, whichever way each. */
  readonly logE: number;
  /** Geometric mean of the NLL now over the stored one. */
  readonly nllRatio: number;
}

/**
 * Compares figures with the stored ones, text by text: the paired e-process on how far each moved, of both metrics. Other weights move some texts up and
 * others down, so the way does not matter. Unchanged serving gives factors below 1. `pairs` must not be empty.
 */
export function readHeartbeat(pairs: readonly { readonly stored: TextFigures; readonly now: TextFigures }[]): HeartbeatReading {
  const ratios = (of: (figures: TextFigures) => number | null): PairedRatio[] =>
    pairs.flatMap(({ stored, now }): PairedRatio[] => {
      const [before, after] = [of(stored), of(now)];
      return before === null || after === null ? [] : [[Math.log(Math.max(leastNats, after) / Math.max(leastNats, before)), 1]];
    });
  const nll = ratios(({ nllNats }) => nllNats);
  const entropy = ratios(({ entropyNats }) => entropyNats);
  const moved = (some: readonly PairedRatio[]): number =>
    pairedLogE(
      some.map(([lnRatio, count]): PairedRatio => [Math.abs(lnRatio), count]),
      1,
      margin,
    );
  return {
    texts: pairs.length,
    logE: logMeanExp([moved(nll), ...(entropy.length > 0 ? [moved(entropy)] : [])]),
    nllRatio: Math.exp(nll.reduce((sum, [lnRatio]) => sum + lnRatio, 0) / nll.length),
  };
}

/** ln R of a Shiryaev-Roberts detector over heartbeats; it starts at -700. */
export function nextHeartbeatLogR(lnR: number, logE: number): number {
  const [next = nothing] = detect([lnR], [logE]);
  return Math.max(nothing, next);
}

/** The serving has changed: a false one comes once in 2,160 heartbeats (90 days of hours) or more rarely. */
export function heartbeatFails(lnR: number): boolean {
  return lnR >= Math.log(runLength);
}
