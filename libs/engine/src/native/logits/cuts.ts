// Where sampling cuts the vocabulary off: top-k, top-p and min-p as one rank key, found without ranking the whole vocabulary.
import { type LogitsKernel, lowestLogit, noCut } from './kernel.js';
import { logitOfKey, maxVocabulary, nextSingle, rankKey, singleAtLeast } from './ranking.js';

export interface Cuts {
  /** Keeps this many of the highest logits; 0 = no cut. */
  readonly topK: number;
  /** Then keeps the fewest of the highest whose share of what is left reaches this; 1 = no cut. */
  readonly topP: number;
  /** Then drops what is less than this times as likely as the most likely; 0 = no cut. */
  readonly minP: number;
}

/**
 * Key of the lowest token that the cuts keep, in llama.cpp's order: top-k, top-p, min-p, all at temperature 1. At least one token is kept;
 * of equal logits at the border those with lower ids are. Shares are exact to 1e-6. Cost: some skips over the row where few tokens
 * are likely; two to four passes where the distribution is flat.
 */
export function cutOf(kernel: LogitsKernel, cuts: Cuts): number {
  const kept = cuts.topK > 0 && cuts.topK < kernel.vocabularySize ? topK(kernel, cuts.topK) : noCut;
  const bound = cuts.minP > 0 ? Math.max(kept, likelyEnough(kernel.peakLogit, cuts.minP)) : kept;
  if (cuts.topP >= 1) return bound;
  const wanted = cuts.topP * kernel.weight(kept);
  const total = kernel.weight(bound);
  // What min-p keeps may not reach the share: then top-p keeps all of it.
  return total < wanted ? bound : Math.max(bound, topP(kernel, wanted, bound, total));
}

/** The key of min-p: logits of at least ln(minP) below the highest. */
export function likelyEnough(peakLogit: number, minP: number): number {
  return rankKey(Math.min(peakLogit, singleAtLeast(peakLogit + Math.log(minP))), maxVocabulary - 1);
}

/** What a share is a share of: the number of tokens, or their probability. */
interface Weighing {
  one(logit: number, peakLogit: number): number;
  above(kernel: LogitsKernel, floor: number): number;
}

const number: Weighing = {
  one: () => 1,
  above: (kernel, floor) => kernel.countAbove(floor),
};

const probability: Weighing = {
  one: (logit, peakLogit) => Math.exp(logit - peakLogit),
  above: (kernel, floor) => kernel.weight(rankKey(floor, maxVocabulary - 1)),
};

/** A span of logits, `low` to below `high`, in which the cut lies: weight and number of tokens from each bound upward. */
interface Span {
  low: number;
  high: number;
  weightAtLow: number;
  weightAtHigh: number;
  countAtLow: number;
  countAtHigh: number;
}

function topK(kernel: LogitsKernel, wanted: number): number {
  if (wanted <= kernel.blocks) {
    rank(kernel, number, kernel.collectLargest(wanted));
    return kernel.ranking.reach(wanted);
  }
  const possible = kernel.countAbove(lowestLogit);
  if (possible <= wanted) return noCut;
  return search(kernel, number, wanted, {
    low: lowestLogit,
    high: Infinity,
    weightAtLow: possible,
    weightAtHigh: 0,
    countAtLow: possible,
    countAtHigh: 0,
  });
}

/** How many tokens are first ranked for top-p: a model that knows what it says stays within. */
const headSize = 128;

function topP(kernel: LogitsKernel, wanted: number, bound: number, total: number): number {
  const low = bound === noCut ? lowestLogit : logitOfKey(bound);
  const span: Span = {
    low,
    high: Infinity,
    weightAtLow: total,
    weightAtHigh: 0,
    countAtLow: bound === noCut ? kernel.vocabularySize : kernel.countAbove(low),
    countAtHigh: 0,
  };
  if (span.countAtLow > fewFor(kernel)) {
    const { ids, row } = kernel;
    span.countAtHigh = kernel.collectLargest(Math.min(headSize, kernel.blocks));
    span.weightAtHigh = rank(kernel, probability, span.countAtHigh);
    if (span.weightAtHigh >= wanted) return kernel.ranking.reach(wanted);
    for (let i = 0; i < span.countAtHigh; i += 1) span.high = Math.min(span.high, row[ids[i] ?? 0] ?? 0);
  }
  return search(kernel, probability, wanted, span);
}

