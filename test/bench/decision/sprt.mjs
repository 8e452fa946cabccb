// The limit: Wald's test that knows both laws and the state of the world, at the same bound. Nothing that must learn the laws from traffic can be faster.
import { entropySd } from './world.mjs';

/** On the candidate's answers alone: it knows stable's law and the candidate's, and needs stable's traffic for nothing. */
export class Sprt {
  alarm = false;
  logRatio = 0;
  constructor(effect, alpha = 0.01) {
    this.effect = effect;
    this.threshold = Math.log(1 / alpha);
  }
  add(one) {
    if (one.arm === 0) return;
    const { entropy, errors } = this.effect;
    if (entropy !== undefined && !one.error) {
      const shift = Math.log(entropy) / entropySd;
      // The candidate's z is measured against its own law: against stable's it is moved by the shift.
      this.logRatio += shift * (one.z + shift) - shift ** 2 / 2;
    }
    if (errors !== undefined) {
      this.logRatio += one.error ? Math.log(one.pCandidate / one.pStable) : Math.log((1 - one.pCandidate) / (1 - one.pStable));
    }
    if (this.logRatio >= this.threshold) this.alarm = true;
  }
  second() {}
}
