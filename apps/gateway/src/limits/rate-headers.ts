// OpenAI's `x-ratelimit-*` response headers, which its client libraries and many schedulers read.
import type { KeyMeter, Remaining } from './key-meter.js';
import type { Share } from './share.js';

export type Header = readonly [name: string, value: string];

/** Of what is limited only: a limit that does not exist has no headers. */
export function rateHeaders(meter: KeyMeter, { requests, tokens }: Share, nowMs: number): Header[] {
  return [
    ...(requests ? headersOf('requests', meter.remainingRequests(requests, nowMs)) : []),
    ...(tokens ? headersOf('tokens', meter.remainingTokens(tokens, nowMs)) : []),
  ];
}

function headersOf(of: 'requests' | 'tokens', { limit, remaining, resetMs }: Remaining): Header[] {
  return [
    [`x-ratelimit-limit-${of}`, String(limit)],
    [`x-ratelimit-remaining-${of}`, String(remaining)],
    [`x-ratelimit-reset-${of}`, durationText(resetMs)],
  ];
}

/** `120ms`, `8.64s`, `6m0s`, `1h0m2s`: durations as OpenAI writes them. Rounded up to whole milliseconds. */
export function durationText(ms: number): string {
  const whole = Math.ceil(ms);
  if (whole === 0) return '0s';
  if (whole < 1_000) return `${whole}ms`;
  const hours = Math.floor(whole / 3_600_000);
  const minutes = Math.floor(whole / 60_000) % 60;
  const seconds = (whole % 60_000) / 1_000;
  if (hours > 0) return `${hours}h${minutes}m${seconds}s`;
  return minutes > 0 ? `${minutes}m${seconds}s` : `${seconds}s`;
}
