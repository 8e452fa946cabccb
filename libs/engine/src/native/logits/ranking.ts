// The order of tokens as one number each, and how far down that order a given weight reaches, without sorting.

/** Room for token ids in a key: vocabularies are a few hundred thousand. */
export const maxVocabulary = 2 ** 21;

const float = new Float32Array(1);
const bits = new Int32Array(float.buffer);

/**
 * Orders by logit, equal logits by id (the lower ranks higher): the higher key ranks higher. Exact: 32 bits of logit above 21 bits of id.
 * The logit is one of single precision, the token below `maxVocabulary`.
 */
export function rankKey(logit: number, token: number): number {
  float[0] = logit + 0; // makes -0 and 0 equal
  const raw = bits[0] ?? 0;
  // Of negative floats the larger pattern is the smaller number.
  return (raw ^ ((raw >> 31) & 0x7fffffff)) * maxVocabulary - token;
}

export function logitOfKey(key: number): number {
  const ordered = Math.ceil(key / maxVocabulary);
  bits[0] = ordered ^ ((ordered >> 31) & 0x7fffffff);
  return float[0] ?? 0;
}

export function tokenOfKey(key: number): number {
  return Math.ceil(key / maxVocabulary) * maxVocabulary - key;
}

/** The smallest single-precision number that is not below `value`. */
export function singleAtLeast(value: number): number {
  const rounded = Math.fround(value);
  return rounded < value ? nextSingle(rounded) : rounded;
}

/** The next single-precision number above a finite one. */
export function nextSingle(value: number): number {
  float[0] = value + 0;
  const raw = bits[0] ?? 0;
  bits[0] = raw >= 0 ? raw + 1 : raw - 1;
  if (raw === 0) bits[0] = 1;
  return float[0] ?? 0;
}

/** Candidates with weights. One is kept and refilled: it allocates only to grow. */
export class Ranking {
  private keys = new Float64Array(1024);
  private weights = new Float64Array(1024);
  count = 0;

  clear(): void {
    this.count = 0;
  }

  add(key: number, weight: number): void {
    if (this.count === this.keys.length) this.grow();
    this.keys[this.count] = key;
    this.weights[this.count] = weight;
    this.count += 1;
  }

  key(index: number): number {
    return this.keys[index] ?? -Infinity;
  }

  /**
   * Key of the candidate with which the weights, added from the highest rank down, reach `target`; the lowest candidate's if they never do,
   * -Infinity if there is none. Candidates down to it are then in front, in no order. Selection by halves: linear in the number of candidates.
   */
  reach(target: number): number {
    const { weights } = this;
    if (this.count === 0) return -Infinity;
    let low = 0;
    let high = this.count - 1;
    let before = 0;
    while (low < high) {
      const middle = this.partition(low, high);
      let within = before;
      for (let i = low; i < middle; i += 1) within += weights[i] ?? 0;
      if (within >= target && middle > low) {
        high = middle - 1;
        continue;
      }
      within += weights[middle] ?? 0;
      if (within >= target || middle === high) return this.key(middle);
      before = within;
      low = middle + 1;
    }
    return this.key(low);
  }

  /** Sorts the first `count` candidates, highest rank first, and forgets their weights; for a handful. */
  sortFront(count: number): void {
    const { keys } = this;
    for (let i = 1; i < Math.min(count, this.count); i += 1) {
      const key = this.key(i);
      let at = i;
      for (; at > 0 && this.key(at - 1) < key; at -= 1) keys[at] = this.key(at - 1);
      keys[at] = key;
    }
  }

  /** Moves what ranks above a pivot before it; the pivot's index. */
  private partition(low: number, high: number): number {
    const { keys } = this;
    const middle = (low + high) >> 1;
    if (this.key(middle) > this.key(low)) this.swap(middle, low);
    if (this.key(high) > this.key(low)) this.swap(high, low);
    if (this.key(middle) < this.key(high)) this.swap(middle, high);
    // Now low >= middle >= high: the middle one, moved to the end, is the pivot.
    this.swap(middle, high);
    const pivot = this.key(high);
    let at = low;
    for (let i = low; i < high; i += 1) {
      if ((keys[i] ?? 0) > pivot) {
        if (i !== at) this.swap(i, at);
        at += 1;
      }
    }
    this.swap(at, high);
    return at;
  }

  private swap(a: number, b: number): void {
    const { keys, weights } = this;
    const key = keys[a] ?? 0;
    keys[a] = keys[b] ?? 0;
    keys[b] = key;
    const weight = weights[a] ?? 0;
    weights[a] = weights[b] ?? 0;
    weights[b] = weight;
  }

  private grow(): void {
    const keys = new Float64Array(this.keys.length * 2);
    keys.set(this.keys);
    this.keys = keys;
    const weights = new Float64Array(this.weights.length * 2);
    weights.set(this.weights);
    this.weights = weights;
  }
}
