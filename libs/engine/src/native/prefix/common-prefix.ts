// How many tokens two sequences begin with in common.

/** Compares the first `limit` tokens at most; both must have as many. */
export function commonPrefix(a: Int32Array, b: Int32Array, limit: number): number {
  let length = 0;
  while (length < limit && a[length] === b[length]) length += 1;
  return length;
}
