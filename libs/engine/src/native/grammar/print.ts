// A grammar as GBNF text.
import { type CharSet, codeOf } from './char-set.js';
import type { Expression, Grammar } from './expression.js';

/** `root` first. */
export function printGrammar(grammar: Grammar): string {
  const names = ['root', ...[...grammar.keys()].filter((name) => name !== 'root')];
  return names.map((name) => `${name} ::= ${printExpression(grammar.get(name) as Expression)}\n`).join('');
}

export function printExpression(expression: Expression): string {
  switch (expression.kind) {
    case 'choice':
      return expression.options.map(printExpression).join(' | ');
    case 'sequence':
      // Nothing at the end of a line would make the next line part of the rule.
      return expression.parts.map(printPart).join(' ') || '""';
    default:
      return printPart(expression);
  }
}

function printPart(part: Expression): string {
  switch (part.kind) {
    case 'text':
      return `"${[...part.text].map((char) => escaped(codeOf(char), /[^"\\]/)).join('')}"`;
    case 'chars':
      return `[${printSet(part.set)}]`;
    case 'token':
      return part.text;
    case 'rule':
      return part.name;
    case 'repeat':
      return `${printPart(part.part)}${times(part.min, part.max)}`;
    case 'sequence':
    case 'choice':
      return `(${printExpression(part)})`;
  }
}

function printSet(set: CharSet): string {
  const plain = /[A-Za-z0-9_.,:;+*/ ]/;
  return set.map(([low, high]) => (low === high ? escaped(low, plain) : `${escaped(low, plain)}-${escaped(high, plain)}`)).join('');
}

function times(min: number, max: number | null): string {
  if (max === null) return min === 0 ? '*' : min === 1 ? '+' : `{${min},}`;
  return min === max ? `{${min}}` : `{${min},${max}}`;
}

const named: Readonly<Record<number, string>> = { 9: '\\t', 10: '\\n', 13: '\\r', 34: '\\"', 92: '\\\\' };

/** Printable ASCII that `plain` allows stands for itself; all else is written by an escape: no quoting rule to get wrong. */
function escaped(code: number, plain: RegExp): string {
  if (code >= 0x20 && code < 0x7f && plain.test(String.fromCodePoint(code))) return String.fromCodePoint(code);
  const short = named[code];
  if (short !== undefined) return short;
  const hex = code.toString(16).toUpperCase();
  if (code <= 0xff) return `\\x${hex.padStart(2, '0')}`;
  return code <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
}
