// A key's limits hold over all gateways of a database; each gateway enforces its part alone, so that no request ever asks another machine.
import type { KeyLimits } from '#libs/contract';
import type { Rate } from './bucket.js';

/** What one gateway grants a key. Null = without limit. */
export interface Share {
  readonly requests: Rate | null;
  readonly tokens: Rate | null;
  readonly running: number | null;
}

/** `gateways`: live ones, this one included, at least 1. Nobody's part is less than one request: a limit below the number of gateways lets one through at each. */
export function shareOf(limits: KeyLimits, gateways: number): Share {
  const rate = (perMinute: number | null): Rate | null =>
    perMinute === null ? null : { perMinute: perMinute / gateways, brim: Math.max(1, perMinute / gateways) };
  const { concurrentRequests } = limits;
  return {
    requests: rate(limits.requestsPerMinute),
    tokens: rate(limits.tokensPerMinute),
    running: concurrentRequests === null ? null : Math.max(1, Math.floor(concurrentRequests / gateways)),
  };
}

export function isUnlimited({ requestsPerMinute, tokensPerMinute, concurrentRequests }: KeyLimits): boolean {
  return requestsPerMinute === null && tokensPerMinute === null && concurrentRequests === null;
}
