// How texts of an expression can begin, character by character, as far as that stays a short list.
import { type CharSet, charsOf, disjoint } from './char-set.js';
import type { Expression, Grammar } from './expression.js';

/** Sets of characters in a row. A list of them is cut at one length for all: more may follow each. */
export type Head = readonly CharSet[];

export const longestHead = 64;
const mostHeads = 64;

/** The same set for the same character: equal ones are seen at once. */
const ascii: ReadonlyMap<string, CharSet> = new Map(
  Array.from({ length: 128 }, (_, code) => [String.fromCharCode(code), charsOf(String.fromCharCode(code))]),
);

/** What is still to come, first in front. */
type Ahead = { readonly next: Expression; readonly rest: Ahead } | null;

interface Growing {
  readonly head: Head;
  readonly ahead: Ahead;
}

/** Shared by all look-ups in one grammar, so that a hostile one cannot make them long. */
export interface Effort {
  steps: number;
}

/**
 * At most `longest` characters of each. Null: not found out within the effort. White space (`ws`) is passed over: it may stand on both sides of a comparison alike, and what follows
 * it is none. A vocabulary token counts as any character.
 */
export function headsOf(grammar: Grammar, expression: Expression, longest: number, effort: Effort): readonly Head[] | null {
  const whole: Head[] = [];
  let growing: readonly Growing[] = [{ head: [], ahead: { next: expression, rest: null } }];
  for (let length = 0; length < longest && growing.length > 0; length += 1) {
    const next: Growing[] = [];
    const ended: Head[] = [];
    for (const each of growing) {
      if (!step(grammar, each, next, ended, effort)) return null;
      // From here on there are too many: what was known one character earlier has to do.
      if (whole.length + ended.length + next.length > mostHeads && length > 0) return [...whole, ...growing.map((one) => one.head)];
    }
    whole.push(...ended);
    growing = next;
  }
  return [...whole, ...growing.map((one) => one.head)];
}

/** False when one beginning can be the other's, or begin it. The empty text is no beginning. */
export function told(apart: readonly Head[], from: readonly Head[]): boolean {
  return apart.every((a) =>
    from.every((b) => {
      const length = Math.min(a.length, b.length);
      for (let at = 0; at < length; at += 1) if (a[at] !== b[at] && disjoint(a[at] as CharSet, b[at] as CharSet)) return true;
      return length === 0;
    }),
  );
}

/** Goes on by one character in every possible way. */
function step(grammar: Grammar, from: Growing, next: Growing[], ended: Head[], effort: Effort): boolean {
  const open: Ahead[] = [from.ahead];
  while (open.length > 0) {
    effort.steps -= 1;
    if (effort.steps < 0) return false;
    const ahead = open.pop() as Ahead;
    if (ahead === null) {
      ended.push(from.head);
      continue;
    }
    const { next: part, rest } = ahead;
    switch (part.kind) {
      case 'text': {
        const first = [...part.text][0] as string;
        const tail = part.text.slice(first.length);
        next.push({
          head: [...from.head, ascii.get(first) ?? charsOf(first)],
          ahead: tail === '' ? rest : { next: { kind: 'text', text: tail }, rest },
        });
        break;
      }
      case 'chars':
        next.push({ head: [...from.head, part.set], ahead: rest });
        break;
      case 'token':
        next.push({ head: [...from.head, [[0, 0x10ffff]]], ahead: rest });
        break;
      case 'rule':
        open.push(part.name === 'ws' ? rest : { next: grammar.get(part.name) as Expression, rest });
        break;
      case 'sequence':
        open.push(part.parts.reduceRight<Ahead>((tail, each) => ({ next: each, rest: tail }), rest));
        break;
      case 'choice':
        for (const option of part.options) open.push({ next: option, rest });
        break;
      case 'repeat': {
        if (part.min === 0) open.push(rest);
        if (part.max === 0) break;
        const more: Expression = { ...part, min: Math.max(0, part.min - 1), max: part.max === null ? null : part.max - 1 };
        open.push({ next: part.part, rest: { next: more, rest } });
      }
    }
  }
  return true;
}
