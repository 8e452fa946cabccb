// The grammar of calls: names of functions, each with arguments that its own schema allows, in the model's syntax.
import type { Fault, Outcome } from '#libs/base';
import type { Constraint } from '../../engine.js';
import { choice, type Expression, type Grammar, nothing, rule, sequence, text } from '../grammar/expression.js';
import { boundedText } from '../grammar/gbnf-of.js';
import type { ConstraintFaultCode } from '../grammar/refusal.js';
import { schemaGrammar } from '../grammar/schema-grammar.js';
import type { CallPlan } from './call-plan.js';
import type { CallSyntax } from './call-syntax.js';

export interface CallFunction {
  readonly name: string;
  readonly schema: Readonly<Record<string, unknown>>;
}

export interface CallForm {
  readonly syntax: CallSyntax;
  readonly start: CallPlan['start'];
  /** What may be said instead of calling; null: nothing is held. */
  readonly answer: Constraint | null;
  readonly several: boolean;
}

/** Matches from where the plan starts to the end of the answer; after the opening where text may come before it. */
export function callGrammar(
  functions: readonly CallFunction[],
  { syntax, start, answer, several }: CallForm,
): Outcome<string, Fault<ConstraintFaultCode>> {
  return boundedText(() => {
    const rules = new Map<string, Expression>([['root', nothing]]);
    const place = new Map<string, string>();
    const add = (schema: unknown, prefix: string, field: string): Expression => {
      const made = schemaGrammar(schema);
      for (const [name, body] of renamed(made.grammar, prefix)) {
        rules.set(name, body);
        place.set(name, field);
      }
      return rule(`${prefix}root`);
    };
    const calls = functions.map(({ name, schema }, index) => {
      const given = add(schema, `f${index}-`, `tools.${index}.function.parameters`);
      return { name, given, after: text(syntax.afterArguments(name)) };
    });
    const whole = calls.map(({ name, given, after }) => sequence(text(name + syntax.beforeArguments(name)), given, after));
    rules.set('call', choice(...whole));
    const end = text(syntax.end);
    rules.set('next-call', sequence(text(syntax.between ?? ''), rule('call')));
    const more: Expression = several ? { kind: 'repeat', part: rule('next-call'), min: 0, max: null } : nothing;
    const all = sequence(rule('call'), more, end);
    const named = typeof start === 'object' ? calls.find(({ name }) => name === start.name) : undefined;
    if (named) rules.set('root', sequence(named.given, named.after, end));
    else if (answer === null) rules.set('root', all);
    else {
      const schema = answer.kind === 'jsonSchema' ? answer.schema : { type: 'object' };
      rules.set('root', choice(add(schema, 'answer-', 'response_format'), sequence(text(syntax.opening), all)));
    }
    return { grammar: rules, placeOf: (name) => place.get(name) ?? 'tools' };
  });
}

/** The same rules under names of their own, so that several grammars can stand in one. */
function renamed(grammar: Grammar, prefix: string): Grammar {
  const of = (expression: Expression): Expression => {
    switch (expression.kind) {
      case 'rule':
        return rule(prefix + expression.name);
      case 'sequence':
        return { kind: 'sequence', parts: expression.parts.map(of) };
      case 'choice':
        return { kind: 'choice', options: expression.options.map(of) };
      case 'repeat':
        return { ...expression, part: of(expression.part) };
      default:
        return expression;
    }
  };
  return new Map([...grammar].map(([name, body]) => [prefix + name, of(body)]));
}
