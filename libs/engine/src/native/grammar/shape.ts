// What a whole grammar is like: which rules can be empty, which can end, and which nobody can reach.
import { choice, type Expression, type Grammar, isNever, never, optional, sequence } from './expression.js';

/** Names of rules that match the empty text. */
export function emptyRules(grammar: Grammar): ReadonlySet<string> {
  return growing(grammar, (body, empty) => mayBeEmpty(body, empty));
}

export function mayBeEmpty(expression: Expression, emptyRuleNames: ReadonlySet<string>): boolean {
  switch (expression.kind) {
    case 'rule':
      return emptyRuleNames.has(expression.name);
    case 'sequence':
      return expression.parts.every((part) => mayBeEmpty(part, emptyRuleNames));
    case 'choice':
      return expression.options.some((option) => mayBeEmpty(option, emptyRuleNames));
    case 'repeat':
      return expression.min === 0 || mayBeEmpty(expression.part, emptyRuleNames);
    default:
      return false;
  }
}

/** The rules that matter: parts that can never end are cut out, and so are rules out of reach. Null when the root itself cannot end. */
export function pruned(grammar: Grammar): Grammar | null {
  const ending = growing(grammar, canEnd);
  if (!ending.has('root')) return null;
  const kept = new Map<string, Expression>();
  const waiting = ['root'];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (kept.has(name)) continue;
    const body = cut(grammar.get(name) ?? never, ending);
    kept.set(name, body);
    waiting.push(...rulesIn(body));
  }
  return kept;
}

/** Names of the rules that an expression refers to. */
export function rulesIn(expression: Expression): string[] {
  switch (expression.kind) {
    case 'rule':
      return [expression.name];
    case 'sequence':
      return expression.parts.flatMap(rulesIn);
    case 'choice':
      return expression.options.flatMap(rulesIn);
    case 'repeat':
      return rulesIn(expression.part);
    default:
      return [];
  }
}

/** The least set of names closed under `holds`. */
function growing(grammar: Grammar, holds: (body: Expression, names: ReadonlySet<string>) => boolean): Set<string> {
  const users = new Map<string, string[]>();
  for (const [name, body] of grammar) {
    for (const used of new Set(rulesIn(body))) {
      const known = users.get(used);
      if (known) known.push(name);
      else users.set(used, [name]);
    }
  }
  const names = new Set<string>();
  const waiting = [...grammar.keys()];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (names.has(name) || !holds(grammar.get(name) ?? never, names)) continue;
    names.add(name);
    waiting.push(...(users.get(name) ?? []));
  }
  return names;
}

function canEnd(expression: Expression, ending: ReadonlySet<string>): boolean {
  switch (expression.kind) {
    case 'rule':
      return ending.has(expression.name);
    case 'sequence':
      return expression.parts.every((part) => canEnd(part, ending));
    case 'choice':
      return expression.options.some((option) => canEnd(option, ending));
    case 'repeat':
      return expression.min === 0 || canEnd(expression.part, ending);
    default:
      return true;
  }
}

function cut(expression: Expression, ending: ReadonlySet<string>): Expression {
  switch (expression.kind) {
    case 'rule':
      return ending.has(expression.name) ? expression : never;
    case 'sequence': {
      const parts = expression.parts.map((part) => cut(part, ending));
      return parts.some(isNever) ? never : sequence(...parts);
    }
    case 'choice':
      return choice(...expression.options.map((option) => cut(option, ending)));
    case 'repeat': {
      const part = cut(expression.part, ending);
      return isNever(part) ? (expression.min === 0 ? optional(never) : never) : { ...expression, part };
    }
    default:
      return expression;
  }
}

/**
 * A number per rule, the same for rules that refer to each other in a circle (Tarjan's strongly connected components). In an order in which
 * what a rule uses comes before it, circles aside.
 */
export function circlesOf(grammar: Grammar): ReadonlyMap<string, number> {
  const circles = new Map<string, number>();
  const seen = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  // By hand instead of by recursion: a chain of thousands of rules is allowed.
  for (const start of grammar.keys()) {
    if (seen.has(start)) continue;
    const path: { readonly name: string; readonly used: string[] }[] = [];
    const enter = (name: string): void => {
      seen.set(name, seen.size);
      low.set(name, seen.get(name) as number);
      stack.push(name);
      path.push({ name, used: rulesIn(grammar.get(name) ?? never) });
    };
    const lower = (name: string, to: number): void => void low.set(name, Math.min(low.get(name) as number, to));
    enter(start);
    for (let at = path.at(-1); at !== undefined; at = path.at(-1)) {
      const next = at.used.pop();
      if (next !== undefined) {
        if (!seen.has(next)) enter(next);
        else if (!circles.has(next)) lower(at.name, seen.get(next) as number);
        continue;
      }
      path.pop();
      const above = path.at(-1);
      if (above) lower(above.name, low.get(at.name) as number);
      if (low.get(at.name) !== seen.get(at.name)) continue;
      const id = circles.size;
      for (let member = stack.pop(); member !== undefined; member = stack.pop()) {
        circles.set(member, id);
        if (member === at.name) break;
      }
    }
  }
  return circles;
}
