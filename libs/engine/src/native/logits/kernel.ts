// One row of raw logits in WebAssembly memory: what the model was sure of, exactly, and the edits, selections and draws that sampling needs.
import { type KernelModule, loadKernel } from './kernel-module.js';
import { logitOfKey, maxVocabulary, nextSingle, Ranking, rankKey, tokenOfKey } from './ranking.js';
import { RowEdits } from './row-edits.js';

/** What a row says by itself: the full distribution at temperature 1, before any edit. Natural logarithms. */
export interface RowMeasure {
  /** Token of the largest logit, the lowest id of equals. */
  readonly top: number;
  readonly topLogit: number;
  /** topLogit minus the second largest logit, nats, 0 or more; Infinity when only one token is possible. */
  readonly marginNats: number;
  /** ln of the sum of e^logit over the vocabulary. NaN until `measure` has run on the row, as is the entropy. */
  readonly lnZ: number;
  /** Shannon entropy, nats, 0 to ln(vocabulary size). Error below 1e-5. */
  readonly entropyNats: number;
  /** False: a logit is NaN or +Infinity, or all are -Infinity; the other figures then mean nothing, and the row cannot be sampled. */
  readonly finite: boolean;
}

export interface Likely {
  readonly token: number;
  readonly logprob: number;
}

/** The cut that keeps every token but the banned ones. Other cuts are the `rankKey` of the lowest token that they keep. */
export const noCut = -Infinity;

/** The lowest logit of a token that is not banned. */
export const lowestLogit = -3.4028234663852886e38;

/**
 * One per engine child, used for every row in turn: copy the raw logits into `row`, call `measure`, read; then edit, select, draw. Edits change
 * the row for sampling only: NLL, log probabilities, rank, most likely tokens and divergence stay those of the raw row. A logit of
 * -Infinity is a banned token. Memory: 24 bytes a token.
 * What each call costs: test/bench/kernel.mjs.
 */
export class LogitsKernel {
  /** Raw logits by token id: the caller copies a row here before `measure`. */
  readonly row: Float32Array;
  /** Figures of the measured row: one object, overwritten by the next row. */
  readonly measured: RowMeasure;
  /** Tokens that the last `collectAbove` or `collectLargest` found, ascending. */
  readonly ids: Int32Array;
  /** Blocks of the row: as many of the largest logits are found by one look at block maxima. */
  readonly blocks: number;
  /** Scratch of whoever ranks candidates, never kept between calls. */
  readonly ranking = new Ranking();
  private readonly figures = { top: 0, topLogit: 0, marginNats: 0, lnZ: Number.NaN, entropyNats: Number.NaN, finite: false };
  private readonly kernel: KernelModule;
  private readonly edits: RowEdits;
  /** ln of the sum of e^(logit - topLogit). */
  private lnSum = Number.NaN;
  /** The row has changed since its block maxima and its peak were taken. */
  private stale = false;
  /** The block sums are still those of the raw row at temperature 1. */
  private sumsAreRaw = false;

  /** Throws RangeError when the size is not one of a vocabulary: 1 to 2^21. */
  constructor(readonly vocabularySize: number) {
    if (!Number.isInteger(vocabularySize) || vocabularySize < 1 || vocabularySize > maxVocabulary) {
      throw new RangeError(`vocabularySize must be 1 to ${maxVocabulary}, got ${vocabularySize}`);
    }
    this.kernel = loadKernel(vocabularySize);
    this.row = this.kernel.row;
    this.ids = this.kernel.ids;
    this.blocks = this.kernel.maxima.length;
    this.edits = new RowEdits(this.row);
    this.measured = this.figures;
  }

  /** Takes the row as a new, raw one and measures it: two passes. */
  measure(): RowMeasure {
    this.firstPlace();
    if (this.figures.finite) this.sum();
    return this.measured;
  }

