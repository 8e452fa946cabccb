import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TextStream } from './text-stream.js';

/** What is shown after each token, and at the end. What is no whole character is shown as U+FFFD. */
function shown(pieces: readonly Uint8Array[], stops: readonly string[] = []): { steps: string[]; text: string; stopped: boolean } {
  const stream = new TextStream(stops);
  const steps: string[] = [];
  for (const piece of pieces) {
    if (stream.stopped) break;
    steps.push(stream.push(piece));
  }
  steps.push(stream.finish());
  return { steps, text: steps.join(''), stopped: stream.stopped };
}
const words = (...texts: string[]) => texts.map((text) => Buffer.from(text));
const bytesOf = (text: string) => [...Buffer.from(text)].map((byte) => Uint8Array.of(byte));

describe('text as it comes', () => {
  it('is shown token by token', () => {
    expect(shown(words('Hel', 'lo', ' you'))).toEqual({ steps: ['Hel', 'lo', ' you', ''], text: 'Hello you', stopped: false });
  });

  it('never shows half a character: a character of several tokens comes whole', () => {
    expect(shown([...bytesOf('é'), ...bytesOf('🐤'), ...bytesOf('!')]).steps).toEqual(['', 'é', '', '', '', '🐤', '!', '']);
  });

  it('does not wait for ever for bytes that are no text', () => {
    const noise = Array.from({ length: 20 }, () => Uint8Array.of(0xff));
    const { steps, text } = shown(noise);
    expect(steps.slice(0, 6).join('').length).toBeGreaterThan(0);
    expect(text).toBe('\uFFFD'.repeat(20));
  });

  it('that ends within a character shows that something was there', () => {
    expect(shown([...words('a'), Uint8Array.of(0xf0)]).text).toBe('a\uFFFD');
  });
});

describe('a stop string', () => {
  it('is cut off with all that follows it', () => {
    expect(shown(words('one END two'), ['END'])).toMatchObject({ text: 'one ', stopped: true });
  });

  it('never leaks, however tokens cut it', () => {
    const { steps, text, stopped } = shown(words('one E', 'N', 'D two'), ['END']);
    expect(steps[0]).toBe('one ');
    expect([text, stopped]).toEqual(['one ', true]);
  });

  it('that only began is shown in the end', () => {
    expect(shown(words('one EN'), ['END'])).toMatchObject({ steps: ['one ', 'EN'], stopped: false });
    expect(shown(words('one EN', 'ough'), ['END'])).toMatchObject({ steps: ['one ', 'ENough', ''], stopped: false });
  });

  it('is found where it begins anew within its own beginning', () => {
    expect(shown(words('aa', 'ab'), ['aab'])).toMatchObject({ text: 'a', stopped: true });
  });

  it('among several is the one that is complete first, of those the longest', () => {
    expect(shown(words('abcd'), ['abcd', 'b'])).toMatchObject({ text: 'a', stopped: true });
    expect(shown(words('abcdef'), ['ef', 'cd'])).toMatchObject({ text: 'ab', stopped: true });
    expect(shown(words('x', 'STOP'), ['OP', 'STOP'])).toMatchObject({ text: 'x', stopped: true });
  });

  it('of characters that tokens split is found as well', () => {
    expect(shown(bytesOf('Käse🐤fort'), ['🐤'])).toMatchObject({ text: 'Käse', stopped: true });
  });

  it('after which nothing is shown any more', () => {
    const stream = new TextStream(['END']);
    const [end = new Uint8Array(), more = new Uint8Array()] = words('END', 'more');
    expect([stream.push(end), stream.stopped, stream.push(more), stream.finish()]).toEqual(['', true, '', '']);
  });
});

describe('however a text is cut into tokens', () => {
  const texts = fc.string({ unit: fc.constantFrom('a', 'b', 'ä', '🐤', ' '), maxLength: 30 });
  const stops = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'ä', '🐤'), minLength: 1, maxLength: 4 }), { maxLength: 3 });
  const cuts = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 40 });

  it('it comes out as it is, up to the first stop string', () => {
    fc.assert(
      fc.property(texts, stops, cuts, (text, ends, sizes) => {
        const bytes = Buffer.from(text);
        const pieces: Uint8Array[] = [];
        for (let at = 0, cut = 0; at < bytes.length; cut += 1) {
          const size = sizes[cut % sizes.length] ?? 1;
          pieces.push(bytes.subarray(at, at + size));
          at += size;
        }
        const met = ends.map((end) => [text.indexOf(end), end.length] as const).filter(([at]) => at >= 0);
        met.sort(([a, one], [b, other]) => a + one - (b + other) || a - b);
        const first = met[0]?.[0] ?? text.length;
        const found = shown(pieces, ends);
        expect(found.text).toBe(text.slice(0, first));
        expect(found.stopped).toBe(met.length > 0);
      }),
      { numRuns: 5_000 },
    );
  });
});
