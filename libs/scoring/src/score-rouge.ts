// ROUGE-L: how much of the reference comes in its order, by the longest common subsequence of tokens (Lin 2004).
import type { RougeTokens } from './test-case.js';

export interface RougeScore {
  readonly precision: number;
  readonly recall: number;
  /** Harmonic mean of both. */
  readonly f: number;
}

/** Texts are cut here: the table is quadratic, and an answer that never ends must not hold the evaluator up. */
export const rougeTokenLimit = 4_000;

// Scripts that write no spaces: each code point is a token.
const unspaced = '\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Thai}';
const unicodeToken = new RegExp(`[${unspaced}]|(?:(?![${unspaced}])[\\p{L}\\p{M}\\p{N}])+`, 'gu');

/**
 * `spaces`: words between white space as written, or code points where the reference holds no space.
 * `ascii`: lower case, every run outside a-z and 0-9 parts words (the tokens of Google's rouge-score); other scripts vanish.
 * `unicode`: lower case, runs of letters, marks and digits, and single code points of scripts without spaces.
 */
export function tokensOf(text: string, by: RougeTokens, reference: string): string[] {
  switch (by) {
    case 'spaces':
      return /\s/u.test(reference.trim()) ? text.split(/\s+/u).filter((word) => word !== '') : [...text.trim()];
    case 'ascii':
      return text
        .toLowerCase()
        .split(/[^a-z0-9]+/)
        .filter((word) => word !== '');
    case 'unicode':
      return text.toLowerCase().match(unicodeToken) ?? [];
  }
}

/** Cost: tokens of one times tokens of the other, each at most `rougeTokenLimit`. Nothing in common, or an empty side, gives 0. */
export function rougeL(answer: string, reference: string, by: RougeTokens = 'spaces'): RougeScore {
  const said = tokensOf(answer, by, reference).slice(0, rougeTokenLimit);
  const wanted = tokensOf(reference, by, reference).slice(0, rougeTokenLimit);
  const common = longestCommon(said, wanted);
  if (common === 0) return { precision: 0, recall: 0, f: 0 };
  return { precision: common / said.length, recall: common / wanted.length, f: (2 * common) / (said.length + wanted.length) };
}

function longestCommon(a: readonly string[], b: readonly string[]): number {
  const line = new Int32Array(b.length + 1);
  for (const token of a) {
    let corner = 0;
    for (let index = 1; index <= b.length; index += 1) {
      const above = line[index] ?? 0;
      line[index] = token === b[index - 1] ? corner + 1 : Math.max(above, line[index - 1] ?? 0);
      corner = above;
    }
  }
  return line[b.length] ?? 0;
}