/** Tokens that are ranked at once: more are narrowed down first. */
function fewFor(kernel: LogitsKernel): number {
  return Math.max(1024, kernel.vocabularySize >> 5);
}

/** Narrows the span by the quantiles of a sample until its tokens can be ranked. */
function search(kernel: LogitsKernel, weighing: Weighing, wanted: number, span: Span): number {
  const few = fewFor(kernel);
  if (span.countAtLow - span.countAtHigh > few) narrow(kernel, weighing, wanted, span, few);
  if (span.countAtLow - span.countAtHigh > few) {
    const next = nextSingle(span.low);
    const weightAbove = weighing.above(kernel, next);
    if (weightAbove < wanted) {
      // Equal logits: as many of them as are wanted, by id.
      const ties = kernel.collectAbove(span.low, next);
      const kept = Math.ceil((wanted - weightAbove) / weighing.one(span.low, kernel.peakLogit));
      return rankKey(span.low, kernel.ids[Math.min(kept, ties) - 1] ?? 0);
    }
  }
  rank(kernel, weighing, kernel.collectAbove(span.low, span.high));
  return kernel.ranking.reach(wanted - span.weightAtHigh);
}

const sample = new Float32Array(512);
const weights = new Float64Array(sample.length);

/**
 * Probes at logits of a sample, to either side of where the sample has the wanted share: each probe narrows the part of the sample that the
 * next guess rests on, so a guess that a few heavy tokens had spoilt gets better. Usually three.
 */
function narrow(kernel: LogitsKernel, weighing: Weighing, wanted: number, span: Span, few: number): void {
  const size = drawSample(kernel, span);
  const at = (fromTop: number): number => sample[sample.length - 1 - fromTop] ?? 0;
  const { peakLogit } = kernel;
  for (let i = 0; i < size; i += 1) weights[i] = weighing.one(at(i), peakLogit);
  let above = -1;
  let below = size;
  let side = 1;
  while (span.countAtLow - span.countAtHigh > few && below - above > 1) {
    const margin = 1 + Math.sqrt(below - above) / 2;
    const guess = Math.round(quantile(above, below, (wanted - span.weightAtHigh) / (span.weightAtLow - span.weightAtHigh)) + side * margin);
    const probe = Math.min(Math.max(guess, above + 1), below - 1);
    const floor = at(probe);
    const weight = weighing.above(kernel, floor);
    if (weight >= wanted) {
      below = probe;
      span.low = floor;
      span.weightAtLow = weight;
      span.countAtLow = kernel.countAbove(floor);
    } else {
      above = probe;
      span.high = floor;
      span.weightAtHigh = weight;
      span.countAtHigh = kernel.countAbove(floor);
    }
    side = -side;
  }
}

/** Where between two places of the sample, exclusive, its weights reach a share of what they have there. */
function quantile(above: number, below: number, share: number): number {
  let total = 0;
  for (let i = above + 1; i < below; i += 1) total += weights[i] ?? 0;
  let sum = 0;
  for (let i = above + 1; i < below; i += 1) {
    sum += weights[i] ?? 0;
    if (sum >= share * total) return i;
  }
  return below;
}

/** Fills the end of `sample` with logits of the span from all over the row, ascending; their number. */
function drawSample(kernel: LogitsKernel, span: Span): number {
  const { row, vocabularySize } = kernel;
  const stride = vocabularySize / sample.length;
  let size = 0;
  // What is outside the span sorts before what is inside.
  sample.fill(-Infinity);
  for (let i = 0; i < sample.length; i += 1) {
    const logit = row[Math.floor((i + 0.5) * stride)] ?? 0;
    if (logit < span.low || logit >= span.high) continue;
    sample[i] = logit;
    size += 1;
  }
  sample.sort();
  return size;
}

/** Loads what was collected into the kernel's ranking; its weight. */
function rank(kernel: LogitsKernel, weighing: Weighing, count: number): number {
  const { ids, row, ranking, peakLogit } = kernel;
  ranking.clear();
  let total = 0;
  for (let i = 0; i < count; i += 1) {
    const token = ids[i] ?? 0;
    const logit = row[token] ?? 0;
    const weight = weighing.one(logit, peakLogit);
    total += weight;
    ranking.add(rankKey(logit, token), weight);
  }
  return total;
}
