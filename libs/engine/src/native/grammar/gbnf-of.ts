// A constraint as GBNF text that llama.cpp can follow token by token: the one entrance of this folder.

import type { Fault } from '#libs/base';
import { fail, type Outcome, ok } from '#libs/base';
import type { Constraint } from '../../engine.js';
import { checkBounds, undefinedRules } from './bounds.js';
import type { Grammar } from './expression.js';
import { printGrammar } from './print.js';
import { readGbnf } from './read-gbnf.js';
import { type ConstraintFaultCode, Refusal } from './refusal.js';
import { schemaGrammar } from './schema-grammar.js';
import { pruned } from './shape.js';

export type { ConstraintFaultCode } from './refusal.js';

const maxSourceBytes = 64 << 10;
const maxGrammarBytes = 1 << 20;

/**
 * The grammar of a constraint, `root` first. A schema's grammar matches JSON texts of values that satisfy it, declared properties in their
 * order, and none else; blanks between tokens are bounded. Narrower than the schema where a model loses nothing by it: numbers have at most 21
 * digits before and 24 after the point (16 for whole ones), numbers with bounds no exponent, `enum` and `const` and patterns the spelling of
 * `JSON.stringify`. Wider in one place: `oneOf` is read as `anyOf`. The same key twice is not noticed among undeclared ones.
 *
 * Faults name the JSON pointer into the schema, or the line and column of a grammar: `constraint.unsupported` (a keyword or pattern that
 * cannot be enforced exactly is refused, never dropped), `constraint.invalid` (broken, or nothing satisfies it), `constraint.too-large`.
 * Takes milliseconds, and a second or two for the most costly 64 KB.
 */
export function gbnfOf(constraint: Constraint): Outcome<string, Fault<ConstraintFaultCode>> {
  return guarded(() => {
    switch (constraint.kind) {
      case 'jsonObject':
        return textOfSchema({ type: 'object' });
      case 'jsonSchema':
        checkSourceSize(constraint.schema);
        return textOfSchema(constraint.schema);
      case 'gbnf':
        checkGbnf(constraint.grammar);
        return constraint.grammar;
    }
  });
}

/** Rules of our own making as GBNF text, under the same bounds and with the same faults; `placeOf` names the field that a rule comes from. */
export function boundedText(
  make: () => { readonly grammar: Grammar; readonly placeOf: (ruleName: string) => string },
): Outcome<string, Fault<ConstraintFaultCode>> {
  return guarded(() => {
    const { grammar, placeOf } = make();
    return textOf(grammar, placeOf);
  });
}

function guarded(make: () => string): Outcome<string, Fault<ConstraintFaultCode>> {
  try {
    return ok(make());
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return fail({ code: error.code, message: error.message, field: error.field, remedy: error.remedy });
  }
}

function textOfSchema(schema: unknown): string {
  const made = schemaGrammar(schema);
  return textOf(made.grammar, (name) => made.places.get(name) ?? '');
}

function textOf(rules: Grammar, placeOf: (ruleName: string) => string): string {
  const grammar = pruned(rules);
  if (grammar === null)
    throw new Refusal(
      'constraint.invalid',
      '',
      'No finite value satisfies the schema.',
      'Look for contradictions and for endless required references.',
    );
  checkBounds(grammar, placeOf);
  const text = printGrammar(grammar);
  if (text.length > maxGrammarBytes)
    throw new Refusal('constraint.too-large', '', 'The grammar of the schema is too long.', 'Use a smaller schema.');
  return text;
}

function checkSourceSize(schema: unknown): void {
  const bytes = sizeOf(schema);
  if (bytes > maxSourceBytes)
    throw new Refusal(
      'constraint.too-large',
      '',
      `The schema has ${bytes} bytes; at most ${maxSourceBytes} are taken.`,
      'Use a smaller schema.',
    );
}

/** Infinite when it nests too deep to be written. */
function sizeOf(schema: unknown): number {
  try {
    return Buffer.byteLength(JSON.stringify(schema));
  } catch (error) {
    if (error instanceof RangeError) return Number.POSITIVE_INFINITY;
    throw error;
  }
}

function checkGbnf(source: string): void {
  const bytes = Buffer.byteLength(source);
  if (bytes > maxSourceBytes)
    throw new Refusal(
      'constraint.too-large',
      '',
      `The grammar has ${bytes} bytes; at most ${maxSourceBytes} are taken.`,
      'Use a smaller grammar.',
    );
  const { grammar, placeOf } = readGbnf(source);
  if (!grammar.has('root'))
    throw new Refusal('constraint.invalid', '', 'The grammar has no rule "root".', 'Name the rule that an answer must match "root".');
  const missing = undefinedRules(grammar);
  if (missing.length > 0)
    throw new Refusal('constraint.invalid', '', `Rules are used but not defined: ${missing.slice(0, 10).join(', ')}.`, 'Define them.');
  if (pruned(grammar) === null)
    throw new Refusal('constraint.invalid', placeOf('root'), 'No finite text matches "root".', 'Give the recursion an end.');
  checkBounds(grammar, placeOf);
}
