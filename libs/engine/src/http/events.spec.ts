import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventReader, longestEventBytes, type ServerEvent } from './events.js';

async function* bytesOf(...pieces: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) yield typeof piece === 'string' ? Buffer.from(piece, 'utf8') : piece;
}

async function all(...pieces: (string | Uint8Array)[]): Promise<ServerEvent[]> {
  const reader = new EventReader(bytesOf(...pieces), 1 << 24);
  const events: ServerEvent[] = [];
  for (let event = await reader.next(); event !== null; event = await reader.next()) events.push(event);
  return events;
}

const data = (...texts: string[]): ServerEvent[] => texts.map((text) => ({ kind: 'data', data: text }));

describe('an event stream', () => {
  it('is the same however it is cut', async () => {
    const text =
      ': hello\r\n\r\ndata: {"a":"ä€😀"}\n\ndata:no blank\r\n\r\nevent: x\nid: 7\nretry: 5\ndata: one\ndata: two\n\ndata\n\ndata: [DONE]\n\n';
    const whole = data('{"a":"ä€😀"}', 'no blank', 'one\ntwo', '', '[DONE]');
    expect(await all(text)).toEqual(whole);
    const bytes = Buffer.from(text, 'utf8');
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 20 }), async (cuts) => {
        const at = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        expect(await all(...at.slice(1).map((end, index) => bytes.subarray(at[index], end)))).toEqual(whole);
      }),
    );
  });

  it('gives an event whose end never came, and tells errors apart', async () => {
    expect(await all('data: last')).toEqual(data('last'));
    expect(await all('event: error\ndata: {"message":"x"}\n\nerror: {"code":5}\n\ndata: fine\n\n')).toEqual([
      { kind: 'error', data: '{"message":"x"}' },
      { kind: 'error', data: '{"code":5}' },
      { kind: 'data', data: 'fine' },
    ]);
  });

  it('is given up when an event grows beyond its bound, on one line or on many', async () => {
    await expect(all('data: ', 'x'.repeat(longestEventBytes))).rejects.toThrow(/longer than 1 MiB/);
    await expect(all(...Array.from({ length: 20 }, () => `data: ${'x'.repeat(100_000)}\n`))).rejects.toThrow(/longer than 1 MiB/);
  });

  it('is given up when it grows beyond its whole bound', async () => {
    const reader = new EventReader(bytesOf('data: 1\n\n', 'data: 2\n\n'), 12);
    expect(await reader.next()).toEqual({ kind: 'data', data: '1' });
    await expect(reader.next()).rejects.toThrow(/more than 12 bytes/);
  });

  it('can be read to its end without being kept', async () => {
    const reader = new EventReader(bytesOf('data: 1\n\ndata: 2\n\n', 'data: 3\n\n'), 1_000);
    await reader.next();
    await reader.settle();
    expect(await reader.next()).toBeNull();
  });
});
