import { describe, expect, it } from 'vitest';
import { gbnfOf } from './gbnf-of.js';

function grammarOf(schema: Readonly<Record<string, unknown>>): string {
  const made = gbnfOf({ kind: 'jsonSchema', schema });
  if (!made.ok) throw new Error(`${made.fault.field}: ${made.fault.message}`);
  return made.value;
}

function faultOf(schema: Readonly<Record<string, unknown>>): readonly [code: string, field: string | undefined] {
  const made = gbnfOf({ kind: 'jsonSchema', schema });
  if (made.ok) throw new Error(`taken: ${made.value}`);
  expect(made.fault.remedy).toMatch(/\.$/);
  expect(made.fault.retryable).toBe(false);
  return [made.fault.code, made.fault.field];
}

const list = (items: unknown, more: object = {}): object => ({ type: 'array', items, ...more });
const closed = (properties: object, required = Object.keys(properties)): Record<string, unknown> => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
});

describe('the grammar of a schema', () => {
  it('asks for declared properties in their order and lets optional ones go with their comma', () => {
    expect(grammarOf(closed({ a: { type: 'null' }, b: { type: 'boolean' }, c: { const: 1 } }, ['a']))).toBe(
      [
        'root ::= object',
        'object ::= "{" ws members ws "}"',
        'ws ::= " " | "\\n" [\\t ]{0,40} | ""',
        'members ::= "\\"a\\":" ws a rest-2',
        'rest-2 ::= ("," ws "\\"b\\":" ws b | "") rest',
        'rest ::= "," ws "\\"c\\":" ws c | ""',
        'c ::= "1"',
        'b ::= "true" | "false"',
        'a ::= "null"',
        '',
      ].join('\n'),
    );
  });

  it('joins what listed values have in common', () => {
    expect(grammarOf({ enum: ['red', 'green', 'grey', 7, null] })).toBe(
      'root ::= value\nvalue ::= "\\"" ("red\\"" | "gre" ("en\\"" | "y\\"")) | "7" | "null"\n',
    );
  });

  it('writes bounds of whole numbers digit by digit', () => {
    expect(grammarOf({ type: 'integer', minimum: -5, exclusiveMaximum: 151 })).toContain(
      'value ::= [0-9] | [1-9] [0-9] | "1" ([0-4] [0-9] | "50") | "-" [1-5]\n',
    );
    expect(grammarOf({ type: 'number', minimum: 0, maximum: 1 })).toContain('value ::= "0" (fraction | "") | "1" ("." [0]{1,24} | "")\n');
  });

  it('closes recursion on itself', () => {
    const node = closed({ next: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] } });
    expect(grammarOf({ $ref: '#/$defs/node', $defs: { node } })).toContain('next ::= object | next-2\n');
  });

  it('leaves out optional properties that nothing satisfies', () => {
    expect(grammarOf(closed({ a: false, b: { type: 'null' } }, ['b']))).not.toContain('\\"a\\"');
  });

  it('ignores annotations and whatever begins with x-', () => {
    const plain = { type: 'string' };
    const noted = { ...plain, title: 'T', description: 'D', default: 1, examples: [], $schema: 's', $id: 'i', strict: true, 'x-order': 1 };
    expect(grammarOf(noted)).toBe(grammarOf(plain));
  });

  it('takes keywords of one kind without a type for that kind', () => {
    expect(grammarOf({ minLength: 2 })).toBe(grammarOf({ type: 'string', minLength: 2 }));
    expect(grammarOf({ properties: { a: {} } })).toBe(grammarOf({ type: 'object', properties: { a: {} } }));
  });

  it('says any object the same way for json_object and for a bare object schema', () => {
    expect(gbnfOf({ kind: 'jsonObject' })).toEqual({ ok: true, value: grammarOf({ type: 'object' }) });
  });
});

