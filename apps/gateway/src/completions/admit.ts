// Everything that can be wrong with a generating request is found here, before any engine is asked: who, what, which version, as which unit.
import type { IncomingMessage } from 'node:http';
import type { Clock, Rng } from '#libs/base';
import type { ScannedBody } from '#libs/openai';
import type { Route } from '#libs/rollout';
import type { EnginePool } from '../engines/pool.js';
import type { Door } from '../limits/door.js';
import type { Entry } from '../limits/limits.js';
import { promptClassOf } from '../routing/prompt-class.js';
import type { Snapshot } from '../routing/snapshot.js';
import { namedUnit } from '../routing/unit.js';
import { type Checked, good, refuse } from './checked.js';
import type { Asked, Endpoint } from './endpoint.js';
import { type Placement, place } from './placement.js';
import { readRequest } from './read-request.js';
import { readWishes, type Wishes } from './wishes.js';

/** A request that may be served. */
export interface Admitted extends Placement {
  readonly asked: Asked;
  readonly body: ScannedBody;
  /** When the body was here, on the monotonic clock. */
  readonly readAtMs: number;
  readonly wishes: Wishes;
  readonly tenant: string;
  readonly keyName: string;
  readonly promptClass: string;
  readonly entry: Entry;
}

export async function admit(
  request: IncomingMessage,
  endpoint: Endpoint,
  { snapshot, pool, rng, clock, door }: { snapshot: Snapshot | null; pool: EnginePool; rng: Rng; clock: Clock; door: Door },
): Promise<Checked<Admitted>> {
  const read = await readRequest(request, snapshot, clock, door);
  if (!read.ok) return read;
  const { key, tenant, body, readAtMs, entry } = read.value;
  const understood = endpoint.read(body);
  if (!understood.ok) return refuse(understood.fault.error);
  const asked = understood.value;
  const wishes = readWishes(request, key, 'live');
  if (!wishes.ok) return wishes;
  const { unit, pin, promptClass } = wishes.value;
  const unitOf = (route: Route): string | null => namedUnit(route, unit, body);
  const placed = place({ snapshot: read.value.snapshot, pool, rng }, { model: asked.model, unitOf, pin, needs: asked.needs });
  if (!placed.ok) return placed;
  return good({
    ...placed.value,
    asked,
    body,
    readAtMs,
    wishes: wishes.value,
    tenant,
    keyName: key.name,
    entry,
    promptClass: promptClass ?? promptClassOf(asked.shape),
  });
}
