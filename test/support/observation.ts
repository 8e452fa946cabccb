// Finished requests and windows for specs of the judgement: an ordinary answer of stable unless the spec says otherwise.
import { emptyCounts, type Observation, type Window, type WindowCounts, type WindowKey } from '#libs/analysis';

export function anObservation(more: Partial<Observation> = {}): Observation {
  return {
    model: 'support',
    versionId: 'v1',
    rolloutId: 'r1',
    epoch: 1,
    arm: 'stable',
    promptClass: 'chat',
    unit: 'u1',
    assignedAt: 10_000,
    outcome: 'ok',
    finishReason: 'stop',
    queueWaitMs: 0,
    ttftMs: 40,
    interTokenMs: 5,
    totalMs: 250,
    inputTokens: 12,
    outputTokens: 20,
    entropyMeanNats: 0.3,
    entropyMaxNats: 1,
    refused: false,
    looped: false,
    countedUnfinished: false,
    costMicros: null,
    nllMeanNats: 0.2,
    ...more,
  };
}

/** A window of `n` answers that all took `totalMs`. */
export function latencyWindow(key: Partial<WindowKey>, n: number, totalMs: number): Window {
  return aWindow(key, { responses: n, units: n, lnTotalCount: n, lnTotalSum: n * Math.log(totalMs) });
}

export function aWindow(key: Partial<WindowKey>, counts: Partial<WindowCounts> = {}): Window {
  return {
    key: { model: 'support', versionId: 'v1', rolloutId: 'r1', epoch: 1, arm: 'stable', promptClass: 'chat', secondAt: 0, ...key },
    counts: { ...emptyCounts(), ...counts },
  };
}
