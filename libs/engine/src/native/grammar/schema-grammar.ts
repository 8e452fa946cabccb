// A JSON schema as grammar rules: one rule per set of schemas that hold together, so that recursion closes on itself.

import { arrayOf } from './array-grammar.js';
import { GrammarBuilder, maxRules } from './builder.js';
import { anyText, choice, type Expression, type Grammar, isNever, never, sequence, text } from './expression.js';
import { formatPatterns } from './formats.js';
import { anyInteger, anyNumber, anyString, anyValue } from './json-text.js';
import { decimalIn, integerIn } from './number-range.js';
import { objectOf } from './object-grammar.js';
import { patternOf } from './pattern.js';
import { Refusal } from './refusal.js';
import { admits, countsOf, decimalRangeOf, type Kind, kindOfValue, kindsOf, valuesOf, wholeRangeOf } from './schema-keywords.js';
import { conjunctionOf, invalid, type OwnPart, type Part, unsupported } from './schema-parts.js';

const maxDepth = 32;
/** Alternatives that stand beside each other multiply. */
const maxAlternatives = 512;

export interface SchemaGrammar {
  readonly grammar: Grammar;
  /** JSON pointer of the schema that a rule was made for. */
  readonly places: ReadonlyMap<string, string>;
}

/** Rules whose `root` matches the JSON texts of values that satisfy the schema. Throws Refusal. */
export function schemaGrammar(schema: unknown): SchemaGrammar {
  return new SchemaCompiler(schema).compile();
}

interface Made {
  /** Given when a schema is met again before its rule is whole. */
  name: string | null;
  whole: Expression | null;
}

class SchemaCompiler {
  private readonly builder = new GrammarBuilder();
  private readonly made = new Map<string, Made>();
  private depth = 0;

  constructor(private readonly schema: unknown) {}

  compile(): SchemaGrammar {
    this.builder.reserve('root');
    this.builder.fill('root', this.ruleFor([{ pointer: '', schema: this.schema, own: false }], 'value'));
    return { grammar: this.builder.rules, places: this.builder.places };
  }

  private readonly ruleFor = (parts: readonly Part[], hint: string): Expression => {
    const key = JSON.stringify([...new Set(parts.map((part) => `${part.pointer}${part.own ? ' own' : ''}`))].sort());
    const known = this.made.get(key);
    if (known) {
      if (known.whole) return known.whole;
      known.name ??= this.builder.reserve(hint);
      return { kind: 'rule', name: known.name };
    }
    if (this.made.size >= maxRules)
      throw new Refusal(
        'constraint.too-large',
        parts[0]?.pointer ?? '',
        'The alternatives multiply beyond what is allowed.',
        'Nest fewer of them.',
      );
    const making: Made = { name: null, whole: null };
    this.made.set(key, making);
    const field = parts[0]?.pointer ?? '';
    this.depth += 1;
    if (this.depth > maxDepth)
      throw new Refusal('constraint.too-large', field, `Schemas are nested deeper than ${maxDepth}.`, 'Flatten the schema.');
    const outer = this.builder.place;
    this.builder.place = field;
    const body = this.bodyOf(parts, hint);
    this.depth -= 1;
    making.whole = making.name === null ? this.builder.define(hint, body) : this.builder.fill(making.name, body);
    this.builder.place = outer;
    return making.whole;
  };

  private bodyOf(parts: readonly Part[], hint: string): Expression {
    const { own, groups, impossible } = conjunctionOf(this.schema, parts);
    if (impossible) return never;
    if (groups.length === 0) return this.valueOf(own);
    const count = groups.reduce((product, group) => product * group.length, 1);
    if (count > maxAlternatives)
      throw new Refusal(
        'constraint.too-large',
        parts[0]?.pointer ?? '',
        `The alternatives multiply to ${count}.`,
        `Keep them under ${maxAlternatives}.`,
      );
    const combinations = groups.reduce<readonly (readonly Part[])[]>(
      (sets, group) => sets.flatMap((set) => group.map((each) => [...set, each])),
      [own],
    );
    const options = combinations.map((combination) => this.ruleFor(combination, hint));
    return choice(...new Map(options.map((option) => [JSON.stringify(option), option])).values());
  }

