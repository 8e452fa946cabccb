// Arrays: the first items each by its own schema, the rest by one, as many as the counts allow.
import type { GrammarBuilder } from './builder.js';
import { type Expression, isNever, never, optional, sequence, text } from './expression.js';
import { anyArray, blank } from './json-text.js';
import { countsOf, prefixItemsOf } from './schema-keywords.js';
import type { OwnPart, Part } from './schema-parts.js';

export function arrayOf(
  builder: GrammarBuilder,
  parts: readonly OwnPart[],
  ruleFor: (parts: readonly Part[], hint: string) => Expression,
): Expression {
  const { min, max } = countsOf(parts, 'minItems', 'maxItems');
  if (max !== null && min > max) return never;
  const longest = Math.max(0, ...parts.map((part) => prefixItemsOf(part).length));
  const others = parts.flatMap(itemsOf);
  if (longest === 0 && others.length === 0 && min === 0 && max === null) return anyArray(builder);

  const ws = blank(builder);
  if (max === 0) return sequence(text('['), ws, text(']'));
  const comma = sequence(text(','), ws);
  const ordered = Math.min(longest, max ?? longest);
  const items = Array.from({ length: ordered }, (_, index) => ruleFor(schemasAt(parts, index), 'item'));
  const other = ordered === max ? never : ruleFor(others, 'item');
  const repeated = (taken: number): Expression =>
    builder.repeat(isNever(other) ? never : sequence(comma, other), Math.max(0, min - taken), max === null ? null : max - taken);

  const first = items[0] ?? other;
  let tail = repeated(Math.max(1, ordered));
  for (let index = ordered - 1; index >= 1; index -= 1) {
    const more = sequence(comma, items[index] as Expression, tail);
    tail = builder.define('items', index >= min ? optional(more) : more);
  }
  const inner = isNever(first) ? never : sequence(first, tail, ws);
  return sequence(text('['), ws, min === 0 ? optional(inner) : inner, text(']'));
}

function schemasAt(parts: readonly OwnPart[], index: number): readonly Part[] {
  return parts.flatMap((part) => {
    const prefix = prefixItemsOf(part);
    return index < prefix.length ? [{ pointer: `${part.pointer}/prefixItems/${index}`, schema: prefix[index], own: false }] : itemsOf(part);
  });
}

function itemsOf({ pointer, schema }: OwnPart): readonly Part[] {
  return schema['items'] === undefined ? [] : [{ pointer: `${pointer}/items`, schema: schema['items'], own: false }];
}
