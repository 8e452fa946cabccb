/** Two-sided probability of a standard normal deviate at least this far out. */
export function twoSided(z: number): number;
/** Do so many of `n` fit the weight? */
export function chiSquare(hits: number, n: number, weight: number): { readonly chi2: number; readonly p: number };
/** Does the order of outcomes, each 0 or 1, look drawn? */
export function runsTest(outcomes: ArrayLike<number>): {
  readonly runs: number;
  readonly expected: number;
  readonly z: number;
  readonly p: number;
};
