// Requests a minute, tokens a minute and requests at once, by key: asked when a request begins, settled when it ends. From memory only.
import type { KeyLimits } from '#libs/contract';
import { type OpenAiError, openAiError } from '#libs/openai';
import { type Checked, good, refuse } from '../completions/checked.js';
import type { KnownKey, Snapshot } from '../routing/snapshot.js';
import type { Estimate, Spent } from './estimate.js';
import { type Excess, KeyMeter } from './key-meter.js';
import { type Header, rateHeaders } from './rate-headers.js';
import { isUnlimited, type Share, shareOf } from './share.js';

/** A request that was let in. It holds its place until `leave`. */
export interface Entry {
  /** False: its key has no limits, nothing is counted and nothing has to be left. */
  readonly isMetered: boolean;
  /** False: tokens need no estimate. */
  readonly metersTokens: boolean;
  /** Holds tokens for it; the error when the key has not so many left, and nothing is held then. Once per entry. */
  reserve(estimate: Estimate, nowMs: number): OpenAiError | null;
  /** Says what was spent, in place of what was held. The first call counts. Without one nothing was spent. */
  settle(spent: Spent, nowMs: number): void;
  /** Gives back the place and what is still held. Later calls do nothing. */
  leave(): void;
  /** `x-ratelimit-*` of this moment; empty for a key without limits. */
  headers(nowMs: number): readonly Header[];
}

const noHeaders: readonly Header[] = [];
const free: Entry = {
  isMetered: false,
  metersTokens: false,
  reserve: () => null,
  settle: () => undefined,
  leave: () => undefined,
  headers: () => noHeaders,
};

/** Times are monotonic milliseconds. A call costs about a microsecond and waits for nobody. */
export class Limits {
  private readonly meters = new Map<string, KeyMeter>();
  private gateways = 1;

  /** `defaults`: of keys that have no limits of their own. */
  constructor(private readonly defaults: KeyLimits) {}

  /** How many gateways share the limits, and which keys there are: meters of keys that are gone are dropped. */
  follow({ gateways, keys }: Pick<Snapshot, 'gateways' | 'keys'>, keyIdOf: (hash: string) => string): void {
    this.gateways = Math.max(1, gateways);
    const known = new Set(Object.keys(keys).map(keyIdOf));
    for (const keyId of this.meters.keys()) if (!known.has(keyId)) this.meters.delete(keyId);
  }

  /** Lets a request in, or says `rate_limit_exceeded` with the seconds to wait. A refused request costs its key nothing. */
  enter(keyId: string, key: KnownKey, nowMs: number): Checked<Entry> {
    const limits = key.limits ?? this.defaults;
    if (isUnlimited(limits)) return good(free);
    const share = shareOf(limits, this.gateways);
    const meter = this.meterOf(keyId);
    const excess = meter.begin(share, nowMs);
    return excess ? refuse(errorOf(excess, key, share)) : good(new HeldEntry(meter, key, share));
  }

  /** Headers for a request that was not let in. */
  headers(keyId: string, key: KnownKey, nowMs: number): readonly Header[] {
    const limits = key.limits ?? this.defaults;
    return isUnlimited(limits) ? noHeaders : rateHeaders(this.meterOf(keyId), shareOf(limits, this.gateways), nowMs);
  }

  private meterOf(keyId: string): KeyMeter {
    let meter = this.meters.get(keyId);
    if (!meter) {
      meter = new KeyMeter();
      this.meters.set(keyId, meter);
    }
    return meter;
  }
}

class HeldEntry implements Entry {
  readonly isMetered = true;
  private held = 0;
  private promptTokens = 0;
  private settled = false;
  private left = false;

  get metersTokens(): boolean {
    return this.share.tokens !== null;
  }

  constructor(
    private readonly meter: KeyMeter,
    private readonly key: KnownKey,
    private readonly share: Share,
  ) {}

  reserve(estimate: Estimate, nowMs: number): OpenAiError | null {
    this.promptTokens = estimate.promptTokens;
    const answer = this.meter.hold(estimate.promptTokens + estimate.outputTokens, this.share, nowMs);
    if ('excess' in answer) return errorOf(answer.excess, this.key, this.share);
    this.held += answer.held;
    return null;
  }

  settle({ inputTokens, outputTokens }: Spent, nowMs: number): void {
    if (this.settled || this.left) return;
    this.settled = true;
    this.release();
    this.meter.spend((inputTokens ?? this.promptTokens) + outputTokens, this.share, nowMs);
  }

  leave(): void {
    if (this.left) return;
    this.left = true;
    this.release();
    this.meter.end();
  }

  headers(nowMs: number): readonly Header[] {
    return rateHeaders(this.meter, this.share, nowMs);
  }

  private release(): void {
    this.meter.release(this.held);
    this.held = 0;
  }
}

function errorOf({ of, waitMs }: Excess, key: KnownKey, share: Share): OpenAiError {
  const waitS = Math.max(1, Math.ceil(waitMs / 1_000));
  const what = {
    requests: `${whole(share.requests?.brim)} requests per minute`,
    tokens: `${whole(share.tokens?.brim)} tokens per minute`,
    running: `${whole(share.running)} requests at once`,
  }[of];
  const message = `The key "${key.name}" may make ${what} at this gateway. Try again in ${waitS} s, or ask for a higher limit.`;
  return openAiError('rate_limit_exceeded', message, { retryAfterS: waitS });
}

function whole(limit: number | null | undefined): number {
  return Math.floor(limit ?? 0);
}
