// The second opinion on grammars: llama.cpp's own parser and matcher, in a process of its own, because a bad grammar may end it.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Constraint, gbnfOf } from '#libs/engine';
import { satisfies, schemasAndValues } from '../support/schemas.js';

interface Question {
  readonly grammar: string;
  readonly texts: readonly string[];
}

/** Per question: null when llama.cpp refuses the grammar, else for each text whether it matches. */
type Answer = readonly boolean[] | null;

const child = fileURLToPath(new URL('../support/llama-grammars.mjs', import.meta.url));

function askLlama(questions: readonly Question[]): Promise<readonly Answer[]> {
  return new Promise((resolve, reject) => {
    const options = { timeout: 170_000, maxBuffer: 16 << 20 };
    const running = execFile(process.execPath, [child], options, (error, stdout) => {
      if (error) reject(error);
      else resolve(JSON.parse(stdout.slice(stdout.lastIndexOf('\n'))) as Answer[]);
    });
    // A child that died early reports why through its exit.
    running.stdin?.on('error', () => {}).end(JSON.stringify(questions));
  });
}

function grammarOf(constraint: Constraint): string {
  const made = gbnfOf(constraint);
  if (!made.ok) throw new Error(`${made.fault.field}: ${made.fault.message}`);
  return made.value;
}

const person = {
  type: 'object',
  properties: {
    name: { type: 'string', minLength: 1, maxLength: 3 },
    age: { type: 'integer', minimum: 0, maximum: 150 },
    tags: { type: 'array', items: { enum: ['a', 'b"'] }, minItems: 1, maxItems: 2 },
  },
  required: ['name'],
  additionalProperties: false,
};
const tree = {
  type: 'object',
  properties: { left: { $ref: '#' }, value: { type: 'number' } },
  required: ['value'],
  additionalProperties: false,
};
const string = (more: object): Record<string, unknown> => ({ type: 'string', ...more });

const table: readonly (readonly [schema: Record<string, unknown>, right: readonly string[], wrong: readonly string[]])[] = [
  [
    person,
    [
      '{"name":"é😀x"}',
      '{"name":"a","age":150}',
      '{"name":"\\u0041","tags":["b\\""]}',
      '{ "name": "a",\n  "age": 9,\n\t"tags": [\n"a", "a" ] }',
    ],
    [
      '{}',
      '{"name":""}',
      '{"name":"abcd"}',
      '{"name":"a","age":151}',
      '{"name":"a","tags":[]}',
      '{"name":"a",}',
      '{"name":"a"} ',
      '{  "name":"a"}',
      '{"age":1,"name":"a"}',
    ],
  ],
  [
    tree,
    ['{"value":-0.5e-7}', '{"left":{"left":{"value":1},"value":2},"value":3}'],
    ['{"left":{},"value":1}', '{"value":01}', '{"value":1e999}', '{"value":.5}'],
  ],
  [
    { type: 'object', properties: { key: { type: 'null' } } },
    ['{}', '{"key":null,"keys":1}', '{"ke":[{}]}', '{"\\"":{"a":[]}}'],
    ['{"key":1}', '{"k\\u0065y":1}', '{"a":1,"key":2}'],
  ],
  [string({}), ['"\\ud83d\\ude00"', '"\\/"', '"\u007f"'], ['"\\ud83d"', '"\\ude00"', '"\n"', '"\\x"', '"a', '""x']],
  [string({ pattern: '^(?:\\d{2,3}|[^a-z\\s"]+)$' }), ['"12"', '"ÄB"', '"\\\\"', '"A\\u0001"'], ['"a"', '"A b"', '"\\""', '""']],
  [
    string({ format: 'date' }),
    ['"2024-02-29"', '"2000-02-29"', '"1999-12-31"'],
    ['"2023-02-29"', '"1900-02-29"', '"2024-04-31"', '"24-01-01"'],
  ],
  [string({ format: 'email' }), ['"a.b+c@example.co.uk"'], ['"a@b"', '"a..b@c.de"', '"a@-b.de"', '"@b.de"', '"a b@c.de"']],
  [{ type: 'integer', minimum: -42 }, ['-42', '-9', '0', '41', '9007199254740991'], ['-43', '-0', '-100', '1.0', '00']],
  [{ type: 'number', exclusiveMinimum: -1, maximum: 10 }, ['-0.5', '0', '9.99', '10', '10.00'], ['-1', '-1.5', '10.01', '11', '1e1', '-0']],
  [
    { anyOf: [{ type: 'array', prefixItems: [{ const: 1 }], items: false }, { type: ['boolean', 'null'] }] },
    ['[]', '[1]', 'true', 'null'],
    ['[1,1]', '[2]', '0'],
  ],
  [
    {
      allOf: [
        { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] },
        { properties: { a: { minimum: 5 } }, additionalProperties: false },
      ],
    },
    ['{"a":5}'],
    ['{"a":4}', '{"a":5,"b":1}', '{}'],
  ],
];

