// What mirrors may cost: the plan's bounds, kept by the meter that keeps the limits of keys.
import type { GenerateRequest } from '#libs/engine';
import type { ShadowPolicy } from '#libs/rollout';
import { KeyMeter } from '../limits/key-meter.js';
import type { Share } from '../limits/share.js';

/** Seconds' worth of tokens that may be spent at once after a quiet time. */
const burstS = 10;
/** English text has about four bytes a token; the JSON around it makes the guess a little high. */
const bytesPerToken = 4;

export type Bounds = Pick<ShadowPolicy, 'concurrentRequests' | 'tokensPerSecond'>;

export interface Hold {
  /** The one end of it: what was really spent, tokens. */
  settle(spent: number, nowMs: number): void;
}

/** Tokens of its prompt, of the longest answers it may have, and of what two engines read of stable's, guessed from above. */
export interface MirrorEstimate {
  readonly promptTokens: number;
  readonly outputTokens: number;
  readonly readTokens?: number;
}

/** `read`: tokens of stable's answer that both engines will read after the prompt; null: they will not. */
export function estimateOf(bodyBytes: number, requests: readonly GenerateRequest[], read: number | null = null): MirrorEstimate {
  const promptTokens = Math.ceil(bodyBytes / bytesPerToken);
  return {
    promptTokens,
    readTokens: read === null ? 0 : 2 * (promptTokens + read),
    outputTokens: requests.reduce((sum, { sampling, choices = 1 }) => sum + choices * sampling.maxTokens, 0),
  };
}

/**
 * Of one rollout at one gateway. In any `t` seconds at most `tokensPerSecond * (t + 10)` tokens are spent, and what one mirror spends beyond
 * ten seconds' worth: that is a debt which later ones wait for.
 */
export class ShadowBudget {
  private readonly meter = new KeyMeter();

  /** `gateways`: live ones, this one included, among which the bounds are divided; each may run one mirror, whatever their number. */
  take(policy: Bounds, gateways: number, estimate: MirrorEstimate, nowMs: number): Hold | 'concurrency' | 'tokens' {
    const { meter } = this;
    const share = shareOf(policy, gateways);
    if (meter.begin(share, nowMs)) return 'concurrency';
    const reserved = meter.hold(estimate.promptTokens + estimate.outputTokens + (estimate.readTokens ?? 0), share, nowMs);
    if ('excess' in reserved) {
      meter.end();
      return 'tokens';
    }
    return {
      settle: (spent, atMs) => {
        meter.release(reserved.held);
        meter.spend(spent, share, atMs);
        meter.end();
      },
    };
  }
}

function shareOf({ concurrentRequests, tokensPerSecond }: Bounds, gateways: number): Share {
  const perSecond = tokensPerSecond / gateways;
  return {
    requests: null,
    tokens: { perMinute: perSecond * 60, brim: Math.max(1, perSecond * burstS) },
    running: Math.max(1, Math.floor(concurrentRequests / gateways)),
  };
}
