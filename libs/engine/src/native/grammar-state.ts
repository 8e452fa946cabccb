// What an answer must look like, token by token; native memory behind it.

export interface GrammarState {
  allows(token: number): boolean;
  /** All tokens that may come next, ascending. Empty: the answer can only end. */
  allowed(): Int32Array;
  accept(token: number): void;
  free(): void;
}