  /** Takes the row as a new, raw one, but finds only first place and margin: what is enough where uncertainty is not asked for. One pass. */
  firstPlace(): void {
    const { functions, largest, flags } = this.kernel;
    const { figures } = this;
    this.edits.forget();
    functions.scan();
    this.stale = false;
    this.sumsAreRaw = false;
    this.lnSum = Number.NaN;
    figures.top = flags[0] ?? 0;
    figures.topLogit = largest[0] ?? 0;
    figures.marginNats = figures.topLogit - (largest[1] ?? 0);
    figures.finite = flags[1] === 0 && Number.isFinite(figures.topLogit);
    // Whoever reads without having measured shall not get a plausible number.
    figures.lnZ = Number.NaN;
    figures.entropyNats = Number.NaN;
  }

  /** ln P(token), 0 or less; -Infinity for a banned token. */
  logprob(token: number): number {
    return this.logprobOf(this.edits.raw(token));
  }

  /** -ln P(token), nats, 0 or more. */
  nllNats(token: number): number {
    return Math.max(0, -this.logprob(token));
  }

  /** Number of tokens with a larger logit: 0 for the model's own choice and its equals. One pass. */
  rank(token: number): number {
    const logit = this.edits.raw(token);
    this.exchangeEdits();
    const above = this.countAbove(logit === -Infinity ? lowestLogit : nextSingle(logit));
    this.exchangeEdits();
    return above;
  }

  /** The `count` most likely tokens, highest first, the lower id first of equals; fewer when fewer are possible. */
  mostLikely(count: number): Likely[] {
    const { ranking, ids, row } = this;
    if (count < 1) return [];
    this.sum();
    this.exchangeEdits();
    const found = this.collectLargest(count);
    ranking.clear();
    for (let i = 0; i < found; i += 1) ranking.add(rankKey(row[ids[i] ?? 0] ?? 0, ids[i] ?? 0), 1);
    const listed = Math.min(count, found);
    ranking.reach(listed);
    ranking.sortFront(listed);
    const likely = Array.from({ length: listed }, (_, place): Likely => {
      const token = tokenOfKey(ranking.key(place));
      return { token, logprob: this.logprobOf(row[token] ?? 0) };
    });
    this.exchangeEdits();
    return likely;
  }

  /** Log probabilities of all tokens in single precision; -Infinity for banned ones. */
  writeLogprobs(into: Float32Array): void {
    this.sum();
    this.exchangeEdits();
    this.kernel.functions.normalise(this.figures.topLogit, this.lnSum);
    this.exchangeEdits();
    into.set(this.kernel.other);
  }

  /**
   * KL(reference || this row) in nats, error below 1e-5; `logprobs` as from `writeLogprobs`, of the same vocabulary. Infinity when this row
   * bans a token that the reference holds possible; what is below e^-87 there counts as impossible.
   */
  klFrom(logprobs: Float32Array): number {
    if (logprobs.length !== this.vocabularySize) {
      throw new RangeError(`the reference has ${logprobs.length} log probabilities, the vocabulary ${this.vocabularySize}`);
    }
    this.sum();
    this.kernel.other.set(logprobs);
    this.exchangeEdits();
    const nats = this.kernel.functions.diverge(this.figures.topLogit, this.lnSum);
    this.exchangeEdits();
    return Math.max(0, nats);
  }

  /** Sets a logit, for sampling; -Infinity bans. Throws RangeError for a token outside the vocabulary. Reading `row` gives the edited one. */
  edit(token: number, logit: number): void {
    this.edits.set(token, logit);
    this.stale = true;
    this.sumsAreRaw = false;
  }

  /** Takes all edits back: the next answer to the same prompt finds the raw row. */
  undoEdits(): void {
    if (this.edits.count === 0) return;
    this.edits.undo();
    this.stale = true;
  }

  /** Token of the largest logit of the edited row, the lowest id of equals. */
  get peakToken(): number {
    this.settle();
    return this.kernel.flags[0] ?? 0;
  }

  /** The largest logit of the edited row; -Infinity when the edits have banned every token. */
  get peakLogit(): number {
    this.settle();
    return this.kernel.largest[0] ?? 0;
  }

  /** Finds the tokens whose (edited) logit is at least `threshold` and below `ceiling`, never banned ones, for `ids`; their number. */
  collectAbove(threshold: number, ceiling = Infinity): number {
    this.settle();
    return this.kernel.functions.collect(Math.max(threshold, lowestLogit), ceiling);
  }

