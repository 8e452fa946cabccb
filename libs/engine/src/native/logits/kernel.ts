// One row of raw logits in WebAssembly memory: what the model was sure of, exactly, and what a sampler needs to know of the row.
import { kernelBinary } from './kernel-binary.js';

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  peaks(row: number, n: number): void;
  find(row: number, n: number, value: number): number;
  mass(row: number, n: number, max: number): void;
  above(row: number, n: number, max: number, least: number): void;
  rank(row: number, n: number, value: number): number;
  collect(row: number, n: number, least: number, below: number, ids: number, most: number): number;
  blocks(row: number, n: number, max: number, scale: number, least: number, out: number): void;
  divergence(reference: number, row: number, n: number, lnZ: number): number;
}

/** Node has it; the types of Node leave it to the DOM's. */
interface WebAssemblyOfNode {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}

/** Figures of the measured row; one object, overwritten by the next. All of the raw distribution at temperature 1. */
export interface RowMeasure {
  /** Token with the largest logit, the lowest id of several. */
  top: number;
  topLogit: number;
  /** topLogit minus the second largest logit, nats. 0 when two share the first place. */
  marginNats: number;
  /** Natural logarithm of the sum of e^logit. */
  lnZ: number;
  /** Shannon entropy, nats, 0 to ln(vocabulary). Error below 1e-5. */
  entropyNats: number;
  /** False: a logit is NaN or +infinity, or all are -infinity; the other figures then mean nothing. */
  finite: boolean;
}

export interface Likely {
  token: number;
  logprob: number;
}

const pageBytes = 65_536;
const resultBytes = 1_024;
const rowUnit = 16;
/** Tokens that are looked at one by one; more are narrowed down by thresholds first. */
const mostCollected = 512;
const blockTokens = 256;

/** One for a whole engine child: rows are copied in, one after the other. No call allocates. */
export class LogitsKernel {
  /** Raw logits by token id: the caller copies a row here before `measure`. */
  readonly row: Float32Array;
  readonly measured: RowMeasure = { top: 0, topLogit: 0, marginNats: 0, lnZ: 0, entropyNats: 0, finite: false };
  private readonly calls: Exports;
  private readonly padded: number;
  private readonly rawAt = resultBytes;
  private readonly workAt: number;
  private readonly referenceAt: number;
  private readonly idsAt: number;
  private readonly blocksAt: number;
  private readonly peaks: Float32Array;
  private readonly sums: Float64Array;
  private readonly work: Float32Array;
  private readonly reference: Float32Array;
  private readonly ids: Int32Array;
  private readonly blockSums: Float64Array;
  /** The row that sampling looks at: the raw one, or its edited copy. */
  private activeAt: number;
  private active: Float32Array;
  private activeMax = 0;

  constructor(readonly vocabularySize: number) {
    this.padded = Math.ceil(vocabularySize / rowUnit) * rowUnit;
    const rowBytes = this.padded * 4;
    const blocks = Math.ceil(this.padded / blockTokens);
    this.workAt = this.rawAt + rowBytes;
    this.referenceAt = this.workAt + rowBytes;
    this.blocksAt = this.referenceAt + rowBytes;
    this.idsAt = this.blocksAt + blocks * 8;
    const { Module, Instance } = (globalThis as unknown as { readonly WebAssembly: WebAssemblyOfNode }).WebAssembly;
    this.calls = new Instance(new Module(Buffer.from(kernelBinary, 'base64'))).exports as Exports;
    this.calls.memory.grow(Math.ceil((this.idsAt + mostCollected * 4) / pageBytes));
    const { buffer } = this.calls.memory;
    new Float32Array(buffer, this.rawAt, this.padded * 3).fill(Number.NEGATIVE_INFINITY);
    this.row = new Float32Array(buffer, this.rawAt, vocabularySize);
    this.work = new Float32Array(buffer, this.workAt, vocabularySize);
    this.reference = new Float32Array(buffer, this.referenceAt, vocabularySize);
    this.ids = new Int32Array(buffer, this.idsAt, mostCollected);
    this.blockSums = new Float64Array(buffer, this.blocksAt, blocks);
    this.peaks = new Float32Array(buffer, 0, 8);
    this.sums = new Float64Array(buffer, 0, 2);
    this.activeAt = this.rawAt;
    this.active = this.row;
  }

