import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseTestSet, scoreAnswer, testSetLimits } from './index.js';

const good = { id: 'a', messages: [{ role: 'user', content: '1+1' }], expected: '2', scoring: { type: 'exact' } };
const lines = (...cases: unknown[]): string => cases.map((one) => JSON.stringify(one)).join('\n');

function refusal(text: string): { code: string; message: string; field?: string; remedy?: string } {
  const parsed = parseTestSet(text);
  if (parsed.ok) throw new Error('it was accepted');
  return parsed.fault;
}

describe('a test set of JSON lines', () => {
  it('reads the bundled one whole, and every reference passes its own scoring', () => {
    const parsed = parseTestSet(readFileSync(new URL('../../../demo/testset.jsonl', import.meta.url), 'utf8'));
    if (!parsed.ok) throw new Error(parsed.fault.message);
    expect(parsed.value).toHaveLength(490);
    expect(parsed.value.filter((one) => !scoreAnswer(String(one.expected), one).passed)).toEqual([]);
  });

  it('skips blank lines, a byte order mark and Windows line ends', () => {
    expect(parseTestSet(`\uFEFF${JSON.stringify(good)}\r\n\r\n${JSON.stringify({ ...good, id: 'b' })}\n`)).toMatchObject({
      ok: true,
      value: [{ id: 'a' }, { id: 'b' }],
    });
  });

  it('keeps all optional fields', () => {
    const full = {
      ...good,
      expected: ['2', 'two'],
      kind: 'sum',
      language: 'en',
      tags: { domain: 'maths' },
      temperature: 0.5,
      max_tokens: 8,
    };
    expect(parseTestSet(lines(full))).toEqual({ ok: true, value: [full] });
  });
});

describe('a bad line is named with its field and the remedy', () => {
  it.each([
    ['not JSON', '{"id": ', 'line.2', /is not JSON/],
    ['text that is not UTF-8', '{"id": "caf\uFFFD"}', 'line.2', /is not UTF-8/],
    ['no object', '[1]', 'line.2', /must be a JSON object/],
    ['an unknown field', { ...good, answer: '2' }, 'line.2.answer', /not a known field/],
    ['no id', { ...good, id: undefined }, 'line.2.id', /must be a string and is missing/],
    ['a repeated id', good, 'line.2.id', /used on line 1/],
    ['no messages', { ...good, id: 'b', messages: [] }, 'line.2.messages', /1 to 64 items/],
    [
      'a bad role',
      { ...good, id: 'b', messages: [{ role: 'tool', content: 'x' }] },
      'line.2.messages[0].role',
      /one of system, user, assistant/,
    ],
    ['a NUL', { ...good, id: 'b', messages: [{ role: 'user', content: 'a\0' }] }, 'line.2.messages[0].content', /NUL/],
    ['no reference', { ...good, id: 'b', expected: [] }, 'line.2.expected', /1 to 16 items/],
    ['an unknown scorer', { ...good, id: 'b', scoring: { type: 'bleu' } }, 'line.2.scoring.type', /one of exact, normalized/],
    ['an option of another scorer', { ...good, id: 'b', scoring: { type: 'exact', min: 0.5 } }, 'line.2.scoring.min', /not a known field/],
    ['a share above one', { ...good, id: 'b', scoring: { type: 'rouge', min: 1.5 } }, 'line.2.scoring.min', /from 0 to 1/],
    ['a missing option', { ...good, id: 'b', scoring: { type: 'rouge' } }, 'line.2.scoring.min', /from 0 to 1/],
    ['a reference that is no JSON', { ...good, id: 'b', expected: '{', scoring: { type: 'json' } }, 'line.2.expected', /is not JSON/],
    [
      'a reference without the field',
      { ...good, id: 'b', expected: '{}', scoring: { type: 'json-fields', fields: ['x'] } },
      'line.2.expected',
      /no field "x"/,
    ],
    [
      'a reference that is no number',
      { ...good, id: 'b', expected: ['2', 'two'], scoring: { type: 'numeric' } },
      'line.2.expected[1]',
      /not a number/,
    ],
    ['nothing to contain', { ...good, id: 'b', scoring: { type: 'contains' } }, 'line.2.scoring.all', /is missing/],
    ['a hot temperature', { ...good, id: 'b', temperature: 3 }, 'line.2.temperature', /from 0 to 2/],
    ['half a token', { ...good, id: 'b', max_tokens: 1.5 }, 'line.2.max_tokens', /whole number/],
    ['a tag that is no text', { ...good, id: 'b', tags: { a: 1 } }, 'line.2.tags.a', /must be a string/],
  ])('%s', (_, line, field, message) => {
    const fault = refusal(`${JSON.stringify(good)}\n${typeof line === 'string' ? line : JSON.stringify(line)}\n`);
    expect(fault).toMatchObject({ code: 'test-set.invalid', field });
    expect(fault.message).toMatch(/^Line 2: /);
    expect(fault.message).toMatch(message);
    expect(fault.remedy).toMatch(/Nothing was stored/);
  });

  it('an empty body and too many cases', () => {
    expect(refusal('\n \n')).toMatchObject({ code: 'test-set.empty', field: 'line.1' });
    const text = lines(...Array.from({ length: testSetLimits.cases + 1 }, (_, n) => ({ ...good, id: `c${n}` })));
    expect(refusal(text)).toMatchObject({ code: 'test-set.too-large', field: `line.${testSetLimits.cases + 1}` });
  });

  it('any JSON at all gives cases or a fault, never an exception', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.json(), fc.string(), fc.constant(JSON.stringify(good)))), (some) => {
        const parsed = parseTestSet(some.join('\n'));
        expect(parsed.ok ? parsed.value.length : parsed.fault.code.length).toBeGreaterThan(0);
      }),
    );
  });
});
