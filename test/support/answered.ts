// Windows of answers with given centres and shares of events, for specs of the judgement: each value spread around its centre, reproducible from a seed.
import { addTo, bucketOf, emptyCounts, emptyHistograms, scoreBin, type Window, type WindowKey } from '#libs/analysis';
import { normals, uniforms } from './random.js';

export interface Answered {
  readonly arm: WindowKey['arm'];
  readonly n: number;
  readonly epoch?: number;
  readonly promptClass?: string;
  readonly fromS?: number;
  readonly entropyNats?: number;
  /** Log-sd of the entropy within the class. */
  readonly spread?: number;
  readonly tokens?: number;
  readonly totalMs?: number;
  readonly inputTokens?: number;
  readonly costMicros?: number;
  readonly quality?: number;
  /** Share of the answers that have it, spread evenly. */
  readonly errors?: number;
  readonly refusals?: number;
  readonly loops?: number;
  readonly gone?: number;
  /** Share of the answers that are scored. */
  readonly scored?: number;
  /** Every second answer is so much less or more certain. */
  readonly halfTimes?: number;
}

/** One answer per second and window, so that any number of them can be judged. Finite values only. */
export function answeredBy(seed: number): (of: Answered) => Window[] {
  const normal = normals(uniforms(seed));
  return (of) => Array.from({ length: of.n }, (_, at) => answer(of, at, normal));
}

function answer(of: Answered, at: number, normal: () => number): Window {
  const {
    arm,
    epoch = 1,
    promptClass = 'chat',
    fromS = 0,
    entropyNats = 0.5,
    spread = 0.3,
    tokens = 40,
    totalMs = 300,
    inputTokens = 100,
  } = of;
  const happens = (share = 0): boolean => Math.floor((at + 1) * share) > Math.floor(at * share);
  const key: WindowKey = {
    model: 'support',
    versionId: arm === 'candidate' ? 'v2' : 'v1',
    rolloutId: 'r1',
    epoch: arm ? epoch : null,
    arm,
    promptClass,
    secondAt: (fromS + at) * 1_000,
  };
  if (happens(of.gone)) return { key, counts: { ...emptyCounts(), units: 1, clientGone: 1 } };
  const counts = { ...emptyCounts(), responses: 1, units: 1 };
  if (happens(of.errors)) return { key, counts: { ...counts, errors: 1 } };
  const histograms = emptyHistograms();
  const around = (centre: number, sd: number): number => bucketOf(centre * Math.exp(sd * normal()));
  const half = of.halfTimes !== undefined && at % 2 === 1 ? of.halfTimes : 1;
  addTo(histograms.entropy, around(entropyNats * half, spread));
  addTo(histograms.length, around(tokens, 0.3));
  addTo(histograms.total, around(totalMs, 0.3));
  addTo(histograms.ttft, around(totalMs / 10, 0.3));
  addTo(histograms.interToken, around(totalMs / 40, 0.3));
  addTo(histograms.input, around(inputTokens, 0.4));
  if (of.costMicros !== undefined) addTo(histograms.cost, around(of.costMicros, 0.3));
  if (of.quality !== undefined && happens(of.scored ?? 1)) addTo(histograms.quality, scoreBin(of.quality + 0.1 * normal()));
  return {
    key,
    counts: { ...counts, refusals: happens(of.refusals) ? 1 : 0, loops: happens(of.loops) ? 1 : 0, lnTotalCount: 1, histograms },
  };
}
