// Objects: declared properties in their order, any subset of the optional ones with the right commas, then what else is allowed.
import type { GrammarBuilder } from './builder.js';
import { anyChar, codeOf, minus, range, union } from './char-set.js';
import { anyBranch, choice, type Expression, isNever, never, nothing, optional, sequence, text } from './expression.js';
import { anyObject, anyString, blank, canonicalChar } from './json-text.js';
import { Refusal } from './refusal.js';
import { countsOf, propertiesOf, requiredOf } from './schema-keywords.js';
import { escapeKey, type OwnPart, type Part, unsupported } from './schema-parts.js';

type RuleFor = (parts: readonly Part[], hint: string) => Expression;

/** Each of them is one more way in which an answer can go on after any member before it. */
const maxOptional = 300;

interface Member {
  /** As it stands in the text, with quotes and colon. */
  readonly key: string;
  readonly value: Expression;
  readonly required: boolean;
}

export function objectOf(builder: GrammarBuilder, parts: readonly OwnPart[], ruleFor: RuleFor): Expression {
  const ws = blank(builder);
  const names = [...new Set([...parts.flatMap((part) => Object.keys(propertiesOf(part))), ...parts.flatMap(requiredOf)])];
  const required = new Set(parts.flatMap(requiredOf));
  if (names.length - required.size > maxOptional)
    throw new Refusal(
      'constraint.too-large',
      `${parts[0]?.pointer ?? ''}/properties`,
      `The object has more than ${maxOptional} optional properties.`,
      'Make properties required; let those that may be missing be null.',
    );
  const members = names.map((name): Member => {
    return { key: `${JSON.stringify(name)}:`, value: ruleFor(schemasOf(parts, name), name), required: required.has(name) };
  });
  const others = parts.flatMap(additionalOf);
  const other = ruleFor(others, 'other');
  const limits = memberLimits(parts, members, isNever(other));
  if (limits === null) return never;
  if (names.length === 0 && others.length === 0 && limits.max === null && !limits.notEmpty) return anyObject(builder);

  const pair = isNever(other) ? never : builder.define('other', sequence(keyExcept(builder, names), text(':'), ws, other));
  const comma = sequence(text(','), ws);
  // From the last member to the first: what may follow when something came before, and what may come first.
  let rest = isNever(pair) ? nothing : builder.repeat(sequence(comma, pair), 0, limits.max);
  let undeclared = limits.max === 0 || isNever(pair) ? never : sequence(pair, builder.repeat(sequence(comma, pair), 0, less(limits.max)));
  let firsts: [key: string, then: Expression][] = [];
  for (const { key, value, required } of members.toReversed()) {
    const begin: [string, Expression] = [key, sequence(ws, value, rest)];
    if (required) undeclared = never;
    if (required) firsts = [];
    firsts.push(begin);
    const more = sequence(comma, text(key), ws, value);
    rest = builder.define('rest', sequence(required ? more : optional(more), rest));
  }
  const first = choice(anyBranch(firsts.reverse()), undeclared);
  const mayBeEmpty = required.size === 0 && !limits.notEmpty;
  const inner = isNever(first) ? never : sequence(builder.define('members', first), ws);
  return sequence(text('{'), ws, mayBeEmpty ? optional(inner) : inner, text('}'));
}

/** What a named property must be: each schema's own word on it, else its word on additional ones. */
function schemasOf(parts: readonly OwnPart[], name: string): readonly Part[] {
  return parts.flatMap((part) => {
    const properties = propertiesOf(part);
    if (!Object.hasOwn(properties, name)) return additionalOf(part);
    return [{ pointer: `${part.pointer}/properties/${escapeKey(name)}`, schema: properties[name], own: false }];
  });
}

function additionalOf({ pointer, schema }: OwnPart): readonly Part[] {
  const schemaOfOthers = schema['additionalProperties'];
  return schemaOfOthers === undefined ? [] : [{ pointer: `${pointer}/additionalProperties`, schema: schemaOfOthers, own: false }];
}

/** How many undeclared members there may be, and whether one member at least must be. Null: the counts contradict each other. */
function memberLimits(
  parts: readonly OwnPart[],
  members: readonly Member[],
  closed: boolean,
): { readonly max: number | null; readonly notEmpty: boolean } | null {
  const { min, max } = countsOf(parts, 'minProperties', 'maxProperties');
  const required = members.filter((member) => member.required).length;
  const field = (keyword: string): string => `${parts.find((part) => part.schema[keyword] !== undefined)?.pointer ?? ''}/${keyword}`;
  if (max !== null && (max < required || max < min)) return null;
  // A grammar cannot see that a key came before, and the same key twice counts once.
  if (min > Math.max(required, 1))
    throw unsupported(field('minProperties'), 'More members than the required ones and one cannot be demanded.', 'Use "required".');
  if (max !== null && required < members.length && !(closed && members.length <= max))
    throw unsupported(
      field('maxProperties'),
      'Members cannot be counted beside optional properties.',
      'Make the properties required, or leave it out.',
    );
  return { max: closed ? null : max === null ? null : max - required, notEmpty: min > required };
}

/** A key that is none of these. Only in its canonical spelling: an escape would let a declared name through. */
function keyExcept(builder: GrammarBuilder, names: readonly string[]): Expression {
  if (names.length === 0) return anyString(builder);
  const char = builder.once('key char', () => builder.define('key-char', canonicalChar(anyChar)));
  const after = (tails: readonly (readonly string[])[]): Expression => {
    const branches = new Map<string, string[][]>();
    for (const [first, ...tail] of tails) {
      if (first === undefined) continue;
      branches.set(first, [...(branches.get(first) ?? []), tail]);
    }
    const taken = union(...[...branches.keys()].map((first) => range(codeOf(first), codeOf(first))));
    const options = [...branches].map(([first, inside]) => sequence(canonicalChar(range(codeOf(first), codeOf(first))), after(inside)));
    const end = tails.some((tail) => tail.length === 0) ? never : nothing;
    return builder.define('key', choice(...options, sequence(canonicalChar(minus(anyChar, taken)), builder.repeat(char, 0, null)), end));
  };
  // A name with half a surrogate pair cannot be written canonically, so it needs no exception.
  return sequence(text('"'), after(names.filter((name) => name.isWellFormed()).map((name) => [...name])), text('"'));
}

function less(count: number | null): number | null {
  return count === null ? null : count - 1;
}