  private valueOf(own: readonly OwnPart[]): Expression {
    if (own.length === 0) return anyValue(this.builder);
    const kinds = kindsOf(own);
    const values = valuesOf(own);
    if (values !== null) return this.oneOfValues(own, values, kinds);
    return choice(...[...kinds].filter((kind) => kind !== 'integer' || !kinds.has('fraction')).map((kind) => this.kindOf(own, kind)));
  }

  private oneOfValues(own: readonly OwnPart[], values: readonly unknown[], kinds: ReadonlySet<Kind>): Expression {
    const allowed = values.filter((value) => kinds.has(kindOfValue(value)) && own.every((part) => admits(part, value)));
    return anyText(allowed.map((value) => JSON.stringify(value)));
  }

  private kindOf(own: readonly OwnPart[], kind: Kind): Expression {
    switch (kind) {
      case 'null':
        return text('null');
      case 'boolean':
        return choice(text('true'), text('false'));
      case 'integer': {
        const range = wholeRangeOf(own);
        return range.min === null && range.max === null ? anyInteger(this.builder) : integerIn(this.builder, range);
      }
      case 'fraction': {
        const range = decimalRangeOf(own);
        return range === null ? anyNumber(this.builder) : decimalIn(this.builder, range);
      }
      case 'string':
        return this.stringOf(own);
      case 'array':
        return this.named('array', arrayOf(this.builder, own, this.ruleFor));
      case 'object':
        return this.named('object', objectOf(this.builder, own, this.ruleFor));
    }
  }

  private stringOf(own: readonly OwnPart[]): Expression {
    const { min, max } = countsOf(own, 'minLength', 'maxLength');
    if (max !== null && min > max) return never;
    const patterns = new Map(own.flatMap((part) => patternsOf(part)));
    const [first, second] = patterns;
    if (first === undefined) return anyString(this.builder, min, max);
    if (second !== undefined)
      throw unsupported(second[1], 'A string cannot be held to two patterns or formats at once.', 'Join them into one pattern.');
    const [pattern, field] = first;
    const matched = patternOf(this.builder, pattern, field);
    if (matched.minLength < min || (max !== null && (matched.maxLength ?? Number.POSITIVE_INFINITY) > max))
      throw unsupported(
        field,
        'The pattern allows other lengths than "minLength" and "maxLength".',
        'Count in the pattern itself, as in "^[a-z]{2,8}$".',
      );
    return isNever(matched.expression) ? never : sequence(text('"'), this.named('text', matched.expression), text('"'));
  }

  private named(hint: string, expression: Expression): Expression {
    return this.builder.define(hint, expression);
  }
}

/** Patterns and formats of one schema with the field that they come from. */
function patternsOf({ pointer, schema }: OwnPart): [pattern: string, field: string][] {
  const found: [string, string][] = [];
  const { pattern, format } = schema;
  if (pattern !== undefined) {
    if (typeof pattern !== 'string') throw invalid(`${pointer}/pattern`, '"pattern" must be a string.');
    found.push([pattern, `${pointer}/pattern`]);
  }
  if (format !== undefined) {
    const known = typeof format === 'string' && Object.hasOwn(formatPatterns, format) ? formatPatterns[format] : undefined;
    if (known === undefined)
      throw unsupported(
        `${pointer}/format`,
        `The format ${JSON.stringify(format)} cannot be enforced.`,
        `Use ${Object.keys(formatPatterns).join(', ')}, or a pattern.`,
      );
    found.push([known, `${pointer}/format`]);
  }
  return found;
}
