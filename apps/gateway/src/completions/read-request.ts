// What every POST to /v1 must get right first: a key, JSON by its content type, uncompressed, within bounds, and one reading of it for all.
import type { IncomingMessage } from 'node:http';
import type { Clock } from '#libs/base';
import { openAiError, type ScannedBody, scanBody } from '#libs/openai';
import { type Door, enter, reserve } from '../limits/door.js';
import type { Entry } from '../limits/limits.js';
import type { KnownKey, Snapshot } from '../routing/snapshot.js';
import { authorise } from './authorise.js';
import { type Checked, good, type Refused, refuse } from './checked.js';
import { readBody } from './read-body.js';

export interface ReadRequest {
  readonly snapshot: Snapshot;
  readonly key: KnownKey;
  /** Whose turn it is in an engine's queue. */
  readonly tenant: string;
  /** Strictly one JSON object without a name twice at its top: what is routed by and what is served cannot differ. */
  readonly body: ScannedBody;
  /** When its last byte was here, on the monotonic clock. */
  readonly readAtMs: number;
  /** Its place within the limits of its key. Whoever learns what was spent settles it; it leaves by itself. */
  readonly entry: Entry;
}

const plainJson = 'application/json';
const jsonType = /^application\/(?:[\w.-]+\+)?json\b/i;

export async function readRequest(
  request: IncomingMessage,
  snapshot: Snapshot | null,
  clock: Clock,
  door: Door,
): Promise<Checked<ReadRequest>> {
  const who = authorise(request, snapshot, clock.now(), 'inference:invoke');
  if ('error' in who || !snapshot) return refuse('error' in who ? who.error : openAiError('not_ready', 'No routing table yet.'));
  const entered = enter(door, who, clock.monotonicMs());
  if (!entered.ok) return entered;
  const unread = unreadable(request);
  if (unread) return unread;
  const bytes = await readBody(request);
  if (!bytes.ok) return bytes;
  const readAtMs = clock.monotonicMs();
  const scanned = scanBody(bytes.value);
  if (!scanned.ok) return refuse(scanned.fault.error);
  const body = scanned.value;
  const reserved = reserve(door, entered.value, body, readAtMs);
  if (!reserved.ok) return reserved;
  return good({ snapshot, key: who.key, tenant: who.keyId, body, readAtMs, entry: reserved.value });
}

function unreadable({ headers }: IncomingMessage): Refused | null {
  const type = headers['content-type'];
  if (type !== undefined && type !== plainJson && !jsonType.test(type)) {
    return refuse(openAiError('unsupported_media_type', `The body is ${type.slice(0, 100)}; send application/json.`));
  }
  // Not unpacked: a kilobyte may become a gigabyte.
  const coding = headers['content-encoding'];
  if (coding !== undefined && coding !== 'identity') {
    const message = `The body is compressed (${coding.slice(0, 100)}); send it as it is, without content-encoding.`;
    return refuse(openAiError('unsupported_media_type', message));
  }
  return null;
}
