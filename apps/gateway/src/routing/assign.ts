// Which version answers: an independent coin per assignment unit, by a keyed hash of (rollout salt, unit). The statistics rest on it.
import type { ComparedArm } from '#libs/base';
import type { Route } from '#libs/rollout';
import { type SipKey, sipKey, sipPoint } from './siphash.js';

export interface Assignment {
  readonly versionId: string;
  /** Null when no coin was drawn: no rollout, weight 0, or the candidate cannot be served here. */
  readonly arm: ComparedArm | null;
  readonly rolloutId: string | null;
  readonly epoch: number | null;
}

const keys = new Map<string, SipKey>();
const maxKeys = 4_096;
/** Of UTF-16, in UTF-8. */
const mostBytesPerUnit = 3;
/** Where units are laid out to be hashed. */
const scratch = Buffer.alloc(1_024);

function keyOf(salt: string): SipKey {
  let key = keys.get(salt);
  if (!key) {
    if (keys.size >= maxKeys) keys.clear();
    key = sipKey(salt);
    keys.set(salt, key);
  }
  return key;
}

/** A unit's place in [0, 1): fixed for the life of a rollout, so a growing weight keeps everybody who saw the candidate on it. */
export function pointOf(salt: string, unit: string): number {
  const fits = unit.length * mostBytesPerUnit <= scratch.length;
  const bytes = fits ? scratch : Buffer.from(unit, 'utf8');
  return sipPoint(keyOf(salt), bytes, fits ? scratch.write(unit, 'utf8') : bytes.length);
}

/** Which versions of a rollout can take requests here, now. */
export interface Serving {
  readonly candidate: boolean;
  readonly control: boolean;
}

/**
 * Draws the arm. Units below the weight are the candidate's, so that a growing weight only adds to them; the control's come from the other end of
 * the interval, and where the two would meet the candidate's stay its own. A version that does not serve loses its share to stable without
 * pretending that a coin was drawn: such answers must not enter the comparison as stable's, for the coin did not send them there. Null when the
 * model has no version in service.
 */
export function assign(route: Route, unit: string, serving: Serving): Assignment | null {
  if (!route.stable) return null;
  const uncompared: Assignment = { versionId: route.stable, arm: null, rolloutId: null, epoch: null };
  const { rollout } = route;
  if (!rollout || rollout.weight <= 0 || !serving.candidate) return uncompared;
  const point = pointOf(rollout.salt, unit);
  const { id: rolloutId, epoch, control } = rollout;
  if (point < rollout.weight) return { versionId: rollout.candidate, arm: 'candidate', rolloutId, epoch };
  if (!control || point < 1 - control.weight) return { versionId: route.stable, arm: 'stable', rolloutId, epoch };
  return serving.control ? { versionId: control.version, arm: 'control', rolloutId, epoch } : uncompared;
}
