// In how many ways one beginning of a text can be read at a time: alternatives that begin alike are all kept alive until they differ.
import type { Expression, Grammar } from './expression.js';
import { type Effort, type Head, headsOf, longestHead, told } from './heads.js';
import { circlesOf, rulesIn } from './shape.js';

/** The rule in which it goes too far; null when it does not. `recursive`: there is no bound at all. */
export interface Ambiguity {
  readonly rule: string | null;
  readonly recursive: boolean;
}

/**
 * Alternatives add up where they begin alike and do not where their first characters tell them apart; what stands one after the other does
 * not multiply, because readings meet again at its end. An estimate that errs on the side of refusal for what the schema converter makes.
 */
export function ambiguityOf(grammar: Grammar, most: number): Ambiguity {
  return new Reader(grammar, most).read();
}

class Reader {
  private readonly circles: ReadonlyMap<string, number>;
  private readonly known = new Map<string, number>();
  private readonly effort: Effort = { steps: 300_000 };

  constructor(
    private readonly grammar: Grammar,
    private readonly most: number,
  ) {
    this.circles = circlesOf(grammar);
  }

  read(): Ambiguity {
    // Rules that a rule uses come before it, or are in its own circle.
    for (const name of [...this.circles.keys()]) {
      const body = this.grammar.get(name) as Expression;
      if (this.recursive(name, body)) return { rule: name, recursive: true };
      const count = this.readings(body);
      this.known.set(name, count);
      if (count > this.most) return { rule: name, recursive: false };
    }
    return { rule: null, recursive: false };
  }

  /** Two alternatives that begin alike and both lead back to the rule that they stand in. */
  private recursive(name: string, expression: Expression): boolean {
    switch (expression.kind) {
      case 'sequence':
        return expression.parts.some((part) => this.recursive(name, part));
      case 'repeat':
        return this.recursive(name, expression.part);
      case 'choice': {
        const circle = this.circles.get(name);
        const returning = expression.options.filter((option) => rulesIn(option).some((used) => this.circles.get(used) === circle));
        return this.alike(returning).some((group) => group.length > 1) || expression.options.some((option) => this.recursive(name, option));
      }
      default:
        return false;
    }
  }

  private readings(expression: Expression): number {
    switch (expression.kind) {
      case 'rule':
        return this.known.get(expression.name) ?? 1;
      case 'sequence':
        return expression.parts.reduce((most, part) => Math.max(most, this.readings(part)), 1);
      case 'repeat':
        return this.readings(expression.part);
      case 'choice':
        return this.alike(expression.options).reduce(
          (most, group) =>
            Math.max(
              most,
              group.reduce((sum, option) => sum + this.readings(option), 0),
            ),
          1,
        );
      default:
        return 1;
    }
  }

  /** Groups of alternatives that cannot all be told apart by how they begin. */
  private alike(options: readonly Expression[]): readonly (readonly Expression[])[] {
    const nonEmpty = options.filter((option) => !(option.kind === 'sequence' && option.parts.length === 0));
    if (nonEmpty.length < 2) return [nonEmpty];
    const first = nonEmpty.map((option) => headsOf(this.grammar, option, 1, this.effort));
    const whole = new Map<number, readonly Head[] | null>();
    const headsAt = (index: number): readonly Head[] | null => {
      const known = whole.get(index);
      if (known !== undefined) return known;
      const heads = headsOf(this.grammar, nonEmpty[index] as Expression, longestHead, this.effort);
      whole.set(index, heads);
      return heads;
    };
    const group = nonEmpty.map((_, index) => index);
    for (let a = 0; a < nonEmpty.length; a += 1) {
      for (let b = 0; b < a; b += 1) {
        // Most alternatives differ in their first character already; a longer look costs more.
        if (group[a] === group[b] || this.apart(first[a], first[b]) || this.apart(headsAt(a), headsAt(b))) continue;
        const [from, to] = [group[a], group[b]];
        for (let each = 0; each <= a; each += 1) if (group[each] === from) group[each] = to as number;
      }
    }
    return [...new Set(group)].map((id) => nonEmpty.filter((_, index) => group[index] === id));
  }

  private apart(some: readonly Head[] | null | undefined, others: readonly Head[] | null | undefined): boolean {
    if (!some || !others) return false;
    this.effort.steps -= some.length * others.length;
    return this.effort.steps >= 0 && told(some, others);
  }
}