  /** Measures the row. Two passes over memory, about 0.1 ms for 128k tokens. */
  measure(): RowMeasure {
    const { measured } = this;
    this.firstPlace();
    if (!measured.finite) return measured;
    this.calls.mass(this.rawAt, this.padded, measured.topLogit);
    const sum = this.sums[0] ?? Number.NaN;
    const lnSum = Math.log(sum);
    measured.lnZ = lnSum + measured.topLogit;
    measured.entropyNats = Math.max(0, lnSum - (this.sums[1] ?? Number.NaN) / sum);
    return measured;
  }

  /** Only the first place: what greedy decoding needs where uncertainty is not asked for. */
  firstPlace(): void {
    const { measured } = this;
    this.activeAt = this.rawAt;
    this.active = this.row;
    this.calls.peaks(this.rawAt, this.padded);
    const first = this.peakOf(0);
    measured.finite = Number.isFinite(first);
    measured.topLogit = first;
    this.activeMax = first;
    if (!measured.finite) return;
    measured.top = this.calls.find(this.rawAt, this.padded, first);
    measured.marginNats = first - this.second(first);
  }

  private peakOf(lane: number): number {
    const { peaks } = this;
    return Math.max(peaks[lane] ?? 0, peaks[lane + 1] ?? 0, peaks[lane + 2] ?? 0, peaks[lane + 3] ?? 0);
  }

  /** Lanes hold their own first and second values: the second of all is the best that is not the first place itself. */
  private second(first: number): number {
    let second = Number.NEGATIVE_INFINITY;
    let taken = false;
    for (let lane = 0; lane < 8; lane += 1) {
      const value = this.peaks[lane] ?? 0;
      if (value === first && !taken) taken = true;
      else if (value > second) second = value;
    }
    return second;
  }

  logprob(token: number): number {
    return (this.row[token] ?? Number.NEGATIVE_INFINITY) - this.measured.lnZ;
  }

  /** -ln of the token's probability, nats, at least 0. */
  nllNats(token: number): number {
    return Math.max(0, -this.logprob(token));
  }

  /** Number of tokens that the model found more likely. */
  rank(token: number): number {
    return this.calls.rank(this.rawAt, this.padded, this.row[token] ?? Number.NEGATIVE_INFINITY);
  }

  /** The `count` most likely tokens, highest first, the lower id first of equals. */
  mostLikely(count: number): Likely[] {
    const { cutoff } = this.leastOfRow(this.rawAt, this.measured.topLogit, count);
    return this.collected(this.rawAt, cutoff, Number.POSITIVE_INFINITY)
      .map((token) => ({ token, logprob: this.logprob(token) }))
      .sort((a, b) => b.logprob - a.logprob || a.token - b.token)
      .slice(0, count);
  }

  /** Log probabilities of the whole row. */
  writeLogprobs(into: Float32Array): void {
    const { lnZ } = this.measured;
    for (let token = 0; token < into.length; token += 1) into[token] = (this.row[token] ?? 0) - lnZ;
  }

  /** KL(reference || this row) in nats; `logprobs` holds the other model's log probabilities. Infinite where this one excludes what that one has. */
  klFrom(logprobs: Float32Array): number {
    this.reference.set(logprobs);
    return Math.max(0, this.calls.divergence(this.referenceAt, this.rawAt, this.padded, this.measured.lnZ));
  }

  /** A copy of the row to edit for sampling; figures and log probabilities stay those of the raw one. Call `edited` afterwards. */
  edit(): Float32Array {
    if (this.activeAt === this.rawAt) {
      this.work.set(this.row);
      this.activeAt = this.workAt;
      this.active = this.work;
    }
    return this.work;
  }

  edited(): void {
    this.calls.peaks(this.activeAt, this.padded);
    this.activeMax = this.peakOf(0);
  }

  /** Leaves only these tokens to sample from. */
  keepOnly(tokens: Int32Array): void {
    const kept = Float32Array.from(tokens, (token) => this.active[token] ?? Number.NEGATIVE_INFINITY);
    this.activeAt = this.workAt;
    this.active = this.work;
    this.work.fill(Number.NEGATIVE_INFINITY);
    for (const [index, token] of tokens.entries()) this.work[token] = kept[index] ?? Number.NEGATIVE_INFINITY;
    this.edited();
  }

  /** Largest logit of the row that sampling looks at; -infinity when nothing is left. */
  get largest(): number {
    return this.activeMax;
  }

  get likeliest(): number {
    return this.activeAt === this.rawAt ? this.measured.top : this.calls.find(this.activeAt, this.padded, this.activeMax);
  }

  /** Smallest logit among the `count` largest. Tokens that equal it are all within. */
  leastOf(count: number): number {
    return this.leastOfRow(this.activeAt, this.activeMax, count).cutoff;
  }

