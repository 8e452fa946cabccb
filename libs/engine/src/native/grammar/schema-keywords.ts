// Reads single keywords out of schemas that hold together: checked, and the tightest of each kept.
import { maxRepetitions } from './builder.js';
import type { DecimalRange, WholeRange } from './number-range.js';
import { Refusal } from './refusal.js';
import { invalid, isSchemaObject, keywordKinds, type OwnPart, unsupported } from './schema-parts.js';

/** `integer` and `fraction` together are JSON Schema's number. */
export type Kind = 'null' | 'boolean' | 'integer' | 'fraction' | 'string' | 'array' | 'object';

const allKinds: readonly Kind[] = ['object', 'array', 'string', 'integer', 'fraction', 'boolean', 'null'];
const kindsOfType: Readonly<Record<string, readonly Kind[]>> = {
  null: ['null'],
  boolean: ['boolean'],
  integer: ['integer'],
  number: ['integer', 'fraction'],
  string: ['string'],
  array: ['array'],
  object: ['object'],
};

/**
 * Kinds that all `type`s allow. Without any `type`, keywords that all speak of one kind mean that kind: `{"properties": ...}` is an object,
 * though the standard would let a string pass.
 */
export function kindsOf(parts: readonly OwnPart[]): ReadonlySet<Kind> {
  let kinds = new Set(allKinds);
  const typed = parts.filter((part) => part.schema['type'] !== undefined);
  for (const { pointer, schema } of typed) {
    const names = Array.isArray(schema['type']) ? schema['type'] : [schema['type']];
    const allowed = names.flatMap((name) => {
      const named = typeof name === 'string' && Object.hasOwn(kindsOfType, name) ? kindsOfType[name] : undefined;
      if (!named) throw invalid(`${pointer}/type`, `"type" must be of ${Object.keys(kindsOfType).join(', ')}.`);
      return named;
    });
    kinds = new Set([...kinds].filter((kind) => allowed.includes(kind)));
  }
  if (typed.length > 0 || valuesOf(parts) !== null) return kinds;
  const spoken = new Set(parts.flatMap((part) => Object.keys(part.schema).flatMap((key) => keywordKinds[key] ?? [])));
  const [only, ...others] = spoken;
  return only && others.length === 0 ? new Set(kindsOfType[only]) : kinds;
}

/** Values that all `enum`s and `const`s allow; null when there is none of them. */
export function valuesOf(parts: readonly OwnPart[]): readonly unknown[] | null {
  let values: readonly unknown[] | null = null;
  for (const { pointer, schema } of parts) {
    const list = schema['enum'];
    if (list !== undefined && (!Array.isArray(list) || list.length === 0))
      throw invalid(`${pointer}/enum`, '"enum" must be a list of values.');
    for (const allowed of [list as unknown[] | undefined, Object.hasOwn(schema, 'const') ? [schema['const']] : undefined]) {
      if (!allowed) continue;
      const texts = new Set(allowed.map((value) => JSON.stringify(value)));
      values = values === null ? allowed : values.filter((value) => texts.has(JSON.stringify(value)));
    }
  }
  return values;
}

export function kindOfValue(value: unknown): Kind {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'fraction';
  return typeof value as 'boolean' | 'string' | 'object';
}

/** Whether a listed value heeds the bounds that stand beside its list. Throws Refusal for keywords that need more than a comparison. */
export function admits(part: OwnPart, value: unknown): boolean {
  const { pointer, schema } = part;
  const kind = typeof value === 'number' ? 'number' : kindOfValue(value);
  const heeded = Object.keys(schema).filter((key) => keywordKinds[key] === kind);
  if (typeof value === 'number') {
    return boundsOf([part]).every(({ keyword, value: bound }) => {
      if (keyword.endsWith('inimum')) return keyword === 'minimum' ? value >= bound : value > bound;
      return keyword === 'maximum' ? value <= bound : value < bound;
    });
  }
  const other = heeded.find((key) => key !== 'minLength' && key !== 'maxLength');
  if (other !== undefined)
    throw unsupported(`${pointer}/${other}`, `"${other}" stands beside "enum" or "const".`, 'List only the values that are allowed.');
  if (typeof value !== 'string') return true;
  const { min, max } = countsOf([part], 'minLength', 'maxLength');
  const length = [...value].length;
  return min <= length && length <= (max ?? length);
}

/** A pair of counts as `minItems` and `maxItems`; null: none. */
export function countsOf(parts: readonly OwnPart[], minKeyword: string, maxKeyword: string): { min: number; max: number | null } {
  let min = 0;
  let max: number | null = null;
  for (const part of parts) {
    min = Math.max(min, countOf(part, minKeyword) ?? 0);
    const most = countOf(part, maxKeyword);
    if (most !== null) max = Math.min(max ?? most, most);
  }
  return { min, max };
}

