// What the decode loop needs of a loaded model: the narrow waist behind which the way of evaluating may change.

/** One sequence's part of a batch: tokens at consecutive positions, and after which of them logits are wanted. */
export interface BatchPart {
  readonly slot: number;
  readonly position: number;
  readonly tokens: ArrayLike<number>;
  readonly wanted: 'none' | 'last' | 'all';
}

/** Evaluation of batches over a KV cache of `cells` cells that `slots` sequences share. */
export interface Decoder {
  /** For people: which library evaluates, and how. */
  readonly evaluation: string;
  readonly slots: number;
  /** Positions that one sequence can hold. */
  readonly contextSize: number;
  /** Positions that all sequences together can hold. */
  readonly cells: number;
  /** Whether sequences can share the cells of a common prefix. */
  readonly sharesPrefixes: boolean;
  /** `any`: a sequence can be cut anywhere. `whole`: its state is one value, kept whole or not at all. */
  readonly cuts: 'any' | 'whole';
  /** Tokens that one batch can hold. */
  readonly batchSize: number;
  /** Positions of one batch that can have logits. */
  readonly maxRows: number;
  /** Evaluates one batch. Rejects with DecodeError; the caches of the parts' slots are then to be dropped. */
  decode(parts: readonly BatchPart[]): Promise<void>;
  /** Copies raw logits of the `row`-th wanted position of the last batch, in batch order. */
  copyLogits(row: number, into: Float32Array): void;
  /** Forgets what a slot holds from position `tokens` on. False: the library cannot cut there, and the slot is empty now. */
  truncate(slot: number, tokens: number): boolean;
  /** Makes `to` begin with the first `tokens` positions of `from`, without copying where cells can be shared. `to` must be empty. */
  share(from: number, to: number, tokens: number): void;
  clear(slot: number): void;
}

/** `full`: the batch found no room in the KV cache and nothing changed. `failed`: the library refused or broke the batch. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
  constructor(
    readonly kind: 'full' | 'failed',
    message: string,
  ) {
    super(message);
  }
}

/** The model's tokens as bytes and the other way round. */
export interface Vocabulary {
  readonly size: number;
  isEnd(token: number): boolean;
  /** UTF-8 that the token stands for: possibly a part of a character, nothing for control tokens. */
  bytes(token: number): Uint8Array;
  /** The same, with the names of control tokens: what grammars read. */
  spelling(token: number): Uint8Array;
  /** Plain text, never read as special tokens. `begin` puts the model's begin token first when it wants one. */
  tokenize(text: string, begin: boolean): number[];
}
