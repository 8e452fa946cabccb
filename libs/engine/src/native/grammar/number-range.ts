// Whole numbers and decimals between two bounds, digit by digit.
import type { GrammarBuilder } from './builder.js';
import { range } from './char-set.js';
import { chars, choice, type Expression, never, optional, sequence, text } from './expression.js';
import { fraction } from './json-text.js';

/** Inclusive whole bounds; null: none. Both within what a double holds exactly. */
export interface WholeRange {
  readonly min: number | null;
  readonly max: number | null;
}

/** Bounds that may be left out of the range themselves. */
export interface DecimalRange extends WholeRange {
  readonly openMin: boolean;
  readonly openMax: boolean;
}

const maxDigits = 16;

export function integerIn(builder: GrammarBuilder, { min, max }: WholeRange): Expression {
  const positive = max === null || max >= 0 ? naturals(builder, Math.max(min ?? 0, 0), max) : never;
  const negative = min === null || min < 0 ? naturals(builder, Math.max(max === null ? 1 : -max, 1), min === null ? null : -min) : never;
  return choice(positive, signed(negative));
}

/** Decimals without an exponent: with one, a bound cannot be read off the digits. */
export function decimalIn(builder: GrammarBuilder, { min, max, openMin, openMax }: DecimalRange): Expression {
  const positive =
    max === null || max >= 0
      ? magnitudes(builder, min !== null && min > 0 ? min : 0, min !== null && min >= 0 && openMin, max, openMax)
      : never;
  const negative =
    min === null || min < 0
      ? magnitudes(builder, max !== null && max < 0 ? -max : 0, max === null || max >= 0 || openMax, min === null ? null : -min, openMin)
      : never;
  return choice(positive, signed(negative));
}

/** Decimals of at least zero from `low` to `high`. */
function magnitudes(builder: GrammarBuilder, low: number, openLow: boolean, high: number | null, openHigh: boolean): Expression {
  const part = fraction(builder);
  const zeros = sequence(text('.'), builder.repeat(chars(range('0', '0')), 1, 24));
  const justAbove = sequence(
    text('.'),
    builder.repeat(chars(range('0', '0')), 0, 23),
    chars(range('1', '9')),
    builder.repeat(digit, 0, 23),
  );
  const atLow = (more: Expression): Expression => sequence(text(String(low)), more);
  if (high !== null && low > high) return never;
  if (low === high) return openLow || openHigh ? never : atLow(optional(zeros));
  return choice(
    atLow(openLow ? justAbove : optional(part)),
    sequence(naturals(builder, low + 1, high === null ? null : high - 1), optional(part)),
    high === null || openHigh ? never : sequence(text(String(high)), optional(zeros)),
  );
}

const digit = chars(range('0', '9'));

function signed(part: Expression): Expression {
  return part === never ? never : sequence(text('-'), part);
}

/** Whole numbers of at least zero without leading zeros; without an upper bound as many digits as a double holds. */
function naturals(builder: GrammarBuilder, low: number, high: number | null): Expression {
  if (high !== null && low > high) return never;
  const lowText = String(low);
  const highText = high === null ? '9'.repeat(maxDigits) : String(high);
  if (lowText.length === highText.length) return between(builder, lowText, highText);
  const middle: Expression[] = [];
  const shortest = lowText.length + 1;
  const longest = highText.length - 1;
  if (shortest <= longest) middle.push(sequence(chars(range('1', '9')), builder.repeat(digit, shortest - 1, longest - 1)));
  return choice(
    between(builder, lowText, '9'.repeat(lowText.length)),
    ...middle,
    between(builder, `1${'0'.repeat(highText.length - 1)}`, highText),
  );
}

/** All digit strings between two of equal length. */
function between(builder: GrammarBuilder, low: string, high: string): Expression {
  if (low === '') return text('');
  const [a, b] = [Number(low[0]), Number(high[0])];
  const [lowRest, highRest] = [low.slice(1), high.slice(1)];
  if (a === b) return sequence(text(String(a)), between(builder, lowRest, highRest));
  const wholeLow = /^0*$/.test(lowRest);
  const wholeHigh = /^9*$/.test(highRest);
  const [from, to] = [wholeLow ? a : a + 1, wholeHigh ? b : b - 1];
  return choice(
    wholeLow ? never : sequence(text(String(a)), between(builder, lowRest, '9'.repeat(lowRest.length))),
    from > to ? never : sequence(chars(range(String(from), String(to))), builder.repeat(digit, lowRest.length, lowRest.length)),
    wholeHigh ? never : sequence(text(String(b)), between(builder, '0'.repeat(highRest.length), highRest)),
  );
}
