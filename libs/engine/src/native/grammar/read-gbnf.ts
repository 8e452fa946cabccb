// Reads a GBNF text as llama.cpp does, strictly: what the engine would refuse, or take for something else than was meant, is named with its place.
import { maxRepetitions } from './builder.js';
import { anyChar, type CharSet, minus, union } from './char-set.js';
import type { Expression, Grammar } from './expression.js';
import { choice, nothing, sequence, text } from './expression.js';
import { Refusal } from './refusal.js';

const maxNesting = 64;
const controls: Readonly<Record<string, number>> = { t: 9, r: 13, n: 10, '\\': 92, '"': 34, '[': 91, ']': 93, '-': 45 };

export interface GbnfText {
  readonly grammar: Grammar;
  /** `line L, column C` at which a rule begins; empty for a rule that is not there. */
  placeOf(ruleName: string): string;
}

/** Throws Refusal. References are not followed. */
export function readGbnf(source: string): GbnfText {
  return new GbnfReader(source).read();
}

class GbnfReader {
  private at = 0;
  private nesting = 0;
  /** llama.cpp's symbols: named ones once, and one for each group and each optional repetition. */
  private readonly named = new Set<string>();
  private unnamed = 0;
  /** Symbols that came with the last part: llama.cpp weighs a repetition by them. */
  private weight = 1;
  private readonly grammar = new Map<string, Expression>();
  private readonly starts = new Map<string, number>();

  constructor(private readonly source: string) {}

  read(): GbnfText {
    const nul = this.source.indexOf('\0');
    if (nul >= 0) this.refuse('A NUL character, at which the engine would stop reading', nul);
    if (!this.source.isWellFormed())
      throw new Refusal('constraint.invalid', 'grammar', 'The grammar is not well-formed Unicode.', 'Send UTF-8.');
    this.blanks(true);
    while (this.at < this.source.length) this.rule();
    const placeOf = (ruleName: string): string => {
      const start = this.starts.get(ruleName);
      return start === undefined ? '' : this.place(start);
    };
    return { grammar: this.grammar, placeOf };
  }

  private rule(): void {
    const start = this.at;
    const name = this.match(/[A-Za-z0-9-]+/y) ?? this.refuse('Expected the name of a rule');
    if (this.grammar.has(name)) this.refuse(`The rule "${name}" is defined a second time`, start);
    this.starts.set(name, start);
    this.named.add(name);
    this.blanks(false);
    if (!this.match(/::=/y)) this.refuse('Expected "::="');
    this.blanks(true);
    this.grammar.set(name, this.alternatives(false));
    if (this.at < this.source.length && !this.match(/\r\n?|\n/y)) this.refuse('Expected the end of the line');
    this.blanks(true);
  }

  private alternatives(nested: boolean): Expression {
    const options = [this.sequence(nested)];
    while (this.match(/\|/y)) {
      this.blanks(true);
      options.push(this.sequence(nested));
    }
    return choice(...options);
  }

  private sequence(nested: boolean): Expression {
    const parts: Expression[] = [];
    for (let part = this.part(nested); part !== null; part = this.part(nested)) parts.push(this.repeated(part, nested));
    return sequence(...parts);
  }

  private part(nested: boolean): Expression | null {
    const start = this.at;
    const found = this.atom(start);
    if (found !== null) this.blanks(nested);
    return found;
  }

