// From one position's raw logits to the next token: uncertainty first, at temperature 1 over the whole vocabulary, then sampling. Pure.

/** All tokens of the vocabulary as [token, logit, token, logit ...], highest logit first. Raw: before any temperature, penalty or cut. */
export type RankedLogits = ArrayLike<number>;

export interface SamplingCuts {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
}

export interface NextToken {
  readonly token: number;
  /** Shannon entropy of the full next-token distribution at temperature 1, nats. */
  readonly entropyNats: number;
  /** -ln P(token) under that distribution, nats. */
  readonly nllNats: number;
}

/**
 * Chooses a token and states the model's uncertainty. `uniform` is a random number in [0, 1); temperature 0 takes the top token.
 * Cuts apply in the order top-k, top-p, min-p, temperature, as llama.cpp does. Cost: one exp per token of the vocabulary.
 */
export function chooseNext(ranked: RankedLogits, cuts: SamplingCuts, uniform: () => number): NextToken {
  const size = ranked.length / 2;
  if (size < 1) throw new Error('no logits');
  const top = ranked[1] ?? 0;
  let weights = 0;
  let weighted = 0;
  for (let i = 0; i < size; i += 1) {
    const below = (ranked[2 * i + 1] ?? -Infinity) - top;
    const weight = Math.exp(below);
    weights += weight;
    // exp(-Infinity) x -Infinity would be NaN; a token that cannot come adds nothing.
    if (weight > 0) weighted += weight * below;
  }
  const lnZ = Math.log(weights);
  const rank = cuts.temperature === 0 ? 0 : sampleRank(ranked, size, top, weights, cuts, uniform());
  return {
    token: ranked[2 * rank] ?? 0,
    entropyNats: Math.max(0, lnZ - weighted / weights),
    nllNats: Math.max(0, lnZ - ((ranked[2 * rank + 1] ?? 0) - top)),
  };
}

function sampleRank(ranked: RankedLogits, size: number, top: number, weights: number, cuts: SamplingCuts, uniform: number): number {
  let kept = cuts.topK > 0 ? Math.min(cuts.topK, size) : size;
  if (cuts.topP < 1) {
    let within = weights;
    if (kept < size) {
      within = 0;
      for (let i = 0; i < kept; i += 1) within += Math.exp((ranked[2 * i + 1] ?? -Infinity) - top);
    }
    let mass = 0;
    for (let i = 0; i < kept; i += 1) {
      mass += Math.exp((ranked[2 * i + 1] ?? -Infinity) - top) / within;
      if (mass >= cuts.topP) {
        kept = i + 1;
        break;
      }
    }
  }
  if (cuts.minP > 0) {
    const lowest = top + Math.log(cuts.minP);
    while (kept > 1 && (ranked[2 * kept - 1] ?? -Infinity) < lowest) kept -= 1;
  }
  let total = 0;
  for (let i = 0; i < kept; i += 1) total += Math.exp(((ranked[2 * i + 1] ?? -Infinity) - top) / cuts.temperature);
  let left = uniform * total;
  for (let i = 0; i < kept; i += 1) {
    left -= Math.exp(((ranked[2 * i + 1] ?? -Infinity) - top) / cuts.temperature);
    if (left < 0) return i;
  }
  return kept - 1;
}

/** A small seeded generator (mulberry32): the same seed gives the same text. */
export function seededUniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
