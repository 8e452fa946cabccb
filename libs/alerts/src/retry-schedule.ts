// When a failed delivery is tried again: quickly at first, then patiently, over 73 hours in all.
import type { Rng } from '#libs/base';

const secondMs = 1_000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;

/** Milliseconds after the first, second ... failure. The sum exceeds 72 h: a receiver may be away over a long week-end and still get everything. */
const delaysMs = [
  secondMs,
  5 * secondMs,
  30 * secondMs,
  2 * minuteMs,
  10 * minuteMs,
  hourMs,
  6 * hourMs,
  12 * hourMs,
  24 * hourMs,
  30 * hourMs,
] as const;

/** Attempts of one delivery, the first included. */
export const mostAttempts = delaysMs.length + 1;

const jitter = 0.2;
const longestRetryAfterMs = 6 * hourMs;

/**
 * Milliseconds to wait after attempt number `attempts` (from 1) failed; null when it was the last. Up to 20% of jitter on top, so that many
 * deliveries do not return at one instant. A receiver's Retry-After can only lengthen the wait, to 6 h at most.
 */
export function retryDelayMs(attempts: number, rng: Rng, retryAfterMs: number | null = null): number | null {
  const base = delaysMs[attempts - 1];
  if (base === undefined) return null;
  const asked = Math.min(Math.max(retryAfterMs ?? 0, 0), longestRetryAfterMs);
  return Math.round(Math.max(base * (1 + jitter * rng.uniform()), asked));
}

/** Milliseconds of a Retry-After header (seconds or an HTTP date); null when there is none that can be read. */
export function retryAfterMs(header: string | undefined, nowMs: number): number | null {
  if (header === undefined) return null;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * secondMs;
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.max(0, at - nowMs);
}
