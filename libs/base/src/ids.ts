// Identifiers and randomness as ports, so that a simulated run with a seed is reproducible.
import { randomBytes, randomFillSync, randomUUID } from 'node:crypto';

/** Source of identifiers. */
export interface Ids {
  /** A fresh UUID (version 4 in production). */
  uuid(): string;
}

/** Source of randomness. */
export interface Rng {
  /** `size` random bytes. */
  bytes(size: number): Uint8Array;
  /** Uniform in [0, 1). */
  uniform(): number;
}

export const systemIds: Ids = { uuid: () => randomUUID() };

/** Asking the kernel costs as much as a write to a socket, whatever the size: small requests share one answer of it. */
const store = Buffer.alloc(4_096);
const largestShared = 64;
let used = store.length;

function randomFromStore(size: number): Uint8Array {
  if (size > largestShared) return randomBytes(size);
  if (used + size > store.length) {
    randomFillSync(store);
    used = 0;
  }
  const bytes = Uint8Array.prototype.slice.call(store, used, used + size);
  // Given out once, and not kept: it may have become a secret.
  store.fill(0, used, used + size);
  used += size;
  return bytes;
}

export const systemRng: Rng = {
  bytes: randomFromStore,
  uniform: () => Buffer.from(randomFromStore(6)).readUIntBE(0, 6) / 2 ** 48,
};