  /** Number of tokens whose (edited) logit is at least `threshold`, without banned ones. */
  countAbove(threshold: number): number {
    this.settle();
    return this.kernel.functions.count(Math.max(threshold, lowestLogit));
  }

  /** Finds at least the `count` tokens of the highest (edited) logits, and few others, for `ids`; their number: less if fewer are possible. */
  collectLargest(count: number): number {
    this.settle();
    const { maxima } = this.kernel;
    if (count > this.blocks) return this.collectAbove(lowestLogit);
    // As many blocks as tokens are wanted have a maximum at or above the floor, so at least as many tokens are.
    this.ranking.clear();
    for (let block = 0; block < this.blocks; block += 1) this.ranking.add(rankKey(maxima[block] ?? 0, block), 1);
    return this.collectAbove(logitOfKey(this.ranking.reach(count)));
  }

  /** Sum of e^(logit - peakLogit) over the (edited) tokens that a cut keeps. One pass, without blocks below the cut. */
  weight(cut: number): number {
    if (cut !== noCut || this.edits.count > 0) return this.weigh(cut, 1);
    this.sum();
    return this.kernel.totals[0] ?? 0;
  }

  /**
   * The token at which the running probability, by ascending id over the tokens that the cut keeps, passes `uniform` (0 <= uniform < 1).
   * `temperature` is above 0. Returns -1 when the edits have banned every token. One pass, without blocks below the cut.
   */
  draw(uniform: number, temperature: number, cut: number): number {
    const { functions, sums } = this.kernel;
    // A temperature near 0 must not make 0 x Infinity of the peak's own weight.
    const inverse = Math.min(1 / temperature, 1e30);
    const floor = cut === noCut ? lowestLogit : logitOfKey(cut);
    const tie = cut === noCut ? this.vocabularySize : tokenOfKey(cut);
    let left = uniform * this.weigh(cut, inverse);
    let last = -1;
    for (let block = 0; block < this.blocks; block += 1) {
      const sum = sums[block] ?? 0;
      if (sum === 0) continue;
      if (left < sum) return functions.pick(block, left / sum, this.peakLogit, inverse, floor, tie);
      left -= sum;
      last = block;
    }
    // Rounding of the running difference: the last token that is kept.
    return last < 0 ? -1 : functions.pick(last, 1, this.peakLogit, inverse, floor, tie);
  }

  /** The pass of `measure` over all probabilities, where only `firstPlace` has been found so far. */
  private sum(): void {
    const { figures } = this;
    if (!Number.isNaN(this.lnSum) || !figures.finite) return;
    this.exchangeEdits();
    this.settle();
    this.kernel.functions.sum();
    this.exchangeEdits();
    const sum = this.kernel.totals[0] ?? Number.NaN;
    this.lnSum = Math.log(sum);
    figures.lnZ = figures.topLogit + this.lnSum;
    figures.entropyNats = Math.max(0, this.lnSum - (this.kernel.totals[1] ?? Number.NaN) / sum);
    this.sumsAreRaw = this.edits.count === 0;
  }

  private weigh(cut: number, inverse: number): number {
    const { functions, totals, sums } = this.kernel;
    const peak = this.peakLogit;
    if (cut === noCut && inverse === 1 && this.sumsAreRaw) return totals[0] ?? 0;
    this.sumsAreRaw = false;
    if (peak === -Infinity) {
      sums.fill(0);
      return 0;
    }
    if (cut === noCut) return functions.weigh(peak, inverse, lowestLogit, lowestLogit, -1);
    const floor = logitOfKey(cut);
    return functions.weigh(peak, inverse, floor, nextSingle(floor), tokenOfKey(cut));
  }

  private logprobOf(raw: number): number {
    this.sum();
    return Math.min(0, raw - this.figures.topLogit - this.lnSum);
  }

  private exchangeEdits(): void {
    if (this.edits.count === 0) return;
    this.edits.exchange();
    this.stale = true;
  }

  private settle(): void {
    if (!this.stale) return;
    this.kernel.functions.scan();
    this.stale = false;
  }
}
