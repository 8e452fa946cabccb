// Which requests are one request: the order of fields aside, whatever could be read differently makes another.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { VersionSpec } from '#libs/contract';
import { scanBody } from '#libs/openai';
import { digestOf, isDeterministic, type Question } from './question.js';

function scanned(text: string) {
  const body = scanBody(Buffer.from(text));
  if (!body.ok) throw new Error(body.fault.message);
  return body.value;
}
const digest = (text: string, more: Partial<Question> = {}): string =>
  digestOf({ endpoint: 'chatcmpl', tenant: 'a', uncertainty: false, body: scanned(text), ...more });

describe('two bodies', () => {
  it('with the same fields in another order, spaced otherwise between them, are one', () => {
    expect(digest('{"model":"m","seed":1,"n":2}')).toBe(digest('{ "n": 2 ,\n"seed":1,"m\\u006fdel":"m"}'));
  });

  it.each([
    ['in a value', '{"a":1}', '{"a":2}'],
    ['in a field more', '{"a":1}', '{"a":1,"b":null}'],
    ['in which field has which value', '{"a":1,"b":2}', '{"a":2,"b":1}'],
    ['in what lies deeper', '{"a":{"b":1,"c":2}}', '{"a":{"c":2,"b":1}}'],
    ['in which of two equal names deeper is first', '{"a":{"b":1,"b":2}}', '{"a":{"b":2,"b":2}}'],
    ['beyond the precision of numbers', '{"seed":9007199254740992}', '{"seed":9007199254740993}'],
    ['in a kind', '{"a":"1"}', '{"a":1}'],
    ['in where one part ends', '{"ab":"c"}', '{"a":"bc"}'],
  ])('that differ %s are two', (_where, one, other) => {
    expect(digest(one)).not.toBe(digest(other));
  });

  it('are one exactly when their fields are, in any order', () => {
    const fields = fc.dictionary(fc.string({ maxLength: 4 }), fc.jsonValue({ maxDepth: 1 }), { maxKeys: 5 });
    const text = (entries: [string, unknown][]): string =>
      `{${entries.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`;
    fc.assert(
      fc.property(fields, fields, fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })), (one, other, order) => {
        const entries = Object.entries(one);
        const shuffled = entries.map((entry) => ({ entry, at: order.next().value ?? 0 })).sort((a, b) => a.at - b.at);
        expect(digest(text(shuffled.map(({ entry }) => entry)))).toBe(digest(text(entries)));
        const canonical = (of: object): string => JSON.stringify(Object.entries(of).sort(([a], [b]) => (a < b ? -1 : 1)));
        expect(digest(text(Object.entries(other))) === digest(text(entries))).toBe(canonical(other) === canonical(one));
      }),
    );
  });
});

describe('one body', () => {
  it.each<[string, Partial<Question>]>([
    ['another key', { tenant: 'b' }],
    ['another endpoint', { endpoint: 'cmpl' }],
    ['figures in the answer', { uncertainty: true }],
  ])('is another question with %s', (_what, more) => {
    expect(digest('{"a":1}', more)).not.toBe(digest('{"a":1}'));
  });

  it.each([
    ['{"temperature":0}', {}, true],
    ['{"temperature":0.7}', {}, false],
    ['{"temperature":0.7,"seed":0}', {}, true],
    ['{}', {}, false],
    ['{}', { temperature: 0 }, true],
    ['{"temperature":1}', { temperature: 0 }, false],
    ['{"temperature":null}', { temperature: 0 }, true],
    ['{"seed":null}', { seed: 7 }, true],
  ])('%s under a version with %o has one answer: %s', (text, sampling, expected) => {
    expect(isDeterministic(scanned(text), { sampling } as VersionSpec)).toBe(expected);
  });
});
