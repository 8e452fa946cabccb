// Random numbers of a run: the same seed gives the same stream. sfc32 (Doty-Humphrey), 32 bits a draw.
export class Random {
  constructor(seed) {
    this.a = 0x9e3779b9;
    this.b = 0x243f6a88;
    this.c = seed >>> 0;
    this.d = 1;
    this.spare = null;
    for (let turn = 0; turn < 12; turn += 1) this.next();
  }

  next() {
    const sum = (((this.a + this.b) | 0) + this.d) | 0;
    this.d = (this.d + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = ((this.c << 21) | (this.c >>> 11)) + sum;
    this.c |= 0;
    return sum >>> 0;
  }

  /** In (0, 1). */
  uniform() {
    return (this.next() + 0.5) / 4_294_967_296;
  }

  /** Standard normal, by the polar method. */
  normal() {
    if (this.spare !== null) {
      const kept = this.spare;
      this.spare = null;
      return kept;
    }
    for (;;) {
      const x = 2 * this.uniform() - 1;
      const y = 2 * this.uniform() - 1;
      const s = x * x + y * y;
      if (s > 0 && s < 1) {
        const scale = Math.sqrt((-2 * Math.log(s)) / s);
        this.spare = y * scale;
        return x * scale;
      }
    }
  }

  /** Mean 1. */
  exponential() {
    return -Math.log(this.uniform());
  }
}
