// Where a request meets the limits of its key: it enters, tells its headers, and leaves when its answer is over, however that comes about.
import type { ServerResponse } from 'node:http';
import type { ScannedBody } from '#libs/openai';
import type { Authorised } from '../completions/authorise.js';
import { type Checked, good, refuse } from '../completions/checked.js';
import { estimateOf } from './estimate.js';
import type { Entry, Limits } from './limits.js';

export interface Door {
  readonly limits: Limits;
  readonly response: ServerResponse;
  /** Tokens that the endpoint generates when a body sets no bound; 0 for one that generates nothing. */
  readonly usualOutputTokens: number;
}

/** Counts the request in before its body is read: an excess is refused cheaply. */
export function enter({ limits, response }: Door, { key, keyId }: Exclude<Authorised, { error: unknown }>, nowMs: number): Checked<Entry> {
  const entered = limits.enter(keyId, key, nowMs);
  if (entered.ok && !entered.value.isMetered) return entered;
  for (const [name, value] of entered.ok ? entered.value.headers(nowMs) : limits.headers(keyId, key, nowMs))
    response.setHeader(name, value);
  // 'close' comes after every ending: an answer that is out, a client that is gone, an error of our own.
  if (entered.ok) response.once('close', () => entered.value.leave());
  return entered;
}

/** Holds the tokens that the body may cost. */
export function reserve({ response, usualOutputTokens }: Door, entry: Entry, body: ScannedBody, nowMs: number): Checked<Entry> {
  if (!entry.metersTokens) return good(entry);
  const error = entry.reserve(
    estimateOf(body.bytes.length, (name) => body.value(name), usualOutputTokens),
    nowMs,
  );
  for (const [name, value] of entry.headers(nowMs)) response.setHeader(name, value);
  return error ? refuse(error) : good(entry);
}
