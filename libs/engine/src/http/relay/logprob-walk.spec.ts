import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { notJson } from './json-bytes.js';
import { LogprobScan, type LogprobSums, type LogprobWishes, shortened } from './logprob-scan.js';

const wishes = (more: Partial<LogprobWishes> = {}): LogprobWishes => ({
  askedTop: 5,
  clientTop: null,
  bounds: true,
  vocabularySize: 1_000,
  ...more,
});

/** Numbers in every spelling that servers use. */
const numbers = fc.oneof(
  fc.double({ min: -40, max: 0, noNaN: true }).map((value) => String(value === 0 ? 0 : value)),
  fc.double({ min: -1e-3, max: 0, noNaN: true }).map((value) => (value === 0 ? '-0.0' : value.toExponential())),
  fc.constantFrom('0', '-0', '-0.0', '-1', '-9999.0', '-3.4028234663852886e+38', '-1E-2', '-0.69314718055994530941723212145817656807'),
);
const texts = fc.oneof(fc.string({ unit: 'binary', maxLength: 6 }), fc.constantFrom('"', '\\', '}]', '😀', '"top_logprobs":['));
const blank = fc.constantFrom('', '', ' ', '\n ');
const listed = fc.tuple(texts, numbers);
const tokens = fc.array(fc.tuple(listed, fc.array(listed, { maxLength: 8 }), fc.boolean()), { maxLength: 4 });

/** OpenAI's chat form as text: members in both orders, blanks where JSON allows them. */
const written = fc.tuple(tokens, blank, fc.boolean()).map(([all, gap, ranked]) => {
  const one = ([text, number]: readonly [string, string]): string =>
    `"token":${gap}${JSON.stringify(text)},${gap}"logprob":${number},"bytes":${JSON.stringify([...Buffer.from(text)])}`;
  const entries = all.map(([own, top, listFirst]) => {
    const sorted = ranked ? top.toSorted((a, b) => Number(b[1]) - Number(a[1])) : top;
    const list = `"top_logprobs":${gap}[${sorted.map((entry) => `{${one(entry)}}`).join(`${gap},`)}]`;
    return `{${listFirst ? `${list},${one(own)}` : `${one(own)}${gap},${list}`}}`;
  });
  return `{${gap}"content":${gap}[${entries.join(',')}]${gap}, "refusal":null}`;
});

const sumsOf = ({ listed: told, measured, lowerNats, upperNats, nllNats }: LogprobSums): LogprobSums => ({
  listed: told,
  measured,
  lowerNats,
  upperNats,
  nllNats,
});

function expectClose(walked: LogprobSums, parsed: LogprobSums): void {
  expect([walked.listed, walked.measured]).toEqual([parsed.listed, parsed.measured]);
  for (const name of ['lowerNats', 'upperNats', 'nllNats'] as const) {
    const size = Math.max(1, Math.abs(parsed[name]));
    expect(Math.abs(walked[name] - parsed[name]) / size).toBeLessThan(1e-9);
  }
}

function cut(bytes: Buffer, surplus: readonly number[]): string {
  const pieces: Buffer[] = [];
  let at = 0;
  for (let pair = 0; pair < surplus.length; pair += 2) {
    pieces.push(bytes.subarray(at, surplus[pair]));
    at = surplus[pair + 1] as number;
  }
  return Buffer.concat([...pieces, bytes.subarray(at)]).toString('utf8');
}

