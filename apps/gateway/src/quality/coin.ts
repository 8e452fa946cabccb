// Which answers are scored: a coin per request, keyed like the one of the arms and independent of it, with the share of the arm that the request drew.
import { createHash } from 'node:crypto';
import type { ComparedArm } from '#libs/base';
import type { Route } from '#libs/rollout';
import { pointOf } from '../routing/assign.js';

type Rollout = NonNullable<Route['rollout']>;

const salts = new WeakMap<Rollout, string>();

function saltOf(rollout: Rollout): string {
  let salt = salts.get(rollout);
  if (!salt) {
    salt = createHash('sha256').update(`quality\n${rollout.salt}`).digest('hex').slice(0, 32);
    salts.set(rollout, salt);
  }
  return salt;
}

/** A control arm stands for stable. False where the plan scores nothing by a judge. */
export function isScored(rollout: Rollout, arm: ComparedArm, requestId: string): boolean {
  const { quality } = rollout;
  if (!quality?.judge) return false;
  return pointOf(saltOf(rollout), requestId) < (arm === 'candidate' ? quality.sampleCandidate : quality.sampleStable);
}
