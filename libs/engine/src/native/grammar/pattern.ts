// The part of ECMAScript's regular expressions that is regular, as grammar expressions over the characters of a JSON string.
import { type GrammarBuilder, maxRepetitions } from './builder.js';
import { anyChar, both, type CharSet, charsOf, minus, range, union } from './char-set.js';
import { choice, type Expression, nothing, sequence } from './expression.js';
import { canonicalChar } from './json-text.js';
import { Refusal } from './refusal.js';

/** What a pattern matches, without the quotes, and how many characters that is. */
export interface Matched {
  readonly expression: Expression;
  readonly minLength: number;
  /** Null: any number. */
  readonly maxLength: number | null;
}

const maxPatternLength = 1_024;
const maxNesting = 32;

const digits = range('0', '9');
const wordChars = union(digits, range('A', 'Z'), range('a', 'z'), charsOf('_'));
const spaces = union(range(9, 13), charsOf(' \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff'), range(0x2000, 0x200a));
const lineEnds = charsOf('\n\r\u2028\u2029');
const classes: Readonly<Record<string, CharSet>> = {
  d: digits,
  w: wordChars,
  s: spaces,
  D: minus(anyChar, digits),
  W: minus(anyChar, wordChars),
  S: minus(anyChar, spaces),
};
const controls: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, '0': 0 };

/** `pattern` of JSON Schema: found anywhere in the string unless it is anchored. Throws Refusal for what is not regular or not bounded. */
export function patternOf(builder: GrammarBuilder, pattern: string, field: string): Matched {
  return new PatternReader(builder, pattern, field).read();
}

class PatternReader {
  private at = 0;
  private nesting = 0;

  constructor(
    private readonly builder: GrammarBuilder,
    private readonly source: string,
    private readonly field: string,
  ) {
    if (source.length > maxPatternLength)
      throw new Refusal('constraint.too-large', field, `The pattern is longer than ${maxPatternLength} characters.`, 'Shorten it.');
  }

  read(): Matched {
    const options: Matched[] = [];
    do {
      const start = this.take('^') ? exactly(nothing, 0) : this.anything();
      const body = this.terms();
      options.push(inOrder([start, body, this.take('$') ? exactly(nothing, 0) : this.anything()]));
    } while (this.take('|'));
    if (this.at < this.source.length) this.refuse('a closing parenthesis too many, or an anchor that is not at an end');
    return oneOf(options);
  }

  private anything(): Matched {
    return { expression: this.builder.repeat(this.char(anyChar).expression, 0, null), minLength: 0, maxLength: null };
  }

  private alternatives(): Matched {
    this.nesting += 1;
    if (this.nesting > maxNesting) this.refuse(`groups nested deeper than ${maxNesting}`);
    const options = [this.terms()];
    while (this.take('|')) options.push(this.terms());
    this.nesting -= 1;
    return oneOf(options);
  }

  private terms(): Matched {
    const terms: Matched[] = [];
    for (let next = this.peek(); next !== '' && !'|)$'.includes(next); next = this.peek()) terms.push(this.repeated(this.atom()));
    return inOrder(terms);
  }

  private atom(): Matched {
    const char = this.next();
    switch (char) {
      case '(':
        return this.group();
      case '[':
        return this.char(this.charClass());
      case '.':
        return this.char(minus(anyChar, lineEnds));
      case '\\':
        return this.char(this.escape(false));
      case '^':
        return this.refuse('an anchor inside');
      case '*':
      case '+':
      case '?':
      case '{':
      case '}':
      case ']':
        return this.refuse(`"${char}" with nothing that it could belong to`);
      default:
        return this.char(charsOf(char));
    }
  }

  private group(): Matched {
    if (this.take('?')) {
      const named = /^<[A-Za-z_]\w*>/.exec(this.source.slice(this.at));
      if (named) this.at += named[0].length;
      else if (!this.take(':')) this.refuse('a look around or a flag');
    }
    const inner = this.alternatives();
    if (!this.take(')')) this.refuse(this.peek() === '$' ? 'an anchor inside a group' : 'a group that is not closed');
    return inner;
  }

  private repeated(atom: Matched): Matched {
    const [min, max] = this.quantifier();
    if (min === 1 && max === 1) return atom;
    if (min > maxRepetitions || (max ?? 0) > maxRepetitions) this.refuse(`more than ${maxRepetitions} repetitions`);
    if (max !== null && min > max) this.refuse('a repetition whose bounds are the wrong way round');
    this.take('?'); // Lazy or greedy: the same texts match.
    // Nothing, many times over: llama.cpp would look for it for ever.
    if (max !== 0 && max !== 1 && atom.minLength === 0) this.refuse('a repeated part that may be empty');
    return {
      expression: this.builder.repeat(atom.expression, min, max),
      minLength: atom.minLength * min,
      maxLength: max === null || atom.maxLength === null ? null : atom.maxLength * max,
    };
  }

