// Is it a fair, independent coin? Two tests from the textbooks, as normal deviates and their two-sided probabilities.

/** Two-sided probability of a standard normal deviate at least this far out; Abramowitz and Stegun 7.1.26, error below 1.5e-7. */
export function twoSided(z) {
  const x = Math.abs(z) / Math.SQRT2;
  const t = 1 / (1 + 0.3275911 * x);
  const poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.max(0, Math.min(1, poly * Math.exp(-x * x)));
}

/** Chi-square test of one degree of freedom: do so many of `n` fit the weight? */
export function chiSquare(hits, n, weight) {
  const expected = n * weight;
  const chi2 = (hits - expected) ** 2 / expected + (hits - expected) ** 2 / (n - expected);
  return { chi2, p: twoSided(Math.sqrt(chi2)) };
}

/** Wald and Wolfowitz: does the order of the outcomes look drawn? Too many runs means alternation (round robin), too few means clumps. */
export function runsTest(outcomes) {
  const n = outcomes.length;
  let ones = 0;
  let runs = 1;
  for (let at = 0; at < n; at += 1) {
    ones += outcomes[at];
    if (at > 0 && outcomes[at] !== outcomes[at - 1]) runs += 1;
  }
  const zeros = n - ones;
  const mean = (2 * ones * zeros) / n + 1;
  const variance = ((mean - 1) * (mean - 2)) / (n - 1);
  const z = (runs - mean) / Math.sqrt(variance);
  return { runs, expected: mean, z, p: twoSided(z) };
}
