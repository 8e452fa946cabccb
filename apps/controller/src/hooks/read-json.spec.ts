import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readJson } from './read-json.js';

const read = (text: string) => readJson(Buffer.from(text));
const codeOf = (bytes: Uint8Array) => {
  const outcome = readJson(bytes);
  return outcome.ok ? 'read' : outcome.fault.code;
};

describe('JSON from outside', () => {
  it('is what JSON.parse makes of it', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 20 }), (text) => {
        expect(read(text)).toEqual({ ok: true, value: JSON.parse(text) });
      }),
    );
  });

  it('may be nested 32 levels deep and no deeper, in lists and objects alike', () => {
    const nested = (depth: number, open: string, inside: string, close: string) => open.repeat(depth) + inside + close.repeat(depth);
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
    ] as const) {
      expect(codeOf(Buffer.from(nested(32, open, '1', close)))).toBe('read');
      expect(codeOf(Buffer.from(nested(33, open, '1', close)))).toBe('request.too-deep');
    }
  });

  it('does not count brackets inside texts, whatever is escaped there', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('[', '{', '"', '\\', 'a'), { maxLength: 200 }), (parts) => {
        const text = parts.join('');
        expect(read(JSON.stringify({ text }))).toEqual({ ok: true, value: { text } });
      }),
    );
  });

  it.each<[string, Uint8Array]>([
    ['nothing', Buffer.alloc(0)],
    ['half an object', Buffer.from('{"a":')],
    ['bytes that are not UTF-8', Buffer.from([0x22, 0xff, 0xfe, 0x22])],
    ['two values', Buffer.from('{} {}')],
    ['closing brackets', Buffer.from(']]]]')],
  ])('is refused when it is %s', (_what, bytes) => {
    expect(codeOf(bytes)).toBe('request.malformed');
  });
});
