// Sets of Unicode code points as sorted, disjoint, inclusive ranges.

export type CharSet = readonly (readonly [low: number, high: number])[];

const lastCodePoint = 0x10ffff;

/** Every code point that UTF-8 can carry: surrogates are not among them. */
export const anyChar: CharSet = [
  [0, 0xd7ff],
  [0xe000, lastCodePoint],
];

export function charsOf(text: string): CharSet {
  return union([...text].map((char) => [codeOf(char), codeOf(char)] as const));
}

export function range(low: string | number, high: string | number): CharSet {
  return [[typeof low === 'number' ? low : codeOf(low), typeof high === 'number' ? high : codeOf(high)]];
}

/** Sorts and joins ranges that overlap or touch. */
export function union(...sets: readonly CharSet[]): CharSet {
  const sorted = sets.flat().sort((a, b) => a[0] - b[0]);
  const joined: [number, number][] = [];
  for (const [low, high] of sorted) {
    const last = joined.at(-1);
    if (last && low <= last[1] + 1) last[1] = Math.max(last[1], high);
    else joined.push([low, high]);
  }
  return joined;
}

export function minus(set: CharSet, taken: CharSet): CharSet {
  let rest = [...set];
  for (const [low, high] of taken) {
    rest = rest.flatMap(([from, to]) => {
      if (high < from || low > to) return [[from, to] as const];
      const parts: (readonly [number, number])[] = [];
      if (from < low) parts.push([from, low - 1]);
      if (to > high) parts.push([high + 1, to]);
      return parts;
    });
  }
  return rest;
}

export function both(a: CharSet, b: CharSet): CharSet {
  return minus(a, minus(a, b));
}

export function disjoint(a: CharSet, b: CharSet): boolean {
  for (const [low, high] of a) for (const [from, to] of b) if (low <= to && from <= high) return false;
  return true;
}

export function has(set: CharSet, code: number): boolean {
  return set.some(([low, high]) => low <= code && code <= high);
}

export function codeOf(char: string): number {
  return char.codePointAt(0) as number;
}