describe('a schema that cannot be enforced', () => {
  it.each([
    ['not', { not: {} }, '/not'],
    ['conditions', { properties: { a: { if: {} } } }, '/properties/a/if'],
    ['patternProperties', { type: 'object', patternProperties: {} }, '/patternProperties'],
    ['multipleOf', list({ type: 'number', multipleOf: 2 }), '/items/multipleOf'],
    ['uniqueItems', { type: 'array', uniqueItems: true }, '/uniqueItems'],
    ['propertyNames', { propertyNames: {} }, '/propertyNames'],
    ['dependentRequired', { dependentRequired: {} }, '/dependentRequired'],
    ['contains', { contains: {} }, '/contains'],
    ['nullable of OpenAPI', { type: 'string', nullable: true }, '/nullable'],
    ['a keyword with a typing error', { type: 'integer', minimun: 1 }, '/minimun'],
    ['an inner $id', { properties: { a: { $id: 'b' } } }, '/properties/a/$id'],
    ['a reference to elsewhere', { $ref: 'https://example.org/s' }, '/$ref'],
    ['fractional bounds', { type: 'number', minimum: 0.5 }, '/minimum'],
    ['bounds beyond a double', { type: 'integer', maximum: 2 ** 60 }, '/maximum'],
    ['an unknown format', { type: 'string', format: 'hostname' }, '/format'],
    ['two patterns', { allOf: [{ type: 'string', pattern: 'a' }, { pattern: 'b' }] }, '/allOf/1/pattern'],
    ['a pattern of other lengths', { type: 'string', pattern: '^a+$', maxLength: 3 }, '/pattern'],
    ['a back reference', { type: 'string', pattern: '(a)\\1' }, '/pattern'],
    ['a look ahead', { type: 'string', pattern: '(?=a)b' }, '/pattern'],
    ['a word boundary', { type: 'string', pattern: '\\ba' }, '/pattern'],
    ['an anchor inside', { type: 'string', pattern: 'a(^b)' }, '/pattern'],
    ['a repetition of what may be empty', { type: 'string', pattern: '^(a*)*$' }, '/pattern'],
    ['a pattern beside values', { enum: ['a'], pattern: 'a' }, '/pattern'],
    ['the old list of items', { type: 'array', items: [{}] }, '/items'],
    ['a count of members', { type: 'object', minProperties: 2 }, '/minProperties'],
    ['a most of members', { type: 'object', properties: { a: {}, b: {} }, maxProperties: 1 }, '/maxProperties'],
    ['a circle of references', { $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/a' } } }, '/$defs/a'],
  ])('is refused by its field: %s', (_, schema, field) => {
    expect(faultOf(schema as Record<string, unknown>)).toEqual(['constraint.unsupported', field]);
  });

  it.each([
    ['a type that is none', { type: 'text' }, '/type'],
    ['a reference to nothing', { $ref: '#/$defs/a' }, '/$ref'],
    ['a schema that is none', { properties: { 'a/b': 3 } }, '/properties/a~1b'],
    ['bounds that are none', { minimum: '3' }, '/minimum'],
    ['counts that are none', { minLength: -1 }, '/minLength'],
    ['values that are none', { enum: [] }, '/enum'],
    ['alternatives that are none', { anyOf: [] }, '/anyOf'],
    ['a contradiction', { allOf: [{ type: 'string' }, { type: 'null' }] }, ''],
    ['endless demand', { $ref: '#/$defs/a', $defs: { a: closed({ a: { $ref: '#/$defs/a' } }) } }, ''],
  ])('is refused as broken: %s', (_, schema, field) => {
    expect(faultOf(schema as Record<string, unknown>)).toEqual(['constraint.invalid', field]);
  });
});

describe('a schema that would blow up the engine', () => {
  const chain = (length: number, link: (next: object) => object): Record<string, unknown> => {
    const $defs = Object.fromEntries(Array.from({ length }, (_, n) => [`d${n}`, link({ $ref: `#/$defs/d${n + 1}` })]));
    return { $ref: '#/$defs/d0', $defs: { ...$defs, [`d${length}`]: { type: 'null' } } };
  };

  it.each([
    ['counts beyond llama.cpp', { type: 'string', maxLength: 2_001 }, '/maxLength'],
    ['counts in a pattern that multiply', { type: 'string', pattern: '^a{0,1999}b{0,1999}c{0,1999}$' }, ''],
    [
      'many large counts',
      closed({ a: { type: 'string', maxLength: 2_000 }, b: { type: 'string', maxLength: 1_999 }, c: { type: 'string', maxLength: 1_998 } }),
      '/properties/a',
    ],
    ['64 KB', { description: 'x'.repeat(65_536) }, ''],
    ['nesting', chain(40, (next) => list(next)), '/$defs/d31/items'],
    [
      'alternatives that begin alike at each of many levels',
      chain(12, (next) => ({ anyOf: [list(next), list(next, { maxItems: 3 })] })),
      '/$defs/d2/',
    ],
    [
      'recursive alternatives that begin alike',
      { $ref: '#/$defs/n', $defs: { n: { anyOf: [list({ $ref: '#/$defs/n' }), list({ $ref: '#/$defs/n' }, { maxItems: 3 })] } } },
      '/$defs/n',
    ],
    ['optional properties', { properties: Object.fromEntries(Array.from({ length: 301 }, (_, n) => [`p${n}`, {}])) }, '/properties'],
    [
      'alternatives that multiply',
      { allOf: Array.from({ length: 12 }, (_, n) => ({ anyOf: [{ minLength: n }, { maxLength: 20 + n }] })) },
      '',
    ],
  ])('is refused: %s', (_, schema, field) => {
    const [code, at] = faultOf(schema as Record<string, unknown>);
    expect([code, at?.startsWith(field)]).toEqual(['constraint.too-large', true]);
  });

  it('is taken when recursive alternatives are told apart by a first property', () => {
    const leaf = (kind: string, more: object): object => closed({ kind: { const: kind }, ...more });
    const expression = {
      anyOf: [
        leaf('sum', { of: list({ $ref: '#' }) }),
        leaf('negative', { of: { $ref: '#' } }),
        leaf('number', { value: { type: 'number' } }),
      ],
    };
    expect(grammarOf(expression)).toContain('root ::=');
  });

  it('does not follow references that double at each step twice', () => {
    const doubling = chain(40, (next) => ({ allOf: [next, next] }));
    expect(grammarOf(doubling)).toBe('root ::= value\nvalue ::= "null"\n');
  });
});

describe('a GBNF constraint', () => {
  const of = (grammar: string): ReturnType<typeof gbnfOf> => gbnfOf({ kind: 'gbnf', grammar });

  it.each([
    'root ::= "yes" | "no"',
    '# a list\nroot ::= (\n  "- " item # one\n  "\\n"\n)+\nitem ::= [^\\n\\x00-\\x1f]{1,20} |\n  .\n',
    'root ::= <[1000]> thinking </think> .*\nthinking ::= !</think>*',
    'root ::= expr\nexpr ::= term ([-+*/] term)*\nterm ::= [0-9]+ | "(" expr ")"',
    'root ::= ""\r\n',
  ])('is passed on as it is: %j', (grammar) => {
    expect(of(grammar)).toEqual({ ok: true, value: grammar });
  });

  it.each([
    ['no root', 'start ::= "a"', '', /no rule "root"/],
    ['an undefined rule', 'root ::= a b\na ::= "a"', '', /not defined: b\./],
    ['a rule defined twice', 'root ::= "a"\nroot ::= "b"', 'line 2, column 1', /second time/],
    ['an open parenthesis', 'root ::= ("a"', 'line 1, column 10', /not closed/],
    ['an open quotation mark', 'root ::= "a', 'line 1, column 10', /not closed/],
    ['an open bracket', 'root ::= [a', 'line 1, column 10', /not closed/],
    ['a stray bracket', 'root ::= "a" ]', 'line 1, column 14', /end of the line/],
    ['an unknown escape', 'root ::= "\\q"', 'line 1, column 11', /escape/],
    ['nothing to repeat', 'root ::= *', 'line 1, column 10', /end of the line/],
    ['an empty class', 'root ::= []', 'line 1, column 10', /no characters/],
    ['a count that the engine would drop', 'root ::= "a"{0,2001}', 'line 1, column 13', /beyond 2000/],
    ['a large repeated group', 'root ::= ("a"? "b"? "c"?){0,800}', 'line 1, column 26', /rule of its own/],
    ['no end', 'root ::= "a" root', 'line 1, column 1', /No finite text/],
    ['left recursion', 'root ::= root "a" | "b"', 'line 1, column 1', /left recursion/],
    [
      'left recursion behind what may be empty',
      'root ::= a\na ::= b a "x" | "y"\nb ::= c\nc ::= "c" |',
      'line 2, column 1',
      /left recursion/,
    ],
    ['emptiness repeated', 'root ::= ("a" | b)*\nb ::= "b"?', 'line 1, column 1', /may be empty/],
    [
      'repetitions of repetitions',
      'root ::= a{2000}\na ::= b{1,1999}\nb ::= c{1,1999}\nc ::= [a-z]{1,1999}',
      'line 4, column 1',
      /more than 5000 rules/,
    ],
    [
      'alternatives of alternatives',
      `root ::= r0\n${Array.from({ length: 14 }, (_, n) => `r${n} ::= r${n + 1} | r${n + 1}`).join('\n')}\nr14 ::= "x"`,
      '',
      /at once|ways/,
    ],
    [
      'recursive alternatives that begin alike',
      'root ::= term | term "+" root\nterm ::= "x" | "(" root ")"',
      'line 1, column 1',
      /begin alike/,
    ],
    ['a NUL', 'root ::= "a\0"', 'line 1, column 12', /NUL/],
    ['groups in groups', `root ::= ${'('.repeat(70)}"a"${')'.repeat(70)}`, 'line 1, column 74', /nested/],
    ['64 KB', `root ::= "${'x'.repeat(65_536)}"`, '', /at most 65536/],
  ])('is refused with its place: %s', (_, grammar, field, message) => {
    const made = of(grammar);
    if (made.ok) throw new Error('taken');
    expect(made.fault.message).toMatch(message);
    if (field !== '') expect(made.fault.field).toBe(field);
  });

  it('survives a long chain of rules', () => {
    const rules = Array.from({ length: 1_000 }, (_, n) => `r${n} ::= r${n + 1}`)
      .join('\n')
      .replace('r0', 'root');
    expect(of(`${rules}\nr1000 ::= "x"`).ok).toBe(true);
  });
});
