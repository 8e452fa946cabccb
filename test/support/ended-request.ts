// What is left of a request that a version answered well, and an engine at which users may wait: for specs of what comes after the answer.
import { FakeEngine } from '#libs/engine';
import type { Attempt } from '../../apps/gateway/src/completions/attempt.js';
import { nothingMeasured } from '../../apps/gateway/src/completions/measurement.js';
import type { Wishes } from '../../apps/gateway/src/completions/wishes.js';

export class BusyEngine extends FakeEngine {
  queuedLive = 0;

  override stats() {
    return { ...super.stats(), queuedLive: this.queuedLive };
  }
}

export const anAttempt: Attempt = {
  ...nothingMeasured,
  state: 'ok',
  outcome: 'ok',
  fault: null,
  finishReason: 'stop',
  tokens: 5,
  entropyMeanNats: 0.7,
  usage: { inputTokens: 3, outputTokens: 5, cachedTokens: 0 },
  queueWaitMs: 0,
  turnAtMs: 0,
  overAtMs: 0,
};
export const plainWishes: Wishes = {
  unit: null,
  promptClass: null,
  pin: null,
  priority: 'live',
  timeoutMs: null,
  uncertainty: false,
  cache: false,
};
