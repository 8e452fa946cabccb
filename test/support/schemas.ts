// Random JSON schemas of the kind that can be enforced, values beside them (right, nearly right, wrong), and an independent judge of which is which.
import { Ajv2020 } from 'ajv/dist/2020.js';
import { fullFormats } from 'ajv-formats/dist/formats.js';
import fc from 'fast-check';

export type Schema = Readonly<Record<string, unknown>>;

export interface SchemaAndValue {
  readonly schema: Schema;
  readonly value: unknown;
}

/** By ajv: what the converter is held to. */
export function satisfies(schema: Schema, value: unknown): boolean {
  return new Ajv2020({ strict: false, formats: fullFormats }).compile(schema)(value) as boolean;
}

/** A schema with values that suit it: most satisfy it, some miss by little. */
interface Sketch {
  readonly schema: Schema;
  readonly values: fc.Arbitrary<unknown>;
}

const of = (schema: Schema, ...values: fc.Arbitrary<unknown>[]): Sketch => ({ schema, values: fc.oneof(...values) });

const texts = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc.constantFrom('', 'a', 'ab"\\/\n\u0001', 'é😀', '\u007f\u2028', 'abc'),
);
const whole = fc.oneof(
  fc.integer({ min: -130, max: 130 }),
  fc.constantFrom(0, 9, 10, 99, 100, 101, -1, -10, 12_345, Number.MAX_SAFE_INTEGER, -(2 ** 53) + 1),
);
const decimals = fc.oneof(
  whole,
  fc.tuple(fc.integer({ min: -3_000, max: 3_000 }), fc.constantFrom(2, 4, 100)).map(([a, b]) => a / b),
  fc.constantFrom(1e-7, 1.5e-10, 1e21, 1.7e300, 0.1 + 0.2, 123_456_789.125),
);
/** Without an exponent, which a bounded number may not have. */
const plainDecimals = decimals.filter((value) => !String(value).includes('e'));

/** Below 1e308, where the converter ends. */
const anyJson = fc.jsonValue({ maxDepth: 2 }).filter((value) => !JSON.stringify(value).includes('e+308'));

const patterns: readonly (readonly [pattern: string, values: readonly string[]])[] = [
  ['^[a-c]{2,3}$', ['ab', 'abc', 'abcd', 'a', 'xy']],
  ['b+', ['b', 'abba', 'a', '', '"b']],
  ['^a|c$', ['a', 'ax', 'xc', 'ca', 'x']],
  ['^(?:ab|c)*d?$', ['', 'ababc', 'cd', 'dd', 'abab', 'ac']],
  ['^\\d{3}-\\d{2}$', ['123-45', '123-4', '1234-5']],
  ['^[^"\\\\x]*$', ['abc', 'a"', '\\', 'x', '\n']],
  ['^\\w+\\s\\S.$', ['ab cd', 'a\tbé', 'ab', 'a b\n', 'a "\\']],
  ['^.\\u0041\\x42\\u{1F600}$', ['éAB😀', '\nAB😀', 'AB😀']],
  ['^[\\]\\-^]+$', [']-^', 'a', ']']],
  ['^(a|b(c|d){1,2})+?$', ['a', 'bc', 'abcd', 'b', 'bcdc']],
];
const formats: readonly (readonly [format: string, values: readonly string[]])[] = [
  ['date', ['2024-02-29', '2023-02-29', '1900-02-29', '2000-02-29', '2024-04-31', '2024-12-31', '2024-13-01', '2024-1-1']],
  ['time', ['12:00:00Z', '23:59:59.123+02:30', '24:00:00Z', '12:00:00', '12:60:00Z']],
  ['date-time', ['2024-02-29T12:00:00Z', '2023-02-29T12:00:00Z', '2024-01-01T00:00:00.5-08:00', '2024-01-01']],
  ['uuid', ['123e4567-e89b-12d3-a456-426614174000', '123e4567e89b12d3a456426614174000', '123E4567-E89B-12D3-A456-42661417400g']],
  ['ipv4', ['127.0.0.1', '255.255.255.255', '256.0.0.1', '1.2.3', '01.2.3.4']],
];

const leaf: fc.Arbitrary<Sketch> = fc.oneof(
  fc
    .tuple(fc.option(fc.nat(3)), fc.option(fc.nat(5)))
    .map(([minLength, maxLength]) => of({ type: 'string', ...given({ minLength, maxLength }) }, texts)),
  fc.constantFrom(...patterns).map(([pattern, values]) => of({ type: 'string', pattern }, fc.constantFrom(...values), texts)),
  fc.constantFrom(...formats).map(([format, values]) => of({ type: 'string', format }, fc.constantFrom(...values))),
  bounds(whole).map((limits) => of({ type: 'integer', ...limits }, whole, near(limits))),
  bounds(fc.integer({ min: -12, max: 120 })).map((limits) =>
    Object.keys(limits).length === 0 ? of({ type: 'number' }, decimals) : of({ type: 'number', ...limits }, plainDecimals, near(limits)),
  ),
  fc.constantFrom(of({ type: 'boolean' }, fc.boolean()), of({ type: 'null' }, fc.constant(null)), of({}, anyJson)),
  fc.constant(of({ type: ['string', 'null', 'integer'] }, texts, fc.constant(null), whole, fc.boolean())),
  fc
    .uniqueArray(fc.constantFrom<unknown>('a', 'ab', 'abc', 'b"', 1, 2.5, null, true, [1], { k: 'v' }), { minLength: 1, maxLength: 5 })
    .map((values) => of({ enum: values }, fc.constantFrom(...values))),
  fc.constantFrom<unknown>('x', 0, false, null, { a: [] }).map((value) => of({ const: value }, fc.constant(value))),
);

