// JSON (RFC 8259) as grammar rules: white space that ends, strings of whole Unicode characters, numbers that a double can hold.
import type { GrammarBuilder } from './builder.js';
import { anyChar, both, type CharSet, charsOf, has, minus, range } from './char-set.js';
import { chars, choice, type Expression, nothing, optional, rule, sequence, text } from './expression.js';

const digit = range('0', '9');
const shortEscapes: ReadonlyMap<number, string> = new Map([
  [0x08, 'b'],
  [0x09, 't'],
  [0x0a, 'n'],
  [0x0c, 'f'],
  [0x0d, 'r'],
]);

/** Characters that stand for themselves inside a JSON string. */
const raw = minus(anyChar, [...range(0, 0x1f), ...charsOf('"\\')]);

/** Between tokens: none, one space, or a line break with its indentation. Bounded, or a model could go on with blanks for ever. */
export function blank(builder: GrammarBuilder): Expression {
  return builder.once('blank', () => {
    const indentation = builder.repeat(chars(charsOf(' \t')), 0, 40);
    return builder.define('ws', choice(text(' '), sequence(text('\n'), indentation), nothing));
  });
}

/** One character of a string in any of its spellings; a surrogate only as half of a pair, so that a length counts characters. */
export function stringChar(builder: GrammarBuilder): Expression {
  return builder.once('string char', () => {
    const hex = chars(charsOf('0123456789abcdefABCDEF'));
    const unit = choice(
      sequence(chars(charsOf('0123456789abcefABCEF')), hex, hex, hex),
      sequence(chars(charsOf('dD')), chars(range('0', '7')), hex, hex),
      sequence(
        chars(charsOf('dD')),
        chars(charsOf('89abAB')),
        hex,
        hex,
        text('\\u'),
        chars(charsOf('dD')),
        chars(charsOf('cdefCDEF')),
        hex,
        hex,
      ),
    );
    const spelled = choice(chars(charsOf('"\\/bfnrt')), sequence(text('u'), unit));
    return builder.define('char', choice(chars(raw), sequence(text('\\'), spelled)));
  });
}

export function anyString(builder: GrammarBuilder, minLength = 0, maxLength: number | null = null): Expression {
  return builder.define('string', sequence(text('"'), builder.repeat(stringChar(builder), minLength, maxLength), text('"')));
}

/** One character of the set, spelled as `JSON.stringify` does: the only spelling, so that what is left out stays out. */
export function canonicalChar(set: CharSet): Expression {
  const [first, ...others] = set;
  if (first && others.length === 0 && first[0] === first[1]) return text(JSON.stringify(String.fromCodePoint(first[0])).slice(1, -1));
  const options = [chars(both(set, raw))];
  if (has(set, 0x22)) options.push(text('\\"'));
  if (has(set, 0x5c)) options.push(text('\\\\'));
  const short = [...shortEscapes].filter(([code]) => has(set, code)).map(([, letter]) => letter);
  if (short.length > 0) options.push(sequence(text('\\'), chars(charsOf(short.join('')))));
  for (const high of [0, 1]) {
    const low = [...'0123456789abcdef'].filter((_, n) => has(set, high * 16 + n) && !shortEscapes.has(high * 16 + n));
    if (low.length > 0) options.push(sequence(text(`\\u00${high}`), chars(charsOf(low.join('')))));
  }
  return choice(...options);
}

/** Whole numbers up to 16 digits: all that a double holds exactly are among them. */
export function anyInteger(builder: GrammarBuilder): Expression {
  return builder.once('any integer', () => {
    const positive = sequence(chars(range('1', '9')), builder.repeat(chars(digit), 0, 15));
    return builder.define('integer', choice(text('0'), sequence(optional(text('-')), positive)));
  });
}

/** The digits after a decimal point, with the point. 24 of them: the longest that `JSON.stringify` writes has 22. */
export function fraction(builder: GrammarBuilder): Expression {
  return builder.once('fraction', () => {
    return builder.define('fraction', sequence(text('.'), builder.repeat(chars(digit), 1, 24)));
  });
}

/** As `JSON.stringify` writes numbers: up to 21 digits before the point, or one digit and an exponent: below 1e308, so that it stays finite. */
export function anyNumber(builder: GrammarBuilder): Expression {
  return builder.once('any number', () => {
    const upTo307 = choice(
      sequence(text('30'), chars(range('0', '7'))),
      sequence(chars(charsOf('12')), chars(digit), chars(digit)),
      builder.repeat(chars(digit), 1, 2),
    );
    const power = choice(sequence(text('-'), builder.repeat(chars(digit), 1, 3)), sequence(optional(text('+')), upTo307));
    const exponent = sequence(chars(charsOf('eE')), power);
    const part = optional(fraction(builder));
    const plain = sequence(choice(text('0'), sequence(chars(range('1', '9')), builder.repeat(chars(digit), 0, 20))), part);
    return builder.define('number', sequence(optional(text('-')), choice(plain, sequence(chars(digit), part, exponent))));
  });
}

/** JSON of any shape. */
export function anyValue(builder: GrammarBuilder): Expression {
  return anyJson(builder, 'value');
}

export function anyObject(builder: GrammarBuilder): Expression {
  return anyJson(builder, 'object');
}

export function anyArray(builder: GrammarBuilder): Expression {
  return anyJson(builder, 'array');
}

/** The three need each other, so they are made together, once. */
function anyJson(builder: GrammarBuilder, shape: 'value' | 'object' | 'array'): Expression {
  return builder.once(`any ${shape}`, () => {
    const value = rule(builder.reserve('value'));
    builder.once('any value', () => value);
    const member = builder.define('member', sequence(anyString(builder), text(':'), blank(builder), value));
    const object = builder.once('any object', () => builder.define('object', list(builder, member, '{', '}')));
    const array = builder.once('any array', () => builder.define('array', list(builder, value, '[', ']')));
    builder.fill(value.name, choice(object, array, anyString(builder), anyNumber(builder), text('true'), text('false'), text('null')));
    return { value, object, array }[shape];
  });
}

function list(builder: GrammarBuilder, part: Expression, open: string, close: string): Expression {
  const ws = blank(builder);
  const more = builder.repeat(sequence(text(','), ws, part), 0, null);
  return sequence(text(open), ws, optional(sequence(part, more, ws)), text(close));
}
