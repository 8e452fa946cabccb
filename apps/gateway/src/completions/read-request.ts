// What every POST to /v1 must get right first: a key, JSON by its content type, a body within bounds.
import type { IncomingMessage } from 'node:http';
import { openAiError, parseJson } from '#libs/openai';
import type { KnownKey, Snapshot } from '../routing/snapshot.js';
import { authorise } from './authorise.js';
import { type Checked, good, refuse } from './checked.js';
import { readBody } from './read-body.js';

export interface ReadRequest {
  readonly snapshot: Snapshot;
  readonly key: KnownKey;
  /** Whose turn it is in an engine's queue. */
  readonly tenant: string;
  readonly json: unknown;
}

export async function readRequest(request: IncomingMessage, snapshot: Snapshot | null, now: number): Promise<Checked<ReadRequest>> {
  const who = authorise(request, snapshot, now, 'inference:invoke');
  if ('error' in who || !snapshot) return refuse('error' in who ? who.error : openAiError('not_ready', 'No routing table yet.'));
  const type = request.headers['content-type'];
  if (type !== undefined && !/^application\/(?:[\w.-]+\+)?json\b/i.test(type)) {
    return refuse(openAiError('unsupported_media_type', `The body is ${type.slice(0, 100)}; send application/json.`));
  }
  const text = await readBody(request);
  if (!text.ok) return refuse(text.fault.error);
  const json = parseJson(text.value);
  if (!json.ok) return refuse(json.fault.error);
  return good({ snapshot, key: who.key, tenant: who.keyId, json: json.value });
}
