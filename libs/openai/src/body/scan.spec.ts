import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assemble } from '../../../../scripts/build-kernel.mjs';
import { anyBytes } from '../../../../test/support/request-bodies.mjs';
import { slowScan } from '../../../../test/support/slow-scan.mjs';
import { scanBody } from './scan.js';
import { kernelBinary } from './scan-kernel-binary.js';

const scan = (text: string | Buffer) => scanBody(typeof text === 'string' ? Buffer.from(text) : text);

function refusalOf(text: string | Buffer): string {
  const scanned = scan(text);
  if (scanned.ok) throw new Error(`accepted: ${text.toString().slice(0, 100)}`);
  expect(scanned.fault.code).toBe('invalid_json');
  return scanned.fault.message;
}

it('the committed binary is what scan-kernel.wat assembles to', async () => {
  expect((await assemble('libs/openai/src/body/scan-kernel')).toString('base64')).toBe(kernelBinary);
});

describe('a body that is one JSON object', () => {
  it('is told by its members, in their order, with their places', () => {
    const text = ' {"model" : "a\\"b",\n"n":-1.5e+3 ,"stream":true,"stop":null,"messages":[{"x":[{}]}],"o":{"model":1}} ';
    const scanned = scan(text);
    if (!scanned.ok) throw new Error(scanned.fault.message);
    expect(
      scanned.value.members.map(({ name, kind, at, valueFrom, valueTo }) => [
        name,
        kind,
        text.slice(at, valueTo),
        text.slice(valueFrom, valueTo),
      ]),
    ).toEqual([
      ['model', 'string', '"model" : "a\\"b"', '"a\\"b"'],
      ['n', 'number', '"n":-1.5e+3', '-1.5e+3'],
      ['stream', 'boolean', '"stream":true', 'true'],
      ['stop', 'null', '"stop":null', 'null'],
      ['messages', 'array', '"messages":[{"x":[{}]}]', '[{"x":[{}]}]'],
      ['o', 'object', '"o":{"model":1}', '{"model":1}'],
    ]);
    expect(scanned.value.value('model')).toBe('a"b');
    expect(scanned.value.value('n')).toBe(-1500);
    expect(scanned.value.value('stream')).toBe(true);
    expect(scanned.value.value('stop')).toBe(null);
    expect(scanned.value.value('o')).toEqual({ model: 1 });
    expect(scanned.value.value('nothing')).toBe(undefined);
    expect(scanned.value.member('nothing')).toBe(undefined);
  });

  it.each(['{}', ' {\t} ', '{"":0}', '{"a":"\u007f\u2028"}', '{"a":"\\ud800"}', '{"a":-0,"b":1e999}', '{"a":{"b":1,"b":2}}'])(
    '%s',
    (text) => {
      expect(scan(text).ok).toBe(true);
    },
  );

  it('may have a member named __proto__, which is a member like any other', () => {
    const scanned = scan('{"__proto__":{"model":"x"},"a":1}');
    if (!scanned.ok) throw new Error(scanned.fault.message);
    expect(scanned.value.member('model')).toBe(undefined);
    expect(scanned.value.member('toString')).toBe(undefined);
    expect(scanned.value.value('__proto__')).toEqual({ model: 'x' });
  });

  it('may have more members than one look finds', () => {
    const members = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`name ${i}`, i]));
    for (const count of [63, 64, 65, 128, 1_000]) {
      const some = Object.fromEntries(Object.entries(members).slice(0, count));
      const scanned = scan(JSON.stringify(some));
      if (!scanned.ok) throw new Error(scanned.fault.message);
      expect(Object.fromEntries(scanned.value.members.map(({ name }) => [name, scanned.value.value(name)]))).toEqual(some);
    }
  });

  it('has its escaped names read right where JSON.parse of the whole may not (nodejs/node#63785)', () => {
    const before = JSON.parse(String.raw`{"q":1,"\\u006":2}`) as unknown;
    const scanned = scan(String.raw`{"q":1,"\u006dodel":2}`);
    if (!scanned.ok) throw new Error(scanned.fault.message);
    expect(before).toEqual({ q: 1, [String.raw`\u006`]: 2 });
    expect(scanned.value.members.map(({ name }) => name)).toEqual(['q', 'model']);
    // What a schema checks is what was routed by.
    expect(scanned.value.whole()).toEqual({ q: 1, model: 2 });
  });

  it('may be longer than the memory was until then', () => {
    const long = 'é'.repeat(700_000);
    const scanned = scan(JSON.stringify({ long, model: 'm' }));
    if (!scanned.ok) throw new Error(scanned.fault.message);
    expect(scanned.value.value('long')).toBe(long);
    expect(scanned.value.value('model')).toBe('m');
  });
});

