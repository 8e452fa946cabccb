// Special functions that the comparison needs, each to about 1e-12 relative: no package at hand is exact in the tails.

const lanczos = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905,
  -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

/** ln Γ(x) for x > 0, by the Lanczos series with g = 7. */
export function logGamma(x: number): number {
  if (!(x > 0)) throw new RangeError(`logGamma of ${x}`);
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  const y = x - 1;
  const sum = lanczos.reduce((total, weight, index) => total + (index === 0 ? weight : weight / (y + index)), 0);
  const base = y + 7.5;
  return 0.5 * Math.log(2 * Math.PI) + (y + 0.5) * Math.log(base) - base + Math.log(sum);
}

/** A continued fraction by the modified Lentz method; `term(k)` answers [a, b] of step k. */
function continuedFraction(first: number, term: (step: number) => readonly [number, number]): number {
  const tiny = 1e-300;
  let value = first || tiny;
  let numerator = value;
  let denominator = 0;
  for (let step = 1; step <= 5_000; step += 1) {
    const [a, b] = term(step);
    denominator = 1 / (b + a * denominator || tiny);
    numerator = b + a / numerator || tiny;
    const factor = numerator * denominator;
    value *= factor;
    if (Math.abs(factor - 1) < 1e-16) break;
  }
  return value;
}

/** Regularised incomplete beta function I_x(a, b) for a, b > 0 and x in [0, 1]. */
export function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x)) / a;
  const fraction = continuedFraction(1, (step) => {
    const m = Math.floor(step / 2);
    const term =
      step % 2 === 0 ? (m * (b - m) * x) / ((a + step - 1) * (a + step)) : (-(a + m) * (a + b + m) * x) / ((a + step - 1) * (a + step));
    return [term, 1];
  });
  return front / fraction;
}

/** Upper tail of the standard normal, exact to the last digits far out. */
function normalTail(z: number): number {
  const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
  if (z > 3) return density / continuedFraction(z, (step) => [step, z]);
  // Series of Φ(z) - 1/2; all its terms have one sign.
  let term = z;
  let sum = z;
  for (let index = 1; Math.abs(term) > Math.abs(sum) * 1e-17; index += 1) {
    term *= (z * z) / (2 * index + 1);
    sum += term;
  }
  return 0.5 - density * sum;
}

/** P(Z <= z) of the standard normal. */
export function normalCdf(z: number): number {
  return z < 0 ? normalTail(-z) : 1 - normalTail(z);
}

/** The z with P(Z <= z) = p, for 0 < p < 1. */
export function normalQuantile(p: number): number {
  if (!(p > 0 && p < 1)) throw new RangeError(`normalQuantile of ${p}`);
  if (p === 0.5) return 0;
  return p < 0.5 ? -upperQuantile(p, normalTail) : upperQuantile(1 - p, normalTail);
}

/** P(T <= t) of Student's t with `df` degrees of freedom. */
export function studentCdf(t: number, df: number): number {
  const tail = studentTail(Math.abs(t), df);
  return t < 0 ? tail : 1 - tail;
}

/** The t with P(T <= t) = p, for 0 < p < 1 and df > 0. */
export function studentQuantile(p: number, df: number): number {
  if (!(p > 0 && p < 1) || !(df > 0)) throw new RangeError(`studentQuantile of ${p} with ${df} degrees`);
  if (p === 0.5) return 0;
  const tail = (t: number): number => studentTail(t, df);
  return p < 0.5 ? -upperQuantile(p, tail) : upperQuantile(1 - p, tail);
}

function studentTail(t: number, df: number): number {
  return incompleteBeta(df / (df + t * t), df / 2, 0.5) / 2;
}

/** P(X <= k) of the binomial with n trials of probability p. */
export function binomialCdf(k: number, n: number, p: number): number {
  if (k < 0) return 0;
  return k >= n ? 1 : incompleteBeta(1 - p, n - k, k + 1);
}

/** The x > 0 whose upper tail is `p`: doubled until bracketed, then halved to the last bit. */
function upperQuantile(p: number, tail: (x: number) => number): number {
  let low = 0;
  let high = 1;
  while (tail(high) > p && high < 1e300) {
    low = high;
    high *= 2;
  }
  for (;;) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) return middle;
    if (tail(middle) > p) low = middle;
    else high = middle;
  }
}
