// What the log probabilities of the k most likely tokens allow the entropy of the whole distribution to be. Bounds, never a point: what is not listed is not known.

export interface EntropyBounds {
  readonly lowerNats: number;
  readonly upperNats: number;
  /** Probability of everything that is not listed (censored mass), 0 to 1. */
  readonly restMass: number;
  /** Listed tokens. Bounds of different k are not comparable. */
  readonly k: number;
}

/** Upstreams compute in half or single precision and round what they print: masses may miss 1 by this much. */
const massTolerance = 0.01;

/**
 * Bounds in nats on the Shannon entropy of a distribution over `vocabularySize` tokens, of which the log probabilities (natural logarithm,
 * normalised over all of them) of the k most likely are given in any order. With the head H_k = -sum p ln p, the rest r = 1 - sum p, the
 * smallest listed p_k and n = vocabularySize - k unlisted tokens:
 *
 *   lower = H_k - r ln(min(r, p_k))   no unlisted token can be likelier than p_k
 *   upper = H_k - r ln(r / n)         the rest is spread evenly
 *
 * A `vocabularySize` that is too large only widens the upper bound. None listed gives [0, ln(vocabularySize)]. Null for numbers that
 * are not the head of a distribution: NaN, probabilities above 1, masses beyond 1, a rest for which no token is left.
 */
export function entropyBounds(topLogprobs: readonly number[], vocabularySize: number): EntropyBounds | null {
  let headNats = 0;
  let mass = 0;
  let smallest = 1;
  for (const logprob of topLogprobs) {
    if (Number.isNaN(logprob) || logprob > massTolerance) return null;
    // The lowest float and -Infinity both stand for an impossible token: it adds nothing.
    const p = Math.exp(Math.min(logprob, 0));
    if (p > 0) headNats -= p * Math.log(p);
    mass += p;
    smallest = Math.min(smallest, p);
  }
  if (mass > 1 + massTolerance) return null;
  const unlisted = Math.max(0, vocabularySize - topLogprobs.length);
  const most = unlisted * smallest;
  const missing = Math.max(0, 1 - mass);
  if (missing > most + massTolerance) return null;
  const rest = Math.min(missing, most);
  const k = topLogprobs.length;
  if (rest === 0) return { lowerNats: headNats, upperNats: headNats, restMass: 0, k };
  return {
    lowerNats: headNats - rest * Math.log(Math.min(rest, smallest)),
    upperNats: headNats - rest * Math.log(rest / unlisted),
    restMass: rest,
    k,
  };
}
