import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rougeL, type Scoring, scoreAnswer } from './index.js';

const passes = (answer: string, expected: string | readonly string[], scoring: Scoring): boolean =>
  scoreAnswer(answer, { expected, scoring }).passed;

describe('exact', () => {
  it('ignores white space around the answer and nothing else', () => {
    expect(passes(' warranty\n', 'warranty', { type: 'exact' })).toBe(true);
    expect(passes('Warranty', 'warranty', { type: 'exact' })).toBe(false);
    expect(passes('warranty.', 'warranty', { type: 'exact' })).toBe(false);
  });

  it('takes the best of several references', () => {
    expect(passes('colour', ['color', 'colour'], { type: 'exact' })).toBe(true);
    expect(passes('farbe', ['color', 'colour'], { type: 'exact' })).toBe(false);
  });
});

describe('normalized', () => {
  it.each([
    ['The  Answer', 'the answer'],
    ['state-of-the-art!', 'State of the art'],
    ['ＡＢＣ１２３', 'abc123'],
    ['cafe\u0301', 'café'],
    ['STRASSE', 'straße'],
    ['是。', '是'],
    ['yes\u200B', 'yes'],
  ])('%s is %s', (answer, reference) => {
    expect(passes(answer, reference, { type: 'normalized' })).toBe(true);
  });

  it.each([
    ['-5', '5'],
    ['1.5', '1 5'],
    ['a b', 'ab'],
  ])('%s is not %s', (answer, reference) => {
    expect(passes(answer, reference, { type: 'normalized' })).toBe(false);
  });

  it('keeps what the case asks to keep', () => {
    expect(passes('Yes', 'yes', { type: 'normalized', case: 'keep' })).toBe(false);
    expect(passes('yes!', 'yes', { type: 'normalized', punctuation: 'keep' })).toBe(false);
    expect(passes('１', '1', { type: 'normalized', form: 'NFC' })).toBe(false);
  });
});

describe('json', () => {
  it('compares values, not text', () => {
    expect(passes('{"b": [1, 2.0], "a": "x"}', '{"a":"x","b":[1,2]}', { type: 'json' })).toBe(true);
    expect(passes('{"a":"x","b":[2,1]}', '{"a":"x","b":[1,2]}', { type: 'json' })).toBe(false);
    expect(passes('{"a":"1"}', '{"a":1}', { type: 'json' })).toBe(false);
    expect(passes('Here you are: {"a":1}', '{"a":1}', { type: 'json' })).toBe(false);
    expect(passes('null', 'null', { type: 'json' })).toBe(true);
    expect(passes('{"a":null}', '{}', { type: 'json' })).toBe(false);
  });

  it('survives values nested without end', () => {
    const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
    expect(passes(deep, deep, { type: 'json' })).toBe(false);
  });

  it('counts equal fields and passes on all of the named', () => {
    const scoring: Scoring = { type: 'json-fields', fields: ['order', 'date'] };
    const expected = '{"order":"A1","date":"2026-01-02","amount":"9"}';
    expect(scoreAnswer('{"order":"A1","date":"2026-01-02","amount":"8"}', { expected, scoring })).toEqual({ score: 1, passed: true });
    expect(scoreAnswer('{"order":"A1"}', { expected, scoring })).toEqual({ score: 0.5, passed: false });
    expect(scoreAnswer('[]', { expected, scoring })).toEqual({ score: 0, passed: false });
    expect(scoreAnswer('no json', { expected, scoring })).toEqual({ score: 0, passed: false });
  });
});

describe('numeric', () => {
  it.each([
    ['The total is 1,234.50 USD', '1234.5', {}, true],
    ['first 3, then 4', '4', {}, true],
    ['first 3, then 4', '3', {}, false],
    ['−12', '-12', {}, true],
    ['４２', '42', {}, true],
    ['10.04', '10', { tolerance: 0.05 }, true],
    ['10.06', '10', { tolerance: 0.05 }, false],
    ['0.3', '0.1', { tolerance: 0.2 }, true],
    ['101', '100', { relative: 0.01 }, true],
    ['102', '100', { relative: 0.01 }, false],
    ['about 4', '4', { take: 'whole' }, false],
    ['none', '4', {}, false],
    ['1e400', '4', {}, false],
  ] as const)('%s against %s with %o is %s', (answer, expected, options, passed) => {
    expect(passes(answer, expected, { type: 'numeric', ...options })).toBe(passed);
  });
});

describe('contains and rouge', () => {
  it('asks for every phrase and for likeness', () => {
    const scoring: Scoring = { type: 'contains', all: ['Rosa', 'F82766'], rouge_min: 0.5 };
    const expected = 'Hello Rosa, sorry that order F82766 arrived broken.';
    expect(passes('Hello Rosa, order F82766 arrived broken, sorry.', expected, scoring)).toBe(true);
    expect(passes('Hello Rosa, sorry that order F82767 arrived broken.', expected, scoring)).toBe(false);
    expect(passes('Rosa F82766', expected, scoring)).toBe(false);
    expect(passes('a dog', 'x', { type: 'contains', any: ['cat', 'dog'] })).toBe(true);
    expect(passes('a bird', 'x', { type: 'contains', any: ['cat', 'dog'] })).toBe(false);
  });

  it('reads a reference without spaces by its characters', () => {
    expect(rougeL('今天天气不错', '今天天气很好').f).toBeCloseTo(4 / 6, 12);
    expect(rougeL('a b c', 'a b d').f).toBeCloseTo(2 / 3, 12);
  });

  it('is one for equal texts, symmetric in F1 and within [0, 1]', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1 }),
        fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1 }),
        (x, y) => {
          const [one, other] = [x.join(' '), y.join(' ')];
          expect(rougeL(one, one, 'unicode').f).toBe(1);
          expect(rougeL(one, other, 'unicode').f).toBe(rougeL(other, one, 'unicode').f);
          expect(rougeL(one, other, 'unicode').f).toBeLessThanOrEqual(1);
        },
      ),
    );
  });

  it('is bounded for an answer that never ends', () => {
    expect(rougeL('loop '.repeat(200_000), 'a b c').f).toBe(0);
  });
});

it('no answer makes a scorer throw or leave [0, 1]', () => {
  const scorings: Scoring[] = [
    { type: 'exact' },
    { type: 'normalized' },
    { type: 'squad', min: 0.5 },
    { type: 'json' },
    { type: 'json-fields', fields: ['a'] },
    { type: 'numeric', tolerance: 1 },
    { type: 'contains', all: ['a'], any: ['b'], rouge_min: 0.2 },
    { type: 'rouge', min: 0.5, tokens: 'unicode' },
  ];
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.json()), fc.constantFrom(...scorings), (answer, scoring) => {
      const { score } = scoreAnswer(answer, { expected: scoring.type === 'numeric' ? '1' : '{"a":1}', scoring });
      expect(score).toBeGreaterThanOrEqual(0);
      expect(score).toBeLessThanOrEqual(1);
    }),
  );
});
