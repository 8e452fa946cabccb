// Identifiers and randomness as ports, so that a simulated run with a seed is reproducible.
import { randomBytes, randomUUID } from 'node:crypto';

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

export const systemRng: Rng = {
  bytes: (size) => randomBytes(size),
  uniform: () => randomBytes(6).readUIntBE(0, 6) / 2 ** 48,
};
