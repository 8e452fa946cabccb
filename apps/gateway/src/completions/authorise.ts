// Who asks: judged from memory by the hash of the key, so neither a slow nor a dead database turns a caller away.
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Scope } from '#libs/contract';
import { type OpenAiError, openAiError } from '#libs/openai';
import type { KnownKey, Snapshot } from '../routing/snapshot.js';

/** `keyId`: the same for all requests with this key, and tells nothing about it. */
export type Authorised = { readonly key: KnownKey; readonly keyId: string } | { readonly error: OpenAiError };

const longestKey = 256;
const keyIdLength = 16;

interface Hashed {
  readonly hash: string;
  readonly keyId: string;
}

/** Hashes of headers that named a known key, for hashing costs as much as all the routing. Strangers cannot fill it, nor push anybody out. */
const hashed = new Map<string, Hashed>();
const mostHashed = 1_024;

/** While Postgres is silent an unknown key may be one that was made since: the fault is ours, and clients come back. */
const perhapsNew = openAiError('not_ready', 'This key is not known here, and the database that would know it does not answer. Try again.', {
  retryAfterS: 1,
});

/** 401 only with a key set at hand; without one nobody can be told apart, so the answer is 503 and clients come back. */
export function authorise(request: IncomingMessage, snapshot: Snapshot | null, now: number, needs: Scope): Authorised {
  if (!snapshot) {
    return {
      error: openAiError('not_ready', 'The gateway has not read its routing table yet. Try again in a moment.', { retryAfterS: 1 }),
    };
  }
  const header = request.headers.authorization ?? '';
  const before = hashed.get(header);
  const who = before ?? hashOf(header);
  if (!who) {
    return { error: openAiError('invalid_api_key', 'No API key was given. Send it as "Authorization: Bearer sk-serin-...".') };
  }
  // Looked up by hash: how long it takes tells nothing about stored keys. A revoked key is not in the set, whatever is remembered of its header.
  const key = snapshot.keys[who.hash];
  if (!key && !snapshot.heard) return { error: perhapsNew };
  if (!key || (key.expiresAt !== null && key.expiresAt <= now)) {
    hashed.delete(header);
    return { error: openAiError('invalid_api_key', 'The API key is unknown, revoked or expired. Ask for a new one.') };
  }
  if (!before) {
    if (hashed.size >= mostHashed) hashed.clear();
    hashed.set(header, who);
  }
  if (!key.scopes.includes(needs)) return { error: missingScope(key, needs) };
  return { key, keyId: who.keyId };
}

function hashOf(header: string): Hashed | null {
  const text = /^Bearer (\S+)$/i.exec(header)?.[1];
  if (!text || text.length > longestKey) return null;
  const hash = createHash('sha256').update(text).digest('hex');
  return { hash, keyId: keyIdOf(hash) };
}

/** Short name of a key in memory; two keys share one as seldom as two hashes begin with the same 64 bits. */
export function keyIdOf(hash: string): string {
  return hash.slice(0, keyIdLength);
}

export function missingScope(key: KnownKey, needs: Scope): OpenAiError {
  return openAiError('missing_scope', `The key "${key.name}" lacks the scope ${needs}. Use a key that has it.`);
}
