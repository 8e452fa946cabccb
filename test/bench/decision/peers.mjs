// Rules that others use, on the same stream: per-minute thresholds, failure counters, Mann-Whitney on minute means, repeated t-tests, mSPRT.

/** Sums of one arm. */
class Moments {
  n = 0;
  sum = 0;
  squares = 0;
  add(value) {
    this.n += 1;
    this.sum += value;
    this.squares += value * value;
  }
  get mean() {
    return this.sum / this.n;
  }
  get variance() {
    return Math.max(0, this.squares / this.n - this.mean ** 2);
  }
}

const minPerArm = 30;

/** Looks each second at the means of a metric from 30 responses per arm on: alarm beyond `z` standard errors (0.01 two-sided = 2.576). */
export class RepeatedT {
  arms = [new Moments(), new Moments()];
  alarm = false;
  constructor(figureOf, z = 2.576) {
    this.figureOf = figureOf;
    this.z = z;
  }
  add(one) {
    const value = this.figureOf(one);
    if (value !== null) this.arms[one.arm].add(value);
  }
  second() {
    const [stable, candidate] = this.arms;
    if (stable.n < minPerArm || candidate.n < minPerArm) return;
    const error = Math.sqrt(stable.variance / stable.n + candidate.variance / candidate.n);
    if (error > 0 && Math.abs(candidate.mean - stable.mean) > this.z * error) this.alarm = true;
  }
}

/** Normal mixture with the variance plugged in (mSPRT, Johari et al. 2017): valid only in the limit. `tau`: expected size of an effect, in the metric. */
export class Msprt {
  arms = [new Moments(), new Moments()];
  alarm = false;
  constructor(figureOf, tau, alpha = 0.01) {
    this.figureOf = figureOf;
    this.tau = tau;
    this.threshold = Math.log(1 / alpha);
  }
  add(one) {
    const value = this.figureOf(one);
    if (value !== null) this.arms[one.arm].add(value);
  }
  second() {
    const [stable, candidate] = this.arms;
    if (stable.n < minPerArm || candidate.n < minPerArm) return;
    const variance = stable.variance / stable.n + candidate.variance / candidate.n;
    if (variance <= 0) return;
    const t2 = this.tau ** 2;
    const difference = candidate.mean - stable.mean;
    const logE = 0.5 * Math.log(variance / (variance + t2)) + (t2 * difference ** 2) / (2 * variance * (variance + t2));
    if (logE >= this.threshold) this.alarm = true;
  }
}

/** A threshold on each minute's figure. `allowed` failed minutes: Argo's `failureLimit` (default 0), or Flagger's `threshold` less one. */
export class MinuteThreshold {
  alarm = false;
  failures = 0;
  constructor(failedBy, allowed) {
    this.failedBy = failedBy;
    this.allowed = allowed;
  }
  add() {}
  second() {}
  minute(arms) {
    if (this.failedBy(arms)) this.failures += 1;
    if (this.failures > this.allowed) this.alarm = true;
  }
}

/** Kayenta's classifier: Mann-Whitney at 98% on the minute means, and the whole interval beyond a quarter of the estimated shift. */
export class MannWhitney {
  alarm = false;
  points = [[], []];
  add() {}
  second() {}
  constructor(figureOf, mostPoints = 600) {
    this.figureOf = figureOf;
    this.mostPoints = mostPoints;
  }
  minute(arms) {
    const figures = arms.map(this.figureOf);
    if (figures.some((figure) => figure === null)) return;
    for (const arm of [0, 1]) {
      this.points[arm].push(figures[arm]);
      if (this.points[arm].length > this.mostPoints) this.points[arm].shift();
    }
    const n = this.points[0].length;
    if (n < 5) return;
    const sorted = [0, 1].flatMap((arm) => this.points[arm].map((value) => [value, arm])).sort((a, b) => a[0] - b[0]);
    let ranks = 0;
    sorted.forEach(([, arm], at) => {
      if (arm === 1) ranks += at + 1;
    });
    const u = ranks - (n * (n + 1)) / 2;
    const z = (u - (n * n) / 2) / Math.sqrt((n * n * (2 * n + 1)) / 12);
    // The interval is about the shift x (1 -+ 2.326 / |z|); its near end must exceed a quarter of the shift.
    if (Math.abs(z) * 0.75 > 2.326) this.alarm = true;
  }
}

/** One minute of one arm, as a metrics backend would give it. */
export class Minute {
  entropy = new Moments();
  latency = new Moments();
  n = 0;
  errors = 0;
  add(one) {
    this.n += 1;
    if (one.error) {
      this.errors += 1;
      return;
    }
    this.entropy.add(one.entropyNats);
    this.latency.add(one.totalMs);
  }
}

const entropyOf = (one) => (one.error ? null : one.entropyNats);
const errorOf = (one) => (one.error ? 1 : 0);
const entropyOut = ([stable, candidate]) =>
  stable.entropy.n > 0 && candidate.entropy.n > 0 && Math.abs(candidate.entropy.mean / stable.entropy.mean - 1) > 0.2;
const errorsOut = ([, candidate]) => candidate.n > 0 && candidate.errors / candidate.n > 0.01;
const entropyMean = ({ entropy }) => (entropy.n > 0 ? entropy.mean : null);
const errorShare = ({ n, errors }) => (n > 0 ? errors / n : null);

/** New rules for one run, by name. */
export function peerRules() {
  return {
    'argo entropy': new MinuteThreshold(entropyOut, 0),
    'argo errors': new MinuteThreshold(errorsOut, 0),
    'flagger entropy': new MinuteThreshold(entropyOut, 4),
    'flagger errors': new MinuteThreshold(errorsOut, 4),
    'kayenta entropy': new MannWhitney(entropyMean),
    'kayenta errors': new MannWhitney(errorShare),
    't-test entropy': new RepeatedT(entropyOf),
    't-test errors': new RepeatedT(errorOf),
    'mSPRT entropy': new Msprt(entropyOf, 0.07),
    'mSPRT errors': new Msprt(errorOf, 0.01),
  };
}
