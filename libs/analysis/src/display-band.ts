// Bands for plots. They hold for many observations only, with a variance that is estimated: nothing is decided by them.

/** ln of the normal-mixture statistic of a difference with variance `variance` (of the estimate) and mixing scale `tau` (Robbins 1970; mSPRT). */
export function normalMixtureLogE(difference: number, variance: number, tau: number): number {
  const both = variance + tau * tau;
  return 0.5 * Math.log(variance / both) + (tau * tau * difference * difference) / (2 * variance * both);
}

/** Half width of the band around the difference at level 1 - alpha, by inverting the statistic. */
export function normalMixtureRadius(variance: number, tau: number, alpha: number): number {
  const both = variance + tau * tau;
  return Math.sqrt(((2 * variance * both) / (tau * tau)) * (Math.log(1 / alpha) + 0.5 * Math.log(both / variance)));
}

/** The rho that makes the asymptotic confidence sequence narrowest at `count` observations (Waudby-Smith et al. 2021). */
export function asymptoticRho(count: number, alpha: number): number {
  const a = -2 * Math.log(alpha);
  return Math.sqrt((a + Math.log(a + 1)) / count);
}

/** Half width of the asymptotic confidence sequence of a mean after `count` observations with standard deviation `sd`. */
export function asymptoticRadius(sd: number, count: number, rho: number, alpha: number): number {
  const k = count * rho * rho + 1;
  return sd * Math.sqrt(((2 * k) / (count * count * rho * rho)) * Math.log(Math.sqrt(k) / alpha));
}
