import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { scanBody } from './scan-body.js';

describe('a scanned body', () => {
  it('has the members that JSON.parse finds, each at its place', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(undefined, 1, '\t'), (value, indent) => {
        const bytes = Buffer.from(JSON.stringify(value, null, indent));
        const scanned = scanBody(bytes);
        if (!scanned.ok) throw new Error(scanned.error.message);
        const parsed = JSON.parse(bytes.toString()) as Record<string, unknown>;
        expect(scanned.value.members.map(({ name }) => name).sort()).toEqual(Object.keys(parsed).sort());
        for (const { name, at, valueFrom, valueTo } of scanned.value.members) {
          expect(JSON.parse(bytes.toString('utf8', valueFrom, valueTo))).toEqual(parsed[name]);
          expect(bytes[at]).toBe(0x22);
          expect(scanned.value.value(name)).toEqual(parsed[name]);
        }
      }),
    );
  });

  it.each([
    ['a field twice', '{"model":"a","model":"b"}'],
    ['a field twice in two spellings', '{"model":"a","mod\\u0065l":"b"}'],
    ['an array', '[]'],
    ['a number', '1'],
  ])('is refused with %s', (_what, text) => {
    expect(scanBody(Buffer.from(text))).toMatchObject({ ok: false, error: { status: 400 } });
  });
});
