// Sampling from a list of tokens, when a grammar allows no others: the same cuts and the same draw as over the vocabulary.
import type { Sampling } from '../../engine.js';
import { likelyEnough } from './cuts.js';
import { type LogitsKernel, noCut } from './kernel.js';
import { rankKey, tokenOfKey } from './ranking.js';

/**
 * The token at which the running probability over the kept candidates, in their order, passes `uniform`; at temperature 0 the most likely one.
 * null when no candidate is possible. Cost: about 20 ns a candidate.
 */
export function drawAmong(kernel: LogitsKernel, candidates: Int32Array, cuts: Sampling, uniform: () => number): number | null {
  const { row, ranking } = kernel;
  let peak = noCut;
  for (const token of candidates) {
    const logit = row[token] ?? -Infinity;
    if (logit > -Infinity) peak = Math.max(peak, rankKey(logit, token));
  }
  if (peak === noCut) return null;
  const best = tokenOfKey(peak);
  const { temperature } = cuts;
  if (temperature === 0) return best;
  const peakLogit = row[best] ?? 0;

  let cut = noCut;
  if (cuts.topK > 0 && cuts.topK < candidates.length) {
    load(kernel, candidates, noCut, null);
    cut = ranking.reach(cuts.topK);
  }
  const bound = cuts.minP > 0 ? Math.max(cut, likelyEnough(peakLogit, cuts.minP)) : cut;
  if (cuts.topP < 1) {
    const total = load(kernel, candidates, cut, peakLogit);
    cut = ranking.reach(cuts.topP * total);
  }
  cut = Math.max(cut, bound);

  const inverse = Math.min(1 / temperature, 1e30);
  let total = 0;
  for (const token of candidates) total += weight(row[token] ?? -Infinity, token, cut, peakLogit, inverse);
  let left = uniform() * total;
  let last = best;
  for (const token of candidates) {
    const share = weight(row[token] ?? -Infinity, token, cut, peakLogit, inverse);
    if (share === 0) continue;
    last = token;
    left -= share;
    if (left < 0) break;
  }
  return last;
}

function weight(logit: number, token: number, cut: number, peakLogit: number, inverse: number): number {
  return logit === -Infinity || rankKey(logit, token) < cut ? 0 : Math.exp((logit - peakLogit) * inverse);
}

/** Ranks the candidates above a cut, each weighing 1 or, with a peak, its probability; their weight. */
function load(kernel: LogitsKernel, candidates: Int32Array, cut: number, peakLogit: number | null): number {
  const { row, ranking } = kernel;
  ranking.clear();
  let total = 0;
  for (const token of candidates) {
    const logit = row[token] ?? -Infinity;
    const key = rankKey(logit, token);
    if (logit === -Infinity || key < cut) continue;
    const share = peakLogit === null ? 1 : Math.exp(logit - peakLogit);
    total += share;
    ranking.add(key, share);
  }
  return total;
}
