// What two requests must have in common to get one answer, and which requests have one answer at all.
import { createHash } from 'node:crypto';
import type { VersionSpec } from '#libs/contract';
import type { ScannedBody } from '#libs/openai';

export interface Question {
  /** Endpoints write their answers differently. */
  readonly endpoint: string;
  /** Keys share nothing: whether somebody asked before must not be told to others. */
  readonly tenant: string;
  /** The answer tells how sure the model was. */
  readonly uncertainty: boolean;
  readonly body: ScannedBody;
}

/**
 * SHA-256 over all of it, base64. Bodies are the same when they have the same fields with the same bytes, in whatever order: what lies deeper is
 * compared as it was written, so that bodies that parsers may read differently (a name twice, numbers beyond 2^53) are never taken for one.
 */
export function digestOf({ endpoint, tenant, uncertainty, body }: Question): string {
  const hash = createHash('sha256');
  // Each part behind its length: no two lists of parts make the same bytes.
  const add = (part: string | Uint8Array): void => void hash.update(`${Buffer.byteLength(part)}:`).update(part);
  for (const part of [endpoint, tenant, uncertainty ? 'uncertainty' : '']) add(part);
  for (const { name, valueFrom, valueTo } of body.members.toSorted((one, other) => (one.name < other.name ? -1 : 1))) {
    add(name);
    add(body.bytes.subarray(valueFrom, valueTo));
  }
  return hash.digest('base64');
}

/** Asked again, the version would say the same: it always takes the likeliest token, or draws by a given seed. */
export function isDeterministic(body: ScannedBody, { sampling }: VersionSpec): boolean {
  const temperature = body.value('temperature') ?? sampling.temperature;
  const seed = body.value('seed') ?? sampling.seed;
  return temperature === 0 || (seed !== undefined && seed !== null);
}