  private quantifier(): [min: number, max: number | null] {
    if (this.take('*')) return [0, null];
    if (this.take('+')) return [1, null];
    if (this.take('?')) return [0, 1];
    if (this.peek() !== '{') return [1, 1];
    const counts = /^\{(\d{1,6})(?:(,)(\d{1,6})?)?\}/.exec(this.source.slice(this.at));
    if (!counts) return this.refuse('a "{" that is no repetition');
    this.at += counts[0].length;
    const min = Number(counts[1]);
    return [min, counts[2] === undefined ? min : counts[3] === undefined ? null : Number(counts[3])];
  }

  private charClass(): CharSet {
    const negated = this.take('^');
    let set: CharSet = [];
    while (!this.take(']')) {
      const low = this.classPart();
      const isRange = this.peek() === '-' && this.source[this.at + 1] !== ']';
      if (!isRange) {
        set = union(set, low);
        continue;
      }
      this.at += 1;
      const [from, to] = [single(low), single(this.classPart())];
      if (from === null || to === null || from > to) return this.refuse('a range of characters without a beginning or an end');
      set = union(set, range(from, to));
    }
    const whole = negated ? minus(anyChar, set) : both(set, anyChar);
    if (whole.length === 0) this.refuse('a class without characters');
    return whole;
  }

  private classPart(): CharSet {
    const char = this.next();
    if (char === '') this.refuse('a class that is not closed');
    return char === '\\' ? this.escape(true) : charsOf(char);
  }

  private escape(inClass: boolean): CharSet {
    const char = this.next();
    const set = classes[char];
    if (set) return set;
    if (inClass && char === 'b') return range(8, 8);
    const control = controls[char];
    if (control !== undefined && !(char === '0' && /\d/.test(this.peek()))) return range(control, control);
    const hex = { x: /^([\da-fA-F]{2})/, u: /^(?:([\da-fA-F]{4})|\{([\da-fA-F]{1,6})\})/ }[char]?.exec(this.source.slice(this.at));
    if (hex) {
      this.at += hex[0].length;
      const code = Number.parseInt(hex[1] ?? hex[2] ?? '', 16);
      if (minus(range(code, code), anyChar).length > 0) this.refuse('half a character (a surrogate)');
      return range(code, code);
    }
    if (char === '' || /[A-Za-z0-9]/.test(char)) this.refuse(`the escape "\\${char}"`);
    return charsOf(char);
  }

  private char(set: CharSet): Matched {
    const spelled = canonicalChar(set);
    return exactly(spelled.kind === 'text' ? spelled : this.builder.define('char', spelled), 1);
  }

  private peek(): string {
    return this.at < this.source.length ? String.fromCodePoint(this.source.codePointAt(this.at) as number) : '';
  }

  private next(): string {
    const char = this.peek();
    this.at += char.length;
    return char;
  }

  private take(char: string): boolean {
    if (this.peek() !== char) return false;
    this.at += 1;
    return true;
  }

  private refuse(what: string): never {
    throw new Refusal(
      'constraint.unsupported',
      this.field,
      `The pattern has ${what} (at character ${this.at}), which a grammar cannot say.`,
      'Use literals, classes, groups, "|" and repetitions; "^" only at the beginning and "$" only at the end.',
    );
  }
}

function exactly(expression: Expression, length: number): Matched {
  return { expression, minLength: length, maxLength: length };
}

function inOrder(parts: readonly Matched[]): Matched {
  return {
    expression: sequence(...parts.map((part) => part.expression)),
    minLength: parts.reduce((sum, part) => sum + part.minLength, 0),
    maxLength: parts.reduce<number | null>((sum, part) => (sum === null || part.maxLength === null ? null : sum + part.maxLength), 0),
  };
}

function oneOf(options: readonly Matched[]): Matched {
  return {
    expression: choice(...options.map((option) => option.expression)),
    minLength: Math.min(...options.map((option) => option.minLength)),
    maxLength: options.reduce<number | null>(
      (most, option) => (most === null || option.maxLength === null ? null : Math.max(most, option.maxLength)),
      0,
    ),
  };
}

/** The only member of a set, else null. */
function single(set: CharSet): number | null {
  const [first, ...others] = set;
  return first && others.length === 0 && first[0] === first[1] ? first[0] : null;
}
