// Which requests are mirrored: a coin per unit like the one of the arms, and independent of it.
import { createHash } from 'node:crypto';
import type { Route } from '#libs/rollout';
import { pointOf } from '../routing/assign.js';

export type Candidature = NonNullable<Route['rollout']>;

const salts = new WeakMap<Candidature, string>();

/** Another key than the arms' coin has: who is mirrored says nothing about who will meet the candidate first. */
function saltOf(rollout: Candidature): string {
  let salt = salts.get(rollout);
  if (!salt) {
    salt = createHash('sha256').update(`shadow\n${rollout.salt}`).digest('hex').slice(0, 32);
    salts.set(rollout, salt);
  }
  return salt;
}

/** With probability `shadow.share`; the same for all requests of a unit while the share stays. False without a policy. */
export function isMirrored(rollout: Candidature, unit: string): boolean {
  return rollout.shadow !== undefined && pointOf(saltOf(rollout), unit) < rollout.shadow.share;
}
