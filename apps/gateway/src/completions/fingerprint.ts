// `system_fingerprint`: the same as long as the version's content is, so that clients with a seed can tell why an answer changed.
import type { ServedVersion } from '#libs/rollout';

const shownDigits = 12;

export function fingerprintOf({ digest }: Pick<ServedVersion, 'digest'>): string {
  return `fp_${digest.slice(0, shownDigits)}`;
}
