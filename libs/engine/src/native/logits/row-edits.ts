// Sparse changes to a row of logits, for sampling, that leave the raw values at hand.

/** Memory: 12 bytes a token. Time per call: constant, or linear in the number of edited tokens. */
export class RowEdits {
  /** Number of edited tokens. */
  count = 0;
  private readonly tokens: Int32Array;
  /** What is not in the row at the moment, in order of `tokens`: the raw logits, between two `exchange` calls the edited ones. */
  private readonly aside: Float32Array;
  /** By token: 1 + its place in `tokens`, 0 when it is not edited. */
  private readonly places: Int32Array;

  constructor(private readonly row: Float32Array) {
    this.tokens = new Int32Array(row.length);
    this.aside = new Float32Array(row.length);
    this.places = new Int32Array(row.length);
  }

  set(token: number, logit: number): void {
    if (token < 0 || token >= this.row.length) throw new RangeError(`token ${token} is not in a vocabulary of ${this.row.length}`);
    if (this.places[token] === 0) {
      this.tokens[this.count] = token;
      this.aside[this.count] = this.row[token] ?? 0;
      this.count += 1;
      this.places[token] = this.count;
    }
    this.row[token] = logit;
  }

  raw(token: number): number {
    const place = this.places[token];
    if (place === undefined) throw new RangeError(`token ${token} is not in a vocabulary of ${this.row.length}`);
    return (place === 0 ? this.row[token] : this.aside[place - 1]) ?? 0;
  }

  /** Puts raw values into the row, or edited ones back. */
  exchange(): void {
    for (let i = 0; i < this.count; i += 1) {
      const token = this.tokens[i] ?? 0;
      const logit = this.row[token] ?? 0;
      this.row[token] = this.aside[i] ?? 0;
      this.aside[i] = logit;
    }
  }

  /** The row is raw again. */
  undo(): void {
    this.exchange();
    this.forget();
  }

  /** The row has been overwritten: what was set aside belongs to an earlier one. */
  forget(): void {
    for (let i = 0; i < this.count; i += 1) this.places[this.tokens[i] ?? 0] = 0;
    this.count = 0;
  }
}
