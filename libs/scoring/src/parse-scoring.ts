// The `scoring` of a case, checked strictly: an option that a scorer does not know is refused, not ignored.

import { BadField, readChoice, readList, readNumber, readObject, readText } from './read-value.js';
import { numberIn } from './score-numeric.js';
import type { Scoring } from './test-case.js';

const options = {
  exact: [],
  normalized: ['form', 'case', 'punctuation'],
  squad: ['min'],
  json: [],
  'json-fields': ['fields'],
  numeric: ['tolerance', 'relative', 'take'],
  contains: ['all', 'any', 'rouge_min'],
  rouge: ['min', 'tokens'],
} as const satisfies Record<Scoring['type'], readonly string[]>;

const share = { min: 0, max: 1 };
const phrase = { min: 1, max: 4_096 };

/** Throws BadField. `references` are checked against what the scorer needs of them (JSON, a number). */
export function readScoring(value: unknown, references: readonly string[]): Scoring {
  const type = readChoice(
    (readObject(value, 'scoring', ['type', ...new Set(Object.values(options).flat())]) as { type?: unknown }).type,
    'scoring.type',
    Object.keys(options) as Scoring['type'][],
  );
  const given = readObject(value, 'scoring', ['type', ...options[type]]);
  const optional = <T>(name: string, read: (value: unknown, field: string) => T): Record<string, T> =>
    given[name] === undefined ? {} : { [name]: read(given[name], `scoring.${name}`) };
  const phrases = (list: unknown, field: string): string[] =>
    readList(list, field, { min: 1, max: 64 }).map((item, index) => readText(item, `${field}[${index}]`, phrase));
  switch (type) {
    case 'exact':
      return { type };
    case 'normalized':
      return {
        type,
        ...optional('form', (form, field) => readChoice(form, field, ['NFC', 'NFKC'])),
        ...optional('case', (choice, field) => readChoice(choice, field, ['ignore', 'keep'])),
        ...optional('punctuation', (choice, field) => readChoice(choice, field, ['ignore', 'keep'])),
      };
    case 'squad':
      return { type, ...optional('min', (min, field) => readNumber(min, field, share)) };
    case 'json':
      for (const [index, reference] of references.entries()) readJson(reference, referenceField(references, index));
      return { type };
    case 'json-fields': {
      const fields = phrases(given['fields'], 'scoring.fields');
      for (const [index, reference] of references.entries()) {
        const field = referenceField(references, index);
        const parsed = readJson(reference, field);
        const missing = fields.find((name) => parsed === null || typeof parsed !== 'object' || !Object.hasOwn(parsed, name));
        if (missing !== undefined)
          throw new BadField(field, `has no field "${missing}"`, 'Every name in scoring.fields must be in the expected object.');
      }
      return { type, fields };
    }
    case 'numeric':
      for (const [index, reference] of references.entries()) {
        if (numberIn(reference, 'whole') === null) {
          throw new BadField(referenceField(references, index), 'is not a number', 'Write the expected number alone, for example "12.5".');
        }
      }
      return {
        type,
        ...optional('tolerance', (limit, field) => readNumber(limit, field, { min: 0, max: 1e15 })),
        ...optional('relative', (limit, field) => readNumber(limit, field, share)),
        ...optional('take', (choice, field) => readChoice(choice, field, ['whole', 'last'])),
      };
    case 'contains':
      if (given['all'] === undefined && given['any'] === undefined) {
        throw new BadField('scoring.all', 'is missing', 'Write the strings that must occur as "all", or alternatives as "any".');
      }
      return {
        type,
        ...optional('all', phrases),
        ...optional('any', phrases),
        ...optional('rouge_min', (min, field) => readNumber(min, field, share)),
      };
    case 'rouge':
      return {
        type,
        min: readNumber(given['min'], 'scoring.min', share),
        ...optional('tokens', (choice, field) => readChoice(choice, field, ['spaces', 'ascii', 'unicode'])),
      };
  }
}

function referenceField(references: readonly string[], index: number): string {
  return references.length === 1 ? 'expected' : `expected[${index}]`;
}

function readJson(text: string, field: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new BadField(field, 'is not JSON', 'This scoring compares JSON values: write the expected value as JSON inside the string.');
  }
}