describe('a walk over log probabilities', () => {
  it('says what a parse says, wherever they stand in the bytes', () => {
    let walked = 0;
    fc.assert(
      fc.property(written, fc.string({ maxLength: 9 }), fc.constantFrom(1, 5, 20), (text, before, askedTop) => {
        const bytes = Buffer.from(`${before}${text},"more":1}`);
        const from = Buffer.byteLength(before);
        const [scan, parse] = [new LogprobScan(wishes({ askedTop })), new LogprobScan(wishes({ askedTop }))];
        const end = scan.walk(bytes, from);
        parse.parse(JSON.parse(text));
        if (end === notJson) return;
        walked += 1;
        expect(end).toBe(from + Buffer.byteLength(text));
        expectClose(sumsOf(scan), sumsOf(parse));
      }),
      { numRuns: 600 },
    );
    expect(walked).toBeGreaterThan(300);
  });

  it('finds what must go for a client that asked for less', () => {
    fc.assert(
      fc.property(written, fc.constantFrom(0, 1, 3), (text, clientTop) => {
        const bytes = Buffer.from(text);
        const scan = new LogprobScan(wishes({ clientTop }));
        if (scan.walk(bytes, 0) === notJson || scan.unordered) return;
        expect(JSON.parse(cut(bytes, scan.surplus))).toEqual(shortened(JSON.parse(text), clientTop));
      }),
      { numRuns: 600 },
    );
  });

  it('never says yes to what is no JSON', () => {
    const change = fc.tuple(fc.nat(400), fc.constantFrom('', '"', '\\', ',', ':', '{', '}', '[', ']', '.', '-', 'e', '\u0001'));
    fc.assert(
      fc.property(written, change, (text, [place, put]) => {
        const at = place % (text.length + 1);
        const changed = text.slice(0, at) + put + text.slice(at + 1);
        const bytes = Buffer.from(changed);
        const end = new LogprobScan(wishes()).walk(bytes, 0);
        if (end !== notJson) expect(() => JSON.parse(bytes.toString('utf8', 0, end))).not.toThrow();
      }),
      { numRuns: 2_000 },
    );
  });

  it('begins anew with each walk', () => {
    const one = Buffer.from('{"content":[{"token":"a","logprob":-1,"top_logprobs":[{"token":"a","logprob":-1}]}]}');
    const scan = new LogprobScan(wishes());
    scan.walk(one, 0);
    const first = sumsOf(scan);
    scan.walk(one, 0);
    expect(sumsOf(scan)).toEqual(first);
    scan.walk(Buffer.from('{"content":[]}'), 0);
    expect(sumsOf(scan)).toEqual({ listed: 0, measured: 0, lowerNats: 0, upperNats: 0, nllNats: 0 });
  });

  it.each(['null', '[]', '{}', '{"tokens":["a"]}', '{"content":null}', '{"content":[{"token":"a"}]}', '{"content":[],"content":[]}'])(
    'leaves %s to a parse',
    (text) => {
      expect(new LogprobScan(wishes()).walk(Buffer.from(text), 0)).toBe(notJson);
    },
  );

  it('counts and measures nothing where nothing is to be measured', () => {
    const scan = new LogprobScan(wishes({ bounds: false }));
    scan.walk(Buffer.from('{"content":[{"token":"a","logprob":-1,"top_logprobs":[]}]}'), 0);
    expect(sumsOf(scan)).toEqual({ listed: 1, measured: 0, lowerNats: 0, upperNats: 0, nllNats: 0 });
  });
});

describe('shorter lists', () => {
  it('keep the likeliest, in their rank', () => {
    const top = [-3, -1, -2].map((logprob) => ({ token: 'x', logprob }));
    expect(shortened({ content: [{ token: 'a', logprob: -1, top_logprobs: top }], refusal: null }, 2)).toEqual({
      content: [
        {
          ...{ token: 'a', logprob: -1 },
          top_logprobs: [
            { token: 'x', logprob: -1 },
            { token: 'x', logprob: -2 },
          ],
        },
      ],
      refusal: null,
    });
  });

  it('of the older form keep the chosen token beside them', () => {
    expect(shortened({ tokens: ['c'], top_logprobs: [{ a: -1, b: -2, c: -3 }] }, 1)).toEqual({
      tokens: ['c'],
      top_logprobs: [{ a: -1, c: -3 }],
    });
  });

  it('are left as they are where they are none', () => {
    for (const raw of [null, 1, {}, { tokens: ['a'], top_logprobs: null }]) expect(shortened(raw, 1)).toBe(raw);
  });
});
