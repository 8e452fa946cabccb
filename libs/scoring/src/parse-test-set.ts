// A test set as JSON lines, one case a line. All or nothing: the first line at fault is named with its field and the remedy.
import { type Fault, fail, type Outcome, ok } from '#libs/base';
import { readScoring } from './parse-scoring.js';
import { BadField, readChoice, readList, readNumber, readObject, readText } from './read-value.js';
import type { ChatTurn, TestCase } from './test-case.js';

/** What one test set may hold. */
export const testSetLimits = {
  cases: 20_000,
  lineCharacters: 262_144,
  idCharacters: 128,
  turns: 64,
  /** Of one message, and of one reference. */
  textCharacters: 65_536,
  references: 16,
  tags: 16,
} as const;

const known = ['id', 'messages', 'expected', 'scoring', 'kind', 'language', 'tags', 'temperature', 'max_tokens'];
const label = { min: 1, max: 64 };

/**
 * Reads JSON lines; blank lines are skipped. Fault `test-set.invalid` names the line (from 1) and the field as `line.N.FIELD`;
 * `test-set.empty` when there is no case; `test-set.too-large` above `testSetLimits.cases`.
 */
export function parseTestSet(text: string): Outcome<readonly TestCase[]> {
  const cases: TestCase[] = [];
  const lineOf = new Map<string, number>();
  for (const [index, line] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    if (line.trim() === '') continue;
    if (cases.length === testSetLimits.cases) {
      return fail({
        code: 'test-set.too-large',
        message: `The test set has more than ${testSetLimits.cases} cases.`,
        field: `line.${index + 1}`,
        remedy: 'Split it into several test sets.',
      });
    }
    try {
      const testCase = readCase(line);
      const first = lineOf.get(testCase.id);
      if (first !== undefined)
        throw new BadField('id', `"${testCase.id}" was used on line ${first} already`, 'Give every case an id of its own.');
      lineOf.set(testCase.id, index + 1);
      cases.push(testCase);
    } catch (error) {
      if (!(error instanceof BadField)) throw error;
      return { ok: false, fault: faultOf(index + 1, error) };
    }
  }
  if (cases.length === 0) {
    return fail({
      code: 'test-set.empty',
      message: 'The test set has no case.',
      field: 'line.1',
      remedy: 'Send one JSON object a line: {"id", "messages", "expected", "scoring"}.',
    });
  }
  return ok(cases);
}

function faultOf(line: number, { field, problem, remedy }: BadField): Fault<'test-set.invalid'> {
  return {
    code: 'test-set.invalid',
    message: `Line ${line}: ${field} ${problem}.`,
    retryable: false,
    field: field === 'the line' ? `line.${line}` : `line.${line}.${field}`,
    remedy: `${remedy} Nothing was stored.`,
  };
}

function readCase(line: string): TestCase {
  if (line.length > testSetLimits.lineCharacters) {
    throw new BadField('the line', `has ${line.length} characters`, `At most ${testSetLimits.lineCharacters} are allowed.`);
  }
  // What a decoder puts where bytes are no UTF-8: the case would be frozen with other text than was written.
  if (line.includes('\uFFFD')) {
    throw new BadField('the line', 'is not UTF-8', 'Save the file as UTF-8; to mean the character U+FFFD itself, escape it.');
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch (error) {
    throw new BadField(
      'the line',
      `is not JSON (${error instanceof Error ? error.message.slice(0, 120) : 'unreadable'})`,
      'Write one JSON object a line.',
    );
  }
  const given = readObject(parsed, '', known);
  const expected = readExpected(given['expected']);
  const optional = <T>(name: string, read: (value: unknown, field: string) => T): Record<string, T> =>
    given[name] === undefined ? {} : { [name]: read(given[name], name) };
  return {
    id: readText(given['id'], 'id', { min: 1, max: testSetLimits.idCharacters }),
    messages: readList(given['messages'], 'messages', { min: 1, max: testSetLimits.turns }).map(readTurn),
    expected,
    scoring: readScoring(given['scoring'], typeof expected === 'string' ? [expected] : expected),
    ...optional('kind', (value, field) => readText(value, field, label)),
    ...optional('language', (value, field) => readText(value, field, label)),
    ...optional('tags', readTags),
    ...optional('temperature', (value, field) => readNumber(value, field, { min: 0, max: 2 })),
    ...optional('max_tokens', (value, field) => readNumber(value, field, { min: 1, max: 65_536, whole: true })),
  };
}

function readTurn(value: unknown, index: number): ChatTurn {
  const path = `messages[${index}]`;
  const turn = readObject(value, path, ['role', 'content']);
  return {
    role: readChoice(turn['role'], `${path}.role`, ['system', 'user', 'assistant']),
    content: readText(turn['content'], `${path}.content`, { min: 1, max: testSetLimits.textCharacters }),
  };
}

function readExpected(value: unknown): string | readonly string[] {
  const limits = { min: 0, max: testSetLimits.textCharacters };
  if (!Array.isArray(value)) return readText(value, 'expected', limits);
  return readList(value, 'expected', { min: 1, max: testSetLimits.references }).map((item, index) =>
    readText(item, `expected[${index}]`, limits),
  );
}

function readTags(value: unknown, field: string): Readonly<Record<string, string>> {
  const names = value !== null && typeof value === 'object' ? Object.keys(value) : [];
  if (names.length > testSetLimits.tags)
    throw new BadField(field, `has ${names.length} entries`, `At most ${testSetLimits.tags} are allowed.`);
  const tags = readObject(value, field, names);
  return Object.fromEntries(
    names.map((name) => [readText(name, field, label), readText(tags[name], `${field}.${name}`, { min: 0, max: 256 })]),
  );
}
