// Traffic as it is met in production: five classes whose mix swings, heavy tails, bursts, outages, and a candidate that differs by one effect.
import { Random } from './random.mjs';

/** Mean entropy of an answer (nats per token), share of the traffic and length of an answer (tokens), by class. */
export const classes = [
  { name: 'json', entropyNats: 0.2, share: 0.3, tokens: 60 },
  { name: 'faq', entropyNats: 0.4, share: 0.25, tokens: 120 },
  { name: 'support', entropyNats: 0.65, share: 0.2, tokens: 200 },
  { name: 'write', entropyNats: 1, share: 0.15, tokens: 400 },
  { name: 'story', entropyNats: 1.4, share: 0.1, tokens: 700 },
];
/** Standard deviation of ln within a class. */
export const entropySd = 0.45;
const lengthSd = 0.6;
const mixSwing = 0.15;
export const baseErrors = 0.005;
export const outageErrors = 0.2;
const refusalShare = 0.01;
const loopShare = 0.002;

/** Two states that alternate at random: `onShare` of the time, `onS` seconds on average. */
class Switch {
  constructor(random, onS, onShare) {
    this.random = random;
    this.onS = onS;
    this.offS = (onS * (1 - onShare)) / onShare;
    this.on = random.uniform() < onShare;
    this.untilS = 0;
    this.turn(0);
  }

  turn(atS) {
    this.untilS = atS + (this.on ? this.onS : this.offS) * this.random.exponential();
  }

  at(atS) {
    while (atS >= this.untilS) {
      const turnedS = this.untilS;
      this.on = !this.on;
      this.turn(turnedS);
    }
    return this.on;
  }
}

/**
 * One request after another. `effect`: what is wrong with the candidate: `{entropy, length, latency}` as factors, `{errors}` as its error rate, `{tail}` as
 * the factor of its slowest 1%. `queues`: whether bursts of latency meet both arms alike (`shared`) or each its own (`private`).
 * `weight` 0 gives stable alone: the reference.
 */
export class World {
  constructor(seed, { rate, weight, effect = {}, queues = 'shared', horizon = 50_000 }) {
    this.random = new Random(seed);
    Object.assign(this, { rate, weight, effect, queues });
    this.atS = 0;
    const bursts = () => new Switch(this.random, 20, 0.09);
    this.bursts = queues === 'shared' ? [bursts()] : [bursts(), bursts()];
    this.outage = new Switch(this.random, 20, 0.01);
    this.swingS = horizon / rate / 3;
    this.phases = classes.map(() => this.random.uniform() * 2 * Math.PI);
    this.shares = classes.map(({ share }) => share);
    this.mixedS = -1;
  }

  /** Fills and returns the one request object of this world: a run makes tens of thousands. */
  next(into) {
    const { random, effect } = this;
    this.atS += random.exponential() / this.rate;
    const arm = random.uniform() < this.weight ? 1 : 0;
    const index = this.classOf();
    const one = classes[index];
    into.atMs = this.atS * 1000;
    into.arm = arm;
    into.index = index;
    const out = this.outage.at(this.atS);
    const rate = arm === 1 && effect.errors !== undefined ? effect.errors : baseErrors;
    into.pStable = out ? 1 - (1 - baseErrors) * (1 - outageErrors) : baseErrors;
    into.pCandidate = out ? 1 - (1 - (effect.errors ?? baseErrors)) * (1 - outageErrors) : (effect.errors ?? baseErrors);
    into.error = random.uniform() < (out ? 1 - (1 - rate) * (1 - outageErrors) : rate);
    into.z = random.normal();
    into.entropyNats = one.entropyNats * Math.exp(entropySd * into.z) * (arm === 1 ? (effect.entropy ?? 1) : 1);
    into.tokens = Math.max(1, Math.round(one.tokens * Math.exp(lengthSd * random.normal()) * (arm === 1 ? (effect.length ?? 1) : 1)));
    const burst = this.bursts[this.bursts.length === 2 ? arm : 0].at(this.atS) ? 3 : 1;
    const slow = arm === 1 ? (effect.latency ?? 1) : 1;
    // 1% of the answers wait for something else: Pareto with shape 1.5.
    const tail = random.uniform() < 0.01 ? random.uniform() ** (-1 / 1.5) * (arm === 1 ? (effect.tail ?? 1) : 1) : 1;
    into.totalMs = 2_000 * Math.exp(0.6 * random.normal()) * tail * burst * slow;
    into.ttftMs = 300 * Math.exp(0.5 * random.normal()) * tail * burst * slow;
    into.interTokenMs = 20 * Math.exp(0.25 * random.normal()) * burst * slow;
    into.refused = random.uniform() < refusalShare;
    into.looped = random.uniform() < loopShare;
    return into;
  }

  classOf() {
    // The mix moves slowly; once a second is often enough.
    if (this.atS - this.mixedS > 1) {
      this.mixedS = this.atS;
      let sum = 0;
      this.shares = classes.map(({ share }, at) => {
        const now = Math.max(0.01, share + mixSwing * share * 2 * Math.sin((2 * Math.PI * this.atS) / this.swingS + this.phases[at]));
        sum += now;
        return now;
      });
      this.shares = this.shares.map((share) => share / sum);
    }
    let left = this.random.uniform();
    for (let at = 0; at < classes.length - 1; at += 1) {
      left -= this.shares[at];
      if (left < 0) return at;
    }
    return classes.length - 1;
  }
}