describe('llama.cpp agrees', () => {
  it('on what a schema lets through', async () => {
    const answers = await askLlama(
      table.map(([schema, right, wrong]) => ({ grammar: grammarOf({ kind: 'jsonSchema', schema }), texts: [...right, ...wrong] })),
    );
    expect(answers).toEqual(table.map(([, right, wrong]) => [...right.map(() => true), ...wrong.map(() => false)]));
  });

  it('on any JSON object', async () => {
    const right = ['{}', '{"a":{"b":[1,-2.5e+3,true,null,"x"]}}', '{\n  "a": [\n    1\n  ]\n}'];
    const wrong = ['[]', '{"a"}', '{"a":1', '{"a":1}}', '{"a":1,,"b":2}', `{${' '.repeat(2)}}`, `{\n${' '.repeat(41)}}`];
    const [answer] = await askLlama([{ grammar: grammarOf({ kind: 'jsonObject' }), texts: [...right, ...wrong] }]);
    expect(answer).toEqual([...right.map(() => true), ...wrong.map(() => false)]);
  });

  it('with ajv on random schemas and values', async () => {
    const cases = fc.sample(schemasAndValues, 200).flatMap(({ schema, value }) => {
      const made = gbnfOf({ kind: 'jsonSchema', schema });
      return made.ok ? [{ schema, value, question: { grammar: made.value, texts: [JSON.stringify(value)] } }] : [];
    });
    const answers = await askLlama(cases.map((each) => each.question));
    const wrong = cases.filter((each, index) => answers[index]?.[0] !== satisfies(each.schema, each.value));
    expect(wrong.slice(0, 3)).toEqual([]);
    expect(cases.length).toBeGreaterThan(100);
  }, 180_000);

  it('to read the largest grammars that are let through', async () => {
    const names = Array.from({ length: 150 }, (_, n) => `property${n}`);
    const wide = { type: 'object', properties: Object.fromEntries(names.map((name) => [name, { type: 'string' }])) };
    const grammars = [
      grammarOf({ kind: 'jsonSchema', schema: wide }),
      grammarOf({ kind: 'jsonSchema', schema: string({ maxLength: 2_000 }) }),
      grammarOf({ kind: 'jsonSchema', schema: { enum: Array.from({ length: 1_000 }, (_, n) => `value ${n * 7919}`) } }),
      grammarOf({ kind: 'gbnf', grammar: 'root ::= ("a"? "b"? "c"?) (x | y){0,666}\nx ::= "x"\ny ::= "y" |\n  "z"' }),
    ];
    const texts = ['{"property7":"x","property149":"y","property":1}', JSON.stringify('x'.repeat(2_000)), '"value 7919"', 'acxyzx'];
    const answers = await askLlama(grammars.map((grammar, index) => ({ grammar, texts: [texts[index] as string] })));
    expect(answers).toEqual([[true], [true], [true], [true]]);
  });
});
