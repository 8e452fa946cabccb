// Collects the rules of one grammar: equal bodies share a rule, and names are what llama.cpp reads.
import { type Expression, isNever, never, nothing, optional, rule } from './expression.js';
import { printExpression } from './print.js';
import { Refusal } from './refusal.js';

/** llama.cpp's own limit for one repetition; past it an upper bound would silently become none. */
export const maxRepetitions = 2_000;
export const maxRules = 5_000;

export class GrammarBuilder {
  readonly rules = new Map<string, Expression>();
  /** Where in the schema each rule comes from: a JSON pointer. */
  readonly places = new Map<string, string>();
  /** What is being converted now. */
  place = '';
  private readonly counts = new Map<string, number>();
  private readonly byBody = new Map<string, string>();
  private readonly made = new Map<string, Expression>();

  /** A name that will get its body later, for rules that may refer to themselves. `hint` may be any text. */
  reserve(hint: string): string {
    if (this.rules.size >= maxRules)
      throw new Refusal(
        'constraint.too-large',
        this.place,
        `The schema needs more than ${maxRules} grammar rules.`,
        'Use a smaller schema.',
      );
    const base =
      hint
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, '-')
        .replace(/^-+|-+$/g, '')
        .slice(0, 40) || 'part';
    let name = base;
    let count = this.counts.get(base) ?? 1;
    for (; this.rules.has(name); name = `${base}-${count}`) count += 1;
    this.counts.set(base, count);
    this.rules.set(name, never);
    this.places.set(name, this.place);
    return name;
  }

  fill(name: string, body: Expression): Expression {
    this.rules.set(name, body);
    return rule(name);
  }

  /** A rule with this body; the same one when it exists. */
  define(hint: string, body: Expression): Expression {
    if (body.kind === 'rule' || isNever(body)) return body;
    const key = printExpression(body);
    const known = this.byBody.get(key);
    if (known !== undefined) return rule(known);
    const name = this.reserve(hint);
    this.byBody.set(key, name);
    return this.fill(name, body);
  }

  /** What `make` returned the first time under this key. */
  once(key: string, make: () => Expression): Expression {
    const known = this.made.get(key);
    if (known) return known;
    const expression = make();
    this.made.set(key, expression);
    return expression;
  }

  /** `part` from `min` to `max` times. What is repeated gets a rule of its own, so that only the count weighs against llama.cpp's limit. */
  repeat(part: Expression, min: number, max: number | null): Expression {
    if (max === 0) return nothing;
    if (isNever(part)) return min === 0 ? nothing : never;
    if (min === 1 && max === 1) return part;
    if (min === 0 && max === 1) return optional(part);
    const single = part.kind === 'chars' || part.kind === 'rule' || part.kind === 'text';
    return { kind: 'repeat', part: single ? part : this.define('part', part), min, max };
  }
}
