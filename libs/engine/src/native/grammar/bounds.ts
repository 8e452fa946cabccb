// What a grammar may cost. llama.cpp keeps every way that an answer could still go on and checks each candidate token against all of them,
// so a small text can hold the engine up for ever; what could is refused before the engine sees it.

import { ambiguityOf } from './ambiguity.js';
import { maxRules } from './builder.js';
import type { Expression, Grammar } from './expression.js';
import { type ConstraintFaultCode, Refusal } from './refusal.js';
import { emptyRules, mayBeEmpty, rulesIn } from './shape.js';

const maxElements = 100_000;
/** Rules that are entered before the first character is known. */
const maxEntered = 1_024;
/** Ways to read one beginning of an answer. */
const maxReadings = 256;

/** Where the author of the constraint finds a rule: a JSON pointer, or its place in the text. */
export type FieldOf = (ruleName: string) => string;

/** Throws Refusal for a grammar that llama.cpp would refuse, hang on, or be slowed by beyond measure. All references must be defined. */
export function checkBounds(grammar: Grammar, fieldOf: FieldOf): void {
  const empty = emptyRules(grammar);
  checkLoops(grammar, empty, fieldOf);
  checkSize(grammar, fieldOf);
  checkEntry(grammar, empty, fieldOf);
  const readings = ambiguityOf(grammar, maxReadings);
  if (readings.rule !== null)
    throw refused(
      'constraint.too-large',
      fieldOf(readings.rule),
      readings.recursive
        ? 'Alternatives that contain each other begin alike: each level of nesting would double the work.'
        : `One beginning of an answer could be read in more than ${maxReadings} ways.`,
      'Let each alternative begin with something of its own, such as a first required property with a const.',
    );
}

/** Left recursion, with rules that may be empty looked through, which llama.cpp's own check does not; and repeated emptiness. */
function checkLoops(grammar: Grammar, empty: ReadonlySet<string>, fieldOf: FieldOf): void {
  const state = new Map<string, 'open' | 'done'>();
  const enter = (name: string): void => {
    state.set(name, 'open');
    for (const next of leftmost(grammar.get(name) as Expression, empty, name, fieldOf)) {
      if (state.get(next) === 'open')
        throw refused(
          'constraint.unsupported',
          fieldOf(next),
          `The rule "${next}" begins with itself (left recursion).`,
          'Rewrite it as a repetition: item (op item)*.',
        );
      if (!state.has(next)) enter(next);
    }
    state.set(name, 'done');
  };
  for (const name of grammar.keys()) if (!state.has(name)) enter(name);
}

function leftmost(expression: Expression, empty: ReadonlySet<string>, name: string, fieldOf: FieldOf): string[] {
  switch (expression.kind) {
    case 'rule':
      return [expression.name];
    case 'sequence': {
      const found: string[] = [];
      let open = true;
      for (const part of expression.parts) {
        const inside = leftmost(part, empty, name, fieldOf);
        if (open) found.push(...inside);
        open &&= mayBeEmpty(part, empty);
      }
      return found;
    }
    case 'choice':
      return expression.options.flatMap((option) => leftmost(option, empty, name, fieldOf));
    case 'repeat':
      if (expression.max !== 1 && mayBeEmpty(expression.part, empty))
        throw refused(
          'constraint.unsupported',
          fieldOf(name),
          `The rule "${name}" repeats something that may be empty.`,
          'Make the repeated part non-empty.',
        );
      return leftmost(expression.part, empty, name, fieldOf);
    default:
      return [];
  }
}

interface Size {
  readonly rules: number;
  readonly elements: number;
}

/** llama.cpp writes repetitions out: counts what comes of it. */
function checkSize(grammar: Grammar, fieldOf: FieldOf): void {
  let rules = 0;
  let elements = 0;
  for (const [name, body] of grammar) {
    const size = sizeOf(body);
    rules += 1 + size.rules;
    elements += size.elements + 1;
    if (rules > maxRules || elements > maxElements)
      throw refused(
        'constraint.too-large',
        fieldOf(name),
        `With its repetitions written out the grammar has more than ${maxRules} rules or ${maxElements} symbols.`,
        'Lower the counts (maxLength, maxItems, {m,n}), or leave upper bounds out.',
      );
  }
}

function sizeOf(expression: Expression): Size {
  switch (expression.kind) {
    case 'text':
      return { rules: 0, elements: expression.text.length };
    case 'chars':
      return { rules: 0, elements: 2 * expression.set.length };
    case 'token':
    case 'rule':
      return { rules: 0, elements: 1 };
    case 'sequence':
      return total(expression.parts.map(sizeOf));
    case 'choice': {
      const inside = total(expression.options.map(sizeOf));
      return { rules: inside.rules + 1, elements: inside.elements + expression.options.length + 1 };
    }
    case 'repeat': {
      const part = sizeOf(expression.part);
      const added = expression.max === null ? 1 : expression.max - expression.min;
      return { rules: part.rules + 1 + added, elements: part.elements * (1 + expression.min + added) + 3 * added };
    }
  }
}

function total(sizes: readonly Size[]): Size {
  return sizes.reduce((sum, size) => ({ rules: sum.rules + size.rules, elements: sum.elements + size.elements }), {
    rules: 0,
    elements: 0,
  });
}

/** llama.cpp walks all rules that stand leftmost, and again for each way that leads to them. */
function checkEntry(grammar: Grammar, empty: ReadonlySet<string>, fieldOf: FieldOf): void {
  const known = new Map<string, number>();
  const entered = (expression: Expression): number => {
    switch (expression.kind) {
      case 'rule': {
        const name = expression.name;
        const count = known.get(name) ?? 1 + entered(grammar.get(name) as Expression);
        known.set(name, count);
        if (count > maxEntered)
          throw refused(
            'constraint.too-large',
            fieldOf(name),
            `The rule "${name}" opens more than ${maxEntered} alternatives at once.`,
            'Use fewer alternatives.',
          );
        return count;
      }
      case 'sequence': {
        let sum = 0;
        for (const part of expression.parts) {
          sum += entered(part);
          if (!mayBeEmpty(part, empty)) break;
        }
        return sum;
      }
      case 'choice':
        return expression.options.reduce((sum, option) => sum + entered(option), 1);
      case 'repeat':
        return 1 + entered(expression.part);
      default:
        return 1;
    }
  };
  for (const name of grammar.keys()) entered({ kind: 'rule', name });
}

/** Rules that are referred to but not there. */
export function undefinedRules(grammar: Grammar): string[] {
  return [...new Set([...grammar.values()].flatMap(rulesIn))].filter((name) => !grammar.has(name));
}

function refused(code: ConstraintFaultCode, field: string, message: string, remedy: string): Refusal {
  return new Refusal(code, field, message, remedy);
}
