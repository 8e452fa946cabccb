// Standard Webhooks 1.0 (symmetric): HMAC-SHA256 over `id.timestamp.body`, the same code for what we send and what we receive.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { fail, type Outcome, ok, type Rng } from '#libs/base';

/** Seconds that a sender's clock may differ from ours, both ways: the replay window. */
export const toleranceS = 300;

const prefix = 'whsec_';
const fewestKeyBytes = 24;
const mostKeyBytes = 64;
const newKeyBytes = 32;
/** During a rotation there are two; a list without end would be work without end. */
const mostSignatures = 8;

/** A fresh secret, `whsec_` and 32 random bytes in base64. */
export function newWebhookSecret(rng: Rng): string {
  return prefix + Buffer.from(rng.bytes(newKeyBytes)).toString('base64');
}

/** The key of a secret with or without its prefix. Throws TypeError unless it is base64 of 24 to 64 bytes; the message holds no secret. */
export function keyOfSecret(secret: string): Buffer {
  const text = secret.startsWith(prefix) ? secret.slice(prefix.length) : secret;
  const key = Buffer.from(text, 'base64');
  // Buffer skips what is not base64: a torn secret must not become a short key.
  if (key.toString('base64').replaceAll('=', '') !== text.replaceAll('=', ''))
    throw new TypeError('a webhook secret must be whsec_ and base64');
  if (key.length < fewestKeyBytes || key.length > mostKeyBytes) {
    throw new TypeError(`a webhook secret must hold ${fewestKeyBytes} to ${mostKeyBytes} bytes`);
  }
  return key;
}

function mac(secret: string, id: string, timestamp: string, body: string | Uint8Array): Buffer {
  return createHmac('sha256', keyOfSecret(secret)).update(`${id}.${timestamp}.`).update(body).digest();
}

/** The three headers of one attempt. `id` stays the same over retries; `timestampS` (seconds since the Unix epoch) is the attempt's own. */
export function signWebhook(
  secret: string,
  message: { readonly id: string; readonly timestampS: number; readonly body: string | Uint8Array },
) {
  const timestamp = String(Math.floor(message.timestampS));
  return {
    'webhook-id': message.id,
    'webhook-timestamp': timestamp,
    'webhook-signature': `v1,${mac(secret, message.id, timestamp, message.body).toString('base64')}`,
  } as const;
}

export type SignatureFault = 'hook.signature-missing' | 'hook.signature-invalid' | 'hook.timestamp-too-old' | 'hook.timestamp-too-new';

export interface SignedRequest {
  /** Header values as they came; undefined when absent. */
  readonly id: string | undefined;
  readonly timestamp: string | undefined;
  readonly signature: string | undefined;
  /** The bytes as they came: a body parsed and written again is another body. */
  readonly body: Uint8Array;
}

/** Judges a received webhook at `nowMs` (milliseconds since the Unix epoch). Any secret of the list and any signature of the header may be the good one. */
export function verifyWebhook(secrets: readonly string[], request: SignedRequest, nowMs: number): Outcome<{ readonly id: string }> {
  const { id, timestamp, signature, body } = request;
  if (!id) return missing('webhook-id');
  if (!timestamp) return missing('webhook-timestamp');
  if (!signature) return missing('webhook-signature');
  if (!/^[\x21-\x7e]{1,255}$/.test(id)) return invalid('webhook-id', 'webhook-id must be 1 to 255 printable characters without spaces.');
  if (!/^\d{1,12}$/.test(timestamp)) return invalid('webhook-timestamp', 'webhook-timestamp must be whole seconds since 1970.');
  const ageS = Math.floor(nowMs / 1000) - Number(timestamp);
  if (ageS > toleranceS) {
    return fail<SignatureFault>({
      code: 'hook.timestamp-too-old',
      message: `The webhook was signed ${ageS} s ago; ${toleranceS} s are allowed.`,
      field: 'webhook-timestamp',
      remedy: 'Sign every attempt afresh with the current time and the same webhook-id; check the sender’s clock.',
    });
  }
  if (ageS < -toleranceS) {
    return fail<SignatureFault>({
      code: 'hook.timestamp-too-new',
      message: `The webhook was signed ${-ageS} s in the future; ${toleranceS} s are allowed.`,
      field: 'webhook-timestamp',
      remedy: 'Check the sender’s clock, and ours.',
    });
  }
  const given = signature
    .split(' ', mostSignatures)
    .filter((one) => one.startsWith('v1,'))
    .map((one) => Buffer.from(one.slice(3), 'base64'));
  let good = false;
  for (const secret of secrets) {
    const expected = mac(secret, id, timestamp, body);
    for (const one of given) good = (one.length === expected.length && timingSafeEqual(one, expected)) || good;
  }
  if (!good) return invalid('webhook-signature', 'No signature fits this body, id, timestamp and secret.');
  return ok({ id });
}

function missing(header: string): Outcome<never> {
  return fail<SignatureFault>({
    code: 'hook.signature-missing',
    message: `The header ${header} is missing.`,
    field: header,
    remedy: 'Sign as Standard Webhooks 1.0 says: webhook-id, webhook-timestamp and webhook-signature: v1,BASE64.',
  });
}

function invalid(header: string, message: string): Outcome<never> {
  return fail<SignatureFault>({
    code: 'hook.signature-invalid',
    message,
    field: header,
    remedy: 'Sign the exact bytes that are sent: HMAC-SHA256 over "id.timestamp.body" with the secret’s decoded key.',
  });
}