  private atom(start: number): Expression | null {
    this.weight = 1;
    if (this.match(/"/y)) return this.literal(start);
    if (this.match(/\[/y)) return this.charClass(start);
    if (this.match(/\./y)) return { kind: 'chars', set: anyChar };
    if (this.match(/\(/y)) return this.group(start);
    const token = this.match(/!?<(?:\[\d{1,9}\]|[^[>\n][^>\n]*)>/y);
    if (token !== null) return { kind: 'token', text: token };
    const name = this.match(/[A-Za-z0-9-]+/y);
    if (name === null) return null;
    this.named.add(name);
    return { kind: 'rule', name };
  }

  private literal(start: number): Expression {
    let value = '';
    while (!this.match(/"/y)) {
      if (this.at >= this.source.length) this.refuse('A quotation mark is not closed', start);
      value += String.fromCodePoint(this.char());
    }
    return text(value);
  }

  private charClass(start: number): Expression {
    const negated = this.match(/\^/y) !== null;
    let set: CharSet = [];
    while (!this.match(/\]/y)) {
      if (this.at >= this.source.length) this.refuse('A bracket is not closed', start);
      const low = this.char();
      const high = this.match(/-(?!\])/y) === null ? low : this.char();
      if (high < low) this.refuse('A range of characters ends before it begins', start);
      set = union(set, [[low, high]]);
    }
    if (set.length === 0) this.refuse('A class has no characters', start);
    return { kind: 'chars', set: negated ? minus(anyChar, set) : set };
  }

  private group(start: number): Expression {
    this.nesting += 1;
    if (this.nesting > maxNesting) this.refuse(`Groups are nested deeper than ${maxNesting}`, start);
    this.blanks(true);
    const before = this.named.size + this.unnamed;
    this.unnamed += 1;
    const inner = this.alternatives(true);
    if (!this.match(/\)/y)) this.refuse('A parenthesis is not closed', start);
    this.nesting -= 1;
    this.weight = this.named.size + this.unnamed - before;
    return inner;
  }

  private repeated(part: Expression, nested: boolean): Expression {
    const start = this.at;
    const weight = this.weight;
    const counts = this.counts();
    if (counts === null) return part;
    this.blanks(nested);
    const [min, max] = counts;
    if (max !== null && max < min) this.refuse('A repetition ends below its beginning', start);
    // Above its limit llama.cpp drops the upper bound without a word.
    if (Math.max(min, max ?? 0) > maxRepetitions) this.refuse(`A repetition counts beyond ${maxRepetitions}`, start);
    if (weight * (max || min || 1) > maxRepetitions)
      this.refuse('A repeated group has too many rules inside; give it a rule of its own', start);
    this.unnamed += max === null ? 1 : max - min;
    if (isEmpty(part)) this.refuse('A repetition has nothing to repeat', start);
    if (this.counts() !== null) this.refuse('Two repetitions stand in a row', start);
    return max === 0 ? nothing : { kind: 'repeat', part, min, max };
  }

  private counts(): [min: number, max: number | null] | null {
    const sign = this.match(/[*+?]/y);
    if (sign !== null) return sign === '*' ? [0, null] : sign === '+' ? [1, null] : [0, 1];
    const braces = this.match(/\{\s*\d{1,9}\s*(?:,\s*(?:\d{1,9}\s*)?)?\}/y);
    if (braces === null) return this.source[this.at] === '{' ? this.refuse('Expected {m}, {m,} or {m,n}') : null;
    const [min, max] = braces.slice(1, -1).split(',');
    return [Number(min), max === undefined ? Number(min) : max.trim() === '' ? null : Number(max)];
  }

  private char(): number {
    const start = this.at;
    if (this.match(/\\/y)) {
      const hex = this.match(/x[\da-fA-F]{2}|u[\da-fA-F]{4}|U[\da-fA-F]{8}/y);
      const code = hex === null ? controls[this.match(/./y) ?? ''] : Number.parseInt(hex.slice(1), 16);
      if (code === undefined || code > 0x10ffff) return this.refuse('An escape that GBNF does not have', start);
      return code;
    }
    const code = this.source.codePointAt(this.at) as number;
    this.at += code > 0xffff ? 2 : 1;
    return code;
  }

  /** Blanks and comments; line ends only where the engine allows them. */
  private blanks(lines: boolean): void {
    this.match(lines ? /(?:[ \t\r\n]|#[^\r\n]*)*/y : /(?:[ \t]|#[^\r\n]*)*/y);
  }

  private match(pattern: RegExp): string | null {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.source);
    if (!found) return null;
    this.at = pattern.lastIndex;
    return found[0];
  }

  private place(at: number): string {
    const before = this.source.slice(0, at).split('\n');
    return `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
  }

  private refuse(what: string, at = this.at): never {
    throw new Refusal(
      'constraint.invalid',
      this.place(at),
      `${what}.`,
      'Correct the grammar; the format is described in llama.cpp under "GBNF".',
    );
  }
}

function isEmpty(part: Expression): boolean {
  return part.kind === 'sequence' && part.parts.length === 0;
}
