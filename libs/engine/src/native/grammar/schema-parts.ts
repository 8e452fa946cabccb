// Takes a JSON schema apart: references followed, `allOf` joined, alternatives listed, and every keyword either known or refused by name.
import { Refusal } from './refusal.js';

export type SchemaObject = Readonly<Record<string, unknown>>;

/** A schema and where it stands. `own`: without its references and combinators, which were dealt with. */
export interface Part {
  readonly pointer: string;
  readonly schema: unknown;
  readonly own: boolean;
}

/** Own keywords of all schemas that hold together, and groups of alternatives of which one each must hold as well. */
export interface Conjunction {
  readonly own: readonly OwnPart[];
  readonly groups: readonly (readonly Part[])[];
  /** A schema `false` is among them. */
  readonly impossible: boolean;
}

export interface OwnPart extends Part {
  readonly schema: SchemaObject;
}

const annotations = new Set(
  '$schema $comment $defs definitions $anchor title description default examples example deprecated readOnly writeOnly strict contentEncoding contentMediaType contentSchema'.split(
    ' ',
  ),
);
const combinators = new Set(['$ref', 'allOf', 'anyOf', 'oneOf']);

/** Keywords that only values of one kind heed. */
export const keywordKinds: Readonly<Record<string, 'object' | 'array' | 'string' | 'number'>> = {
  properties: 'object',
  required: 'object',
  additionalProperties: 'object',
  minProperties: 'object',
  maxProperties: 'object',
  items: 'array',
  prefixItems: 'array',
  minItems: 'array',
  maxItems: 'array',
  minLength: 'string',
  maxLength: 'string',
  pattern: 'string',
  format: 'string',
  minimum: 'number',
  maximum: 'number',
  exclusiveMinimum: 'number',
  exclusiveMaximum: 'number',
};
const kindless = new Set(['type', 'enum', 'const']);

/** Keywords of a schema that say what a value must be. */
export function constraining(schema: SchemaObject): string[] {
  return Object.keys(schema).filter((key) => kindless.has(key) || Object.hasOwn(keywordKinds, key));
}

/** Follows everything that must hold at once. Throws Refusal for unknown keywords, references to nowhere and references to themselves. */
export function conjunctionOf(root: unknown, parts: readonly Part[]): Conjunction {
  const own = new Map<string, OwnPart>();
  const groups = new Map<string, readonly Part[]>();
  const seen = new Set<string>();
  let impossible = false;

  const add = (part: Part, path: readonly string[]): void => {
    const { pointer, schema } = part;
    if (schema === true) return;
    if (schema === false) {
      impossible = true;
      return;
    }
    if (!isSchemaObject(schema)) throw invalid(pointer, 'A schema must be an object, true or false.');
    if (part.own) {
      own.set(pointer, { pointer, schema, own: true });
      return;
    }
    if (path.includes(pointer)) throw unsupported(pointer, 'The schema refers to itself with nothing in between.', 'Remove the circle.');
    // Twice the same demand is once; without this, references that double at each step would never end.
    if (seen.has(pointer)) return;
    seen.add(pointer);
    checkKeywords(schema, pointer);
    const inner = [...path, pointer];
    if (schema['$ref'] !== undefined) add(resolve(root, schema['$ref'], `${pointer}/$ref`), inner);
    for (const each of members(schema, 'allOf', pointer)) add(each, inner);
    for (const keyword of ['anyOf', 'oneOf']) {
      if (schema[keyword] !== undefined) groups.set(`${pointer}/${keyword}`, members(schema, keyword, pointer));
    }
    if (constraining(schema).length > 0) own.set(pointer, { pointer, schema, own: true });
  };
  for (const part of parts) add(part, []);
  return { own: [...own.values()], groups: [...groups.values()], impossible };
}

function members(schema: SchemaObject, keyword: string, pointer: string): readonly Part[] {
  const list = schema[keyword];
  if (list === undefined) return [];
  if (!Array.isArray(list) || list.length === 0) throw invalid(`${pointer}/${keyword}`, `"${keyword}" must be a list of schemas.`);
  return list.map((each, index) => ({ pointer: `${pointer}/${keyword}/${index}`, schema: each, own: false }));
}

function checkKeywords(schema: SchemaObject, pointer: string): void {
  for (const key of Object.keys(schema)) {
    if (kindless.has(key) || Object.hasOwn(keywordKinds, key) || annotations.has(key) || combinators.has(key) || key.startsWith('x-'))
      continue;
    // An inner $id would change what "#" means.
    if (key === '$id' && pointer === '') continue;
    throw unsupported(
      `${pointer}/${escapeKey(key)}`,
      `The keyword "${key}" cannot be enforced while an answer is written.`,
      'Remove it and check the finished answer, or say it with type, properties, items, enum, anyOf, pattern or bounds.',
    );
  }
}

function resolve(root: unknown, reference: unknown, field: string): Part {
  if (typeof reference !== 'string') throw invalid(field, '"$ref" must be a string.');
  if (reference !== '#' && !reference.startsWith('#/'))
    throw unsupported(field, `"${reference}" is outside of this schema.`, 'Put it under "$defs" and refer to it as "#/$defs/NAME".');
  let schema: unknown = root;
  let pointer = '';
  for (const raw of reference.split('/').slice(1)) {
    const key = decodeKey(raw, field);
    const inside = typeof schema === 'object' && schema !== null && Object.hasOwn(schema, key);
    if (!inside) throw invalid(field, `"${reference}" is not in the schema.`);
    schema = (schema as SchemaObject)[key];
    pointer += `/${escapeKey(key)}`;
  }
  return { pointer, schema, own: false };
}

function decodeKey(raw: string, field: string): string {
  try {
    return decodeURIComponent(raw).replaceAll('~1', '/').replaceAll('~0', '~');
  } catch {
    throw invalid(field, '"$ref" has a broken percent escape.');
  }
}

/** One step of a JSON pointer. */
export function escapeKey(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}

export function isSchemaObject(value: unknown): value is SchemaObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function unsupported(field: string, message: string, remedy: string): Refusal {
  return new Refusal('constraint.unsupported', field, message, remedy);
}

export function invalid(field: string, message: string): Refusal {
  return new Refusal('constraint.invalid', field, message, 'Correct the schema.');
}
