// Log probabilities read by places and by JSON.parse: the same tokens and the same sums, however a server spells them.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LogprobScan } from './logprob-scan.js';

const wishes = { askedTop: 3, clientTop: null, bounds: true, vocabularySize: 1_000 };
const logprob = fc.constantFrom(
  '-0.5',
  '-1',
  '-2.25e0',
  '-0.916290760040283',
  '-12.5',
  '0',
  '-0',
  '-9999.0',
  '-1e-3',
  '1.',
  '-',
  'null',
  '01',
);
const token = fc.constantFrom('"a"', '" there"', '"\\""', '"\\\\"', '"é"', '""', '"a', 'null');
const bytes = fc.constantFrom('[32,116]', '[0]', '[]', 'null', '[ 1 ]', '[01]', '[1,]', '[1.5]', '[1');
const blank = fc.constantFrom('', '', '', '', ' ');

const entryOf = (top: fc.Arbitrary<string>) =>
  fc
    .tuple(token, logprob, bytes, top, blank, fc.constantFrom('usual', 'usual', 'usual', 'turned', 'bare', 'twice'))
    .map(([text, number, list, likely, space, order]) => {
      const members = { token: `"token":${text}`, logprob: `"logprob":${space}${number}`, bytes: `"bytes":${list}` };
      const told = {
        usual: [members.token, members.logprob, members.bytes],
        turned: [members.logprob, members.bytes, members.token],
        bare: [members.token, members.logprob],
        twice: [members.token, members.logprob, members.token],
      }[order];
      return `{${space}${[...(told ?? []), ...(likely === '' ? [] : [likely])].join(`,${space}`)}}`;
    });
const list = fc.array(entryOf(fc.constant('')), { maxLength: 4 }).map((entries) => `"top_logprobs":[${entries.join(',')}]`);
const logprobs = fc.array(entryOf(list), { maxLength: 2 }).map((entries) => `{"content":[${entries.join(',')}]}`);

describe('log probabilities', () => {
  it('are read by their places as JSON.parse reads them, or not at all', () => {
    let read = 0;
    fc.assert(
      fc.property(logprobs, (text) => {
        const scan = new LogprobScan(wishes);
        const buffer = Buffer.from(text);
        if (scan.walk(buffer, 0) !== buffer.length) return;
        const { listed, measured, lowerNats, upperNats, nllNats } = scan;
        if (listed > 0) read += 1;
        scan.parse(JSON.parse(text));
        expect([listed, measured]).toEqual([scan.listed, scan.measured]);
        expect(lowerNats).toBeCloseTo(scan.lowerNats, 10);
        expect(upperNats).toBeCloseTo(scan.upperNats, 10);
        expect(nllNats).toBeCloseTo(scan.nllNats, 10);
      }),
      { numRuns: 10_000, seed: 1 },
    );
    expect(read).toBeGreaterThan(100);
  });
});