const sketch: fc.Arbitrary<Sketch> = fc.letrec<{ any: Sketch }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    leaf,
    arrayOf(tie('any')),
    objectOf(tie('any')),
    choiceOf(tie('any')),
    bothOf(tie('any')),
  ),
})).any;

/** Values whose keys stand in the order in which all these schemas declare them: by the alphabet. */
export const schemasAndValues: fc.Arbitrary<SchemaAndValue> = fc
  .oneof(sketch, sketch.map(recursive))
  .chain(({ schema, values }) =>
    fc.oneof({ weight: 5, arbitrary: values }, { weight: 1, arbitrary: anyJson }).map((value) => ({ schema, value: inOrder(value) })),
  );

function bounds(around: fc.Arbitrary<number>): fc.Arbitrary<Record<string, number>> {
  const keyword = (one: string, other: string): fc.Arbitrary<Record<string, number>> =>
    fc.oneof(
      fc.constant({}),
      around.map((value) => ({ [one]: value })),
      around.map((value) => ({ [other]: value })),
    );
  return fc
    .tuple(keyword('minimum', 'exclusiveMinimum'), keyword('maximum', 'exclusiveMaximum'))
    .map(([low, high]) => ({ ...low, ...high }));
}

function near(limits: Readonly<Record<string, number>>): fc.Arbitrary<number> {
  const values = Object.values(limits).flatMap((bound) => [bound - 1, bound, bound + 1].filter(Number.isSafeInteger));
  return values.length === 0 ? whole : fc.constantFrom(...values);
}

function arrayOf(item: fc.Arbitrary<Sketch>): fc.Arbitrary<Sketch> {
  return fc
    .tuple(item, fc.array(item, { maxLength: 2 }), fc.option(fc.nat(3)), fc.option(fc.nat(4)), fc.boolean())
    .map(([rest, first, minItems, maxItems, closed]) => {
      const schema = {
        type: 'array',
        ...given({ minItems, maxItems, prefixItems: first.length > 0 ? first.map((each) => each.schema) : null }),
      };
      const values = fc
        .tuple(fc.tuple(...first.map((each) => each.values)), fc.array(rest.values, { maxLength: 3 }), fc.nat(5))
        .map(([head, tail, cut]) => [...head, ...tail].slice(0, cut));
      return of({ ...schema, items: closed && first.length > 0 ? false : rest.schema }, values);
    });
}

function objectOf(member: fc.Arbitrary<Sketch>, names = ['a', 'ab', 'b"', 'c']): fc.Arbitrary<Sketch> {
  const others = fc.oneof(fc.constantFrom(undefined, true, false), member);
  return fc
    .tuple(fc.array(member, { maxLength: names.length }), fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }), others)
    .map(([members, required, other]) => {
      const declared = members.map((each, index) => [names[index] as string, each] as const);
      const additionalProperties = typeof other === 'object' ? other.schema : other;
      const schema = {
        type: 'object',
        properties: Object.fromEntries(declared.map(([name, each]) => [name, each.schema])),
        required: declared.filter((_, index) => required[index]).map(([name]) => name),
        ...(additionalProperties === undefined ? {} : { additionalProperties }),
      };
      const extra = typeof other === 'object' ? other.values : fc.constantFrom<unknown>(1, 'x');
      const values = fc
        .tuple(
          fc.tuple(...declared.map(([, each]) => fc.option(each.values, { nil: undefined, freq: 4 }))),
          fc.dictionary(fc.constantFrom('x', 'y"', 'z😀\n', 'abc'), extra, { maxKeys: 2 }),
          fc.boolean(),
        )
        .map(([values, more, withMore]) => ({
          ...Object.fromEntries(declared.map(([name], index) => [name, values[index]])),
          ...(withMore ? more : {}),
        }));
      return of(schema, values.map(withoutUndefined));
    });
}

function choiceOf(part: fc.Arbitrary<Sketch>): fc.Arbitrary<Sketch> {
  return fc
    .array(part, { minLength: 1, maxLength: 3 })
    .map((parts) => of({ anyOf: parts.map((each) => each.schema) }, ...parts.map((each) => each.values)));
}

/** Two object schemas that hold at once, each open to the other's properties. */
function bothOf(part: fc.Arbitrary<Sketch>): fc.Arbitrary<Sketch> {
  return fc.tuple(objectOf(part, ['a', 'b']), objectOf(part, ['c', 'd'])).map(([one, other]) =>
    of(
      { allOf: [one.schema, other.schema] },
      fc.tuple(one.values, other.values).map(([a, b]) => ({ ...(a as object), ...(b as object) })),
    ),
  );
}

/** A list of what the sketch says, linked by a reference to itself. */
function recursive({ schema, values }: Sketch): Sketch {
  const node = {
    type: 'object',
    properties: { item: schema, next: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] } },
    required: ['item', 'next'],
    additionalProperties: false,
  };
  const link = (item: unknown, next: unknown): unknown => ({ item, next });
  return of(
    { $ref: '#/$defs/node', $defs: { node } },
    values.map((value) => link(value, null)),
    fc.tuple(values, values).map(([a, b]) => link(a, link(b, null))),
    values,
  );
}

function given(keywords: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(keywords).filter(([, value]) => value !== null));
}

function withoutUndefined(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined));
}

function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (typeof value !== 'object' || value === null) return value;
  // Undeclared keys come last; all declared ones are among these.
  const rank = (key: string): string => (['a', 'ab', 'b', 'b"', 'c', 'd', 'item', 'k', 'next'].includes(key) ? `0${key}` : `1${key}`);
  const sorted = Object.entries(value).sort(([a], [b]) => (rank(a) < rank(b) ? -1 : 1));
  return Object.fromEntries(sorted.map(([key, each]) => [key, inOrder(each)]));
}
