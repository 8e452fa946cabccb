// Which version answers: an independent coin per assignment unit, by a keyed hash of (rollout salt, unit). The statistics rest on it.
import type { Arm } from '#libs/base';
import type { Route } from '#libs/rollout';
import { type SipKey, sipKey, sipPoint } from './siphash.js';

export interface Assignment {
  readonly versionId: string;
  /** Null when no coin was drawn: no rollout, weight 0, or the candidate cannot be served here. */
  readonly arm: Arm | null;
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

/**
 * Draws the arm. `candidateServes` false lowers the candidate's share to nothing without pretending that a coin was drawn: such answers must
 * not enter the comparison as stable's, for the coin did not send them there. Null when the model has no version in service.
 */
export function assign(route: Route, unit: string, candidateServes: boolean): Assignment | null {
  if (!route.stable) return null;
  const { rollout } = route;
  if (!rollout || rollout.weight <= 0 || !candidateServes) return { versionId: route.stable, arm: null, rolloutId: null, epoch: null };
  const arm = pointOf(rollout.salt, unit) < rollout.weight ? 'candidate' : 'stable';
  return { versionId: arm === 'candidate' ? rollout.candidate : route.stable, arm, rolloutId: rollout.id, epoch: rollout.epoch };
}