function countOf({ pointer, schema }: OwnPart, keyword: string): number | null {
  const value = schema[keyword];
  if (value === undefined) return null;
  if (!Number.isInteger(value) || (value as number) < 0) throw invalid(`${pointer}/${keyword}`, `"${keyword}" must be a whole number.`);
  if ((value as number) > maxRepetitions)
    throw new Refusal(
      'constraint.too-large',
      `${pointer}/${keyword}`,
      `"${keyword}" is ${value}; at most ${maxRepetitions} can be counted while an answer is written.`,
      keyword.startsWith('max') ? 'Lower it, or leave it out and limit max_tokens.' : 'Lower it.',
    );
  return value as number;
}

/** Whole numbers between all bounds; fractional bounds are rounded inwards, which changes nothing. */
export function wholeRangeOf(parts: readonly OwnPart[]): WholeRange {
  let min: number | null = null;
  let max: number | null = null;
  for (const { keyword, value, field } of boundsOf(parts)) {
    if (Math.abs(value) > Number.MAX_SAFE_INTEGER) throw inexact(field, 'is beyond what a double holds exactly', 'Use bounds within 2^53.');
    if (keyword === 'minimum') min = Math.max(min ?? -Infinity, Math.ceil(value));
    else if (keyword === 'exclusiveMinimum') min = Math.max(min ?? -Infinity, Math.floor(value) + 1);
    else if (keyword === 'maximum') max = Math.min(max ?? Infinity, Math.floor(value));
    else max = Math.min(max ?? Infinity, Math.ceil(value) - 1);
  }
  return { min: positiveZero(min), max: positiveZero(max) };
}

/** Numbers between all bounds; null without bounds. */
export function decimalRangeOf(parts: readonly OwnPart[]): DecimalRange | null {
  let [min, openMin, max, openMax]: [number | null, boolean, number | null, boolean] = [null, false, null, false];
  const bounds = boundsOf(parts);
  for (const { keyword, value, field } of bounds) {
    if (!Number.isSafeInteger(value)) throw inexact(field, 'is not a whole number', 'Use whole bounds for numbers, or the type integer.');
    const open = keyword.startsWith('exclusive');
    if (keyword.endsWith('inimum')) {
      openMin = min === null || value > min ? open : value === min ? openMin || open : openMin;
      min = Math.max(min ?? value, value);
    } else {
      openMax = max === null || value < max ? open : value === max ? openMax || open : openMax;
      max = Math.min(max ?? value, value);
    }
  }
  return bounds.length === 0 ? null : { min: positiveZero(min), openMin, max: positiveZero(max), openMax };
}

function boundsOf(parts: readonly OwnPart[]): { keyword: string; value: number; field: string }[] {
  const keywords = ['minimum', 'exclusiveMinimum', 'maximum', 'exclusiveMaximum'];
  return parts.flatMap(({ pointer, schema }) =>
    keywords
      .filter((keyword) => schema[keyword] !== undefined)
      .map((keyword) => {
        const value = schema[keyword];
        const field = `${pointer}/${keyword}`;
        if (typeof value !== 'number' || !Number.isFinite(value)) throw invalid(field, `"${keyword}" must be a number.`);
        return { keyword, value, field };
      }),
  );
}

function inexact(field: string, what: string, remedy: string): Refusal {
  return unsupported(field, `The bound ${what}.`, remedy);
}

/** -0 would print as 0 but compare as equal only by luck. */
function positiveZero(value: number | null): number | null {
  return value === 0 ? 0 : value;
}

/** Sub-schemas by name. */
export function propertiesOf({ pointer, schema }: OwnPart): Readonly<Record<string, unknown>> {
  const properties = schema['properties'] ?? {};
  if (!isSchemaObject(properties)) throw invalid(`${pointer}/properties`, '"properties" must be an object.');
  return properties;
}

export function requiredOf({ pointer, schema }: OwnPart): readonly string[] {
  const required = schema['required'] ?? [];
  if (!Array.isArray(required) || !required.every((name) => typeof name === 'string'))
    throw invalid(`${pointer}/required`, '"required" must be a list of names.');
  return required;
}

export function prefixItemsOf({ pointer, schema }: OwnPart): readonly unknown[] {
  const prefix = schema['prefixItems'] ?? [];
  if (!Array.isArray(prefix)) throw invalid(`${pointer}/prefixItems`, '"prefixItems" must be a list of schemas.');
  if (Array.isArray(schema['items']))
    throw unsupported(`${pointer}/items`, 'A list under "items" is the old spelling.', 'Use "prefixItems".');
  return prefix;
}
