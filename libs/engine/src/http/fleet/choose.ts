// Which endpoint of a version takes the next request. Never across versions: that is the coin's choice alone, or the comparison would be biased.
import type { Random } from './random.js';

export interface Candidate {
  readonly outstanding: number;
  /** Requests that it may hold; 0: it is out. */
  readonly limit: number;
  /** Of its name, so that all gateways prefer the same endpoint for a key. */
  readonly hash: number;
}

/** An endpoint takes requests for their prefix only while it holds at most this many times the mean, and one. */
export const affinityLoadBound = 1.25;

/**
 * With a key (`keyHash`), the first in the key's own order of endpoints (rendezvous hashing: highest random weight) that is within the load bound; keys keep their
 * endpoint when others come and go. Without one, the least outstanding requests, ties at random. Null when nobody has room.
 *
 * O(endpoints), no allocation: 64 endpoints in well under a microsecond. `random.next()`: uniform 32 bits.
 */
export function choose<C extends Candidate>(
  candidates: readonly C[],
  keyHash: number | null,
  random: Pick<Random, 'next'>,
  except: C | null = null,
): C | null {
  return keyHash === null ? leastLoaded(candidates, random, except) : preferred(candidates, keyHash, except);
}

function leastLoaded<C extends Candidate>(candidates: readonly C[], random: Pick<Random, 'next'>, except: C | null): C | null {
  let best: C | null = null;
  let ties = 1;
  for (const one of candidates) {
    if (one.outstanding >= one.limit || one === except) continue;
    if (best === null || one.outstanding < best.outstanding) {
      best = one;
      ties = 1;
    } else if (one.outstanding === best.outstanding) {
      // The k-th of k equals with probability 1/k: every one of them in the end with the same.
      ties += 1;
      if (random.next() % ties === 0) best = one;
    }
  }
  return best;
}

function preferred<C extends Candidate>(candidates: readonly C[], keyHash: number, except: C | null): C | null {
  let serving = 0;
  let outstanding = 0;
  for (const one of candidates) {
    if (one.limit === 0) continue;
    serving += 1;
    outstanding += one.outstanding;
  }
  const most = (affinityLoadBound * outstanding) / serving + 1;
  let best: C | null = null;
  let bestWeight = -1;
  for (const one of candidates) {
    if (one.outstanding >= one.limit || one.outstanding > most || one === except) continue;
    const weight = mix(keyHash ^ one.hash);
    if (weight > bestWeight) {
      best = one;
      bestWeight = weight;
    }
  }
  return best;
}

/** FNV-1a with a final mix, 32 bits: spreads names and keys, keeps no secret. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return mix(hash);
}

/** Murmur's finaliser: every bit of the input moves every bit of the result. */
function mix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