describe('a body that is something else is refused with the place and the remedy', () => {
  it.each<[string | Buffer, RegExp]>([
    ['', /empty/],
    [' \n', /empty/],
    ['[1]', /unexpected '\[' at byte 0\. Send one JSON object/],
    ['"a"', /unexpected '"' at byte 0/],
    ['null', /unexpected 'n' at byte 0/],
    ['{"a":1', /ends at byte 6/],
    ['{"a":"b', /ends at byte 7/],
    ['{"a":"b\\', /ends at byte|bad escape/],
    ['{"a":1}{', /unexpected '{' at byte 7/],
    ['{"a":1,}', /unexpected '}' at byte 7/],
    ['{"a":[1,]}', /unexpected '\]' at byte 8/],
    ['{"a":{]}', /unexpected '\]' at byte 6/],
    ['{"a":01}', /unexpected '1' at byte 6/],
    ['{"a":+1}', /unexpected '\+' at byte 5/],
    ['{"a":.5}', /unexpected '\.' at byte 5/],
    ['{"a":1.}', /unexpected '}' at byte 7/],
    ['{"a":truE}', /at byte 5/],
    ['{"a":NaN}', /unexpected 'N' at byte 5/],
    ["{'a':1}", /unexpected ''' at byte 1/],
    ['{"a":"\n"}', /bare byte 0x0a in a string at byte 6/],
    ['{"a":"\u0000"}', /bare byte 0x00 in a string at byte 6/],
    ['{"a":1}\u0000', /unexpected byte 0x00 at byte 7/],
    ['{"a":"\\x"}', /bad escape at byte 6/],
    ['{"a":"\\u12g4"}', /bad escape at byte 6/],
    ['\ufeff{}', /byte order mark at byte 0/],
    [Buffer.from('{"a":"é\ufffd', 'utf8').subarray(0, 8), /ends at byte 8/],
    [Buffer.from([...Buffer.from('{"a":"\ufffd'), 0xff, ...Buffer.from('"}')]), /not valid UTF-8: byte 0xff at byte 9/],
    [Buffer.from([...Buffer.from('{"a":"'), 0xed, 0xa0, 0x80, ...Buffer.from('"}')]), /not valid UTF-8: byte 0xed at byte 6/],
  ])('%s', (text, message) => {
    expect(refusalOf(text)).toMatch(message);
  });

  it('when a name is given twice, however it is escaped', () => {
    expect(refusalOf('{"model":"a","n":1,"model":"b"}')).toBe(
      `The body's member "model" is given twice, at byte 1 and at byte 19. Send it once.`,
    );
    expect(refusalOf('{"model":"a","mod\\u0065l":"b"}')).toContain('"model" is given twice, at byte 1 and at byte 13');
    expect(refusalOf('{"__proto__":1,"__proto__":2}')).toContain('"__proto__" is given twice');
    const many = Array.from({ length: 100 }, (_, i) => `"name ${i}":0`).join(',');
    expect(refusalOf(`{${many},"name 7":1}`)).toContain('"name 7" is given twice');
  });

  it('when it is nested more than 64 levels deep', () => {
    const nested = (levels: number, open: string, close: string): string => `{"a":${open.repeat(levels - 1)}1${close.repeat(levels - 1)}}`;
    expect(scan(nested(64, '[', ']')).ok).toBe(true);
    expect(scan(nested(64, '{"a":', '}')).ok).toBe(true);
    expect(refusalOf(nested(65, '[', ']'))).toMatch(/more than 64 levels deep, at byte 68/);
    expect(refusalOf(nested(65, '{"a":', '}'))).toMatch(/more than 64 levels/);
    expect(refusalOf('['.repeat(1_000_000))).toMatch(/unexpected/);
    expect(refusalOf(`{"a":${'['.repeat(1_000_000)}`)).toMatch(/more than 64 levels/);
  });
});

it('the verdict and the fields are those of JSON.parse, for whole and for spoiled bodies', () => {
  fc.assert(
    fc.property(anyBytes, (bytes) => {
      const slow = slowScan(bytes);
      const scanned = scanBody(bytes);
      if (!scanned.ok) {
        expect(slow.verdict, scanned.fault.message).not.toBe('good');
        expect(scanned.fault.message.includes('given twice')).toBe(slow.verdict === 'a name twice');
        return;
      }
      if (slow.verdict !== 'good') throw new Error(`accepted, though ${slow.verdict}`);
      const { members } = scanned.value;
      const told = members.map(({ name, valueFrom, valueTo }) => ({ name, value: bytes.toString('utf8', valueFrom, valueTo) }));
      expect(told).toEqual(slow.members);
      for (const { name, at } of members) expect(JSON.parse(nameAt(bytes, at))).toBe(name);
      // Nested keys with escapes are V8's own to confuse: see slow-scan.mjs.
      for (const { name, value } of told) if (!value.includes('\\')) expect(scanned.value.value(name)).toEqual(JSON.parse(value));
    }),
    { numRuns: 12_000 },
  );
});

function nameAt(bytes: Buffer, at: number): string {
  return /^"(?:[^"\\]|\\.)*"/s.exec(bytes.toString('utf8', at))?.[0] ?? '';
}