  private leastOfRow(at: number, max: number, count: number): { readonly cutoff: number } {
    const enough = (tokens: number): boolean => tokens >= count;
    const { inside, from, below } = this.narrow(at, max, (tokens) => enough(tokens));
    if (from === null) return { cutoff: Number.NEGATIVE_INFINITY };
    const values = this.valuesOf(at, this.collected(at, from, below));
    return { cutoff: values[count - inside.tokens - 1] ?? from };
  }

  /** Largest logit c such that the tokens at or above it hold `share` of the mass of those at or above `least`. Mass at temperature 1. */
  leastOfMass(share: number, least: number): number {
    if (share >= 1) return least;
    this.calls.above(this.activeAt, this.padded, this.activeMax, least);
    const wanted = share * (this.sums[0] ?? 0);
    const { inside, from, below } = this.narrow(this.activeAt, this.activeMax, (_, mass) => mass >= wanted);
    if (from === null) return least;
    let { mass } = inside;
    for (const value of this.valuesOf(this.activeAt, this.collected(this.activeAt, from, below))) {
      mass += Math.exp(value - this.activeMax);
      if (mass >= wanted) return Math.max(value, least);
    }
    return Math.max(from, least);
  }

  /**
   * Finds a band of few tokens in which the boundary lies: everything at or above `below` does not satisfy, everything at or above `from` does.
   * `from` null: even the whole row does not. Cost: some passes, doubling and then halving the distance from the largest logit.
   */
  private narrow(
    at: number,
    max: number,
    satisfied: (tokens: number, mass: number) => boolean,
  ): { inside: { tokens: number; mass: number }; from: number | null; below: number } {
    let inside = { tokens: 0, mass: 0 };
    let below = Number.POSITIVE_INFINITY;
    let outside = 0;
    let from: number | null = null;
    for (let gap = 4; gap <= 2 ** 40; gap *= 4) {
      const least = Math.fround(max - gap);
      this.calls.above(at, this.padded, max, least);
      const found = { mass: this.sums[0] ?? 0, tokens: this.sums[1] ?? 0 };
      if (satisfied(found.tokens, found.mass)) {
        from = least;
        outside = found.tokens;
        break;
      }
      inside = found;
      below = least;
    }
    if (from === null) return { inside, from, below };
    while (outside - inside.tokens > mostCollected) {
      const middle = Math.fround((from + Math.min(below, max)) / 2);
      // Equal logits in great number cannot be told apart: the band is as narrow as numbers allow.
      if (middle <= from || middle >= below) break;
      this.calls.above(at, this.padded, max, middle);
      const found = { mass: this.sums[0] ?? 0, tokens: this.sums[1] ?? 0 };
      if (satisfied(found.tokens, found.mass)) {
        from = middle;
        outside = found.tokens;
      } else {
        inside = found;
        below = middle;
      }
    }
    return { inside, from, below };
  }

  private collected(at: number, least: number, below: number): number[] {
    const count = this.calls.collect(at, this.padded, least, below, this.idsAt, mostCollected);
    return Array.from(this.ids.subarray(0, Math.min(count, mostCollected))).filter((token) => token < this.vocabularySize);
  }

  private valuesOf(at: number, tokens: readonly number[]): number[] {
    const row = at === this.rawAt ? this.row : this.work;
    return tokens.map((token) => row[token] ?? Number.NEGATIVE_INFINITY).sort((a, b) => b - a);
  }

  /** Draws a token with probability proportional to e^(logit / temperature) among those at or above `least`. `uniform` is in [0, 1). */
  draw(uniform: number, temperature: number, least: number): number {
    const scale = 1 / temperature;
    this.calls.blocks(this.activeAt, this.padded, this.activeMax, scale, least, this.blocksAt);
    let total = 0;
    for (const sum of this.blockSums) total += sum;
    let left = uniform * total;
    let block = 0;
    for (; block < this.blockSums.length - 1; block += 1) {
      const sum = this.blockSums[block] ?? 0;
      if (left < sum) break;
      left -= sum;
    }
    let last = -1;
    for (; block >= 0; block -= 1) {
      const end = Math.min(this.vocabularySize, (block + 1) * blockTokens);
      for (let token = block * blockTokens; token < end; token += 1) {
        const value = this.active[token] ?? Number.NEGATIVE_INFINITY;
        if (value < least || value === Number.NEGATIVE_INFINITY) continue;
        last = token;
        left -= Math.exp((value - this.activeMax) * scale);
        if (left < 0) return token;
      }
      // Rounding may leave a crumb behind the last token: it belongs to that one, or to one of an earlier block.
      if (last >= 0) return last;
    }
    return this.likeliest;
  }
}
