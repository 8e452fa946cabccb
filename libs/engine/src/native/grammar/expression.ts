// What a grammar is made of, before it is text: GBNF's own forms and nothing else.
import type { CharSet } from './char-set.js';

export type Expression =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'chars'; readonly set: CharSet }
  /** A token of the vocabulary as GBNF writes it: `<[42]>`, `!<think>`. */
  | { readonly kind: 'token'; readonly text: string }
  | { readonly kind: 'rule'; readonly name: string }
  | { readonly kind: 'sequence'; readonly parts: readonly Expression[] }
  | { readonly kind: 'choice'; readonly options: readonly Expression[] }
  /** `max` null: for ever. */
  | { readonly kind: 'repeat'; readonly part: Expression; readonly min: number; readonly max: number | null };

/** Rules by name; `root` is the start. */
export type Grammar = ReadonlyMap<string, Expression>;

/** Matches the empty text. */
export const nothing: Expression = { kind: 'sequence', parts: [] };
/** Matches no text at all. */
export const never: Expression = { kind: 'choice', options: [] };

export function text(value: string): Expression {
  return value === '' ? nothing : { kind: 'text', text: value };
}

export function chars(set: CharSet): Expression {
  return set.length === 0 ? never : { kind: 'chars', set };
}

export function rule(name: string): Expression & { readonly kind: 'rule' } {
  return { kind: 'rule', name };
}

/** Inner sequences are opened and neighbouring texts joined. */
export function sequence(...parts: readonly Expression[]): Expression {
  const flat: Expression[] = [];
  for (const part of parts.flatMap((each) => (each.kind === 'sequence' ? each.parts : [each]))) {
    const last = flat.at(-1);
    if (part.kind === 'text' && last?.kind === 'text') flat[flat.length - 1] = text(last.text + part.text);
    else flat.push(part);
  }
  return flat.length === 1 && flat[0] ? flat[0] : { kind: 'sequence', parts: flat };
}

/** Inner choices are opened, what matches no text is left out. */
export function choice(...options: readonly Expression[]): Expression {
  const flat = options.flatMap((each) => (each.kind === 'choice' ? each.options : [each]));
  return flat.length === 1 && flat[0] ? flat[0] : { kind: 'choice', options: flat };
}

/**
 * An optional part is a choice with the empty text rather than `?`: llama.cpp multiplies the rules inside a repeated group against its limit,
 * and would refuse a large optional group.
 */
export function optional(part: Expression): Expression {
  return isNever(part) ? nothing : choice(part, nothing);
}

/** Any of these texts. */
export function anyText(texts: readonly string[]): Expression {
  return anyBranch([...new Set(texts)].map((each) => [each, nothing]));
}

/**
 * Any of these texts, each followed by its own expression. A tree over their common beginnings, so that few of them are alive at a time while
 * an answer grows.
 */
export function anyBranch(branches: readonly (readonly [text: string, then: Expression])[]): Expression {
  const byFirst = new Map<string, [string, Expression][]>();
  const ended: Expression[] = [];
  for (const [whole, then] of branches) {
    const first = firstChar(whole);
    if (first === '') ended.push(then);
    else {
      const known = byFirst.get(first);
      if (known) known.push([whole, then]);
      else byFirst.set(first, [[whole, then]]);
    }
  }
  const options = [...byFirst.values()].map((inside) => {
    const common = commonBeginning(inside.map(([whole]) => whole));
    return sequence(text(common), anyBranch(inside.map(([whole, then]) => [whole.slice(common.length), then])));
  });
  return choice(...options, ...ended);
}

function commonBeginning(texts: readonly string[]): string {
  const shortest = texts.reduce((least, each) => (each.length < least.length ? each : least));
  let common = '';
  for (const char of shortest) {
    if (!texts.every((each) => each.startsWith(common + char))) break;
    common += char;
  }
  return common;
}

function firstChar(whole: string): string {
  return whole === '' ? '' : String.fromCodePoint(whole.codePointAt(0) as number);
}

export function isNever(expression: Expression): boolean {
  return expression.kind === 'choice' && expression.options.length === 0;
}
