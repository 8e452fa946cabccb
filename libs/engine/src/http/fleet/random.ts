// Chance for choices among equals and for spreading times: too frequent for the system's randomness, and nothing secret hangs on it.
import type { Rng } from '#libs/base';

/** Marsaglia's xorshift, 32 bits, seeded once by the port. A few nanoseconds a number. */
export class Random {
  private state: number;

  constructor(rng: Rng) {
    const [a = 0, b = 0, c = 0, d = 0] = rng.bytes(4);
    // Zero would stay zero.
    this.state = (a << 24) | (b << 16) | (c << 8) | d || 1;
  }

  /** Whole, 1 to 2^32 - 1. */
  next(): number {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return this.state >>> 0;
  }

  /** In [0, 1). */
  uniform(): number {
    return (this.next() - 1) / 0xffffffff;
  }
}
