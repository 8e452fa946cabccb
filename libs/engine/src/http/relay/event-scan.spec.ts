import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventReader } from '../events.js';
import { EventScan } from './event-scan.js';

interface Seen {
  readonly events: { readonly kind: string; readonly data: string }[];
  /** The bytes of all events, those without data too. */
  readonly bytes: Buffer;
  readonly pending: boolean;
  readonly fault: string | null;
}

function scanned(blocks: readonly Buffer[], mostBytes = 1 << 24): Seen {
  const scan = new EventScan(mostBytes);
  const events: Seen['events'] = [];
  const pieces: Buffer[] = [];
  for (const block of blocks) {
    scan.feed(block);
    while (scan.next()) {
      pieces.push(Buffer.from(scan.bytes.subarray(scan.from, scan.to)));
      if (scan.kind !== null) events.push({ kind: scan.kind, data: scan.text() });
    }
  }
  return { events, bytes: Buffer.concat(pieces), pending: scan.pending, fault: scan.fault?.message ?? null };
}

/** The same by decoding everything, line by line. */
async function slowly(bytes: Buffer): Promise<Seen['events']> {
  async function* body() {
    yield bytes;
  }
  const reader = new EventReader(body(), 1 << 24);
  const events: Seen['events'] = [];
  for (let event = await reader.next(); event !== null; event = await reader.next()) events.push({ ...event });
  return events;
}

/** Blocks of their own memory, as the network gives them. */
function cutAt(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [0, ...[...places].sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, index) => Buffer.from(bytes.subarray(at[index], end)));
}

const lines = fc.constantFrom(
  ...['data: {"a":1}', 'data:x', 'data', 'data: ', 'data:  two', 'data: ä€😀', 'data: a\rb', 'datas: no', 'dat', ': hello', ':', 'id: 7'],
  ...['event: error', 'event:error', 'event: other', 'error: {"message":"x"}', 'error', 'retry: 3', ''],
);
const bodies = fc
  .array(fc.tuple(lines, fc.constantFrom('\n', '\n', '\r\n')), { maxLength: 10 })
  .map((all) => Buffer.from(`${all.map(([line, end]) => line + end).join('')}\n\n`));

describe('events in the bytes as they come', () => {
  it('are those that a reader of lines finds, in all of the bytes', async () => {
    await fc.assert(
      fc.asyncProperty(bodies, async (bytes) => {
        const seen = scanned([bytes]);
        expect(seen.events).toEqual(await slowly(bytes));
        expect(seen.bytes).toEqual(bytes);
        expect(seen).toMatchObject({ pending: false, fault: null });
      }),
      { numRuns: 500 },
    );
  });

  it('are the same wherever the bytes are cut in two, and when they come one by one', () => {
    fc.assert(
      fc.property(bodies, (bytes) => {
        const whole = scanned([bytes]);
        for (let at = 0; at <= bytes.length; at += 1) expect(scanned(cutAt(bytes, [at]))).toEqual(whole);
        expect(scanned(cutAt(bytes, [...bytes.keys()]))).toEqual(whole);
      }),
      { numRuns: 150 },
    );
  });

  it('are the same however they are cut', () => {
    fc.assert(
      fc.property(bodies, fc.array(fc.nat(300), { maxLength: 12 }), (bytes, places) => {
        const within = places.map((place) => place % (bytes.length + 1));
        expect(scanned(cutAt(bytes, within))).toEqual(scanned([bytes]));
      }),
      { numRuns: 500 },
    );
  });

  it('point into the block that came where they came whole', () => {
    const block = Buffer.from('data: one\n\ndata: two\n\n');
    const scan = new EventScan(1 << 20);
    scan.feed(block);
    scan.next();
    expect(scan.bytes).toBe(block);
    expect([scan.dataFrom, scan.dataTo, scan.onOneLine]).toEqual([6, 9, true]);
  });

  it('without their blank line wait for it', () => {
    expect(scanned([Buffer.from('data: one\n')])).toMatchObject({ events: [], pending: true, fault: null });
  });

  it('longer than 1 MiB are a fault, at once and in pieces, and nothing comes after it', () => {
    const long = Buffer.from(`data: ${'x'.repeat(1 << 20)}`);
    const more = Buffer.from('\n\ndata: y\n\n');
    expect(scanned([long, more])).toMatchObject({ events: [], fault: expect.stringContaining('1 MiB') });
    const pieces = Array.from({ length: 12 }, () => Buffer.alloc(100_000, 'x'));
    expect(scanned([Buffer.from('data: '), ...pieces, more])).toMatchObject({ events: [], fault: expect.stringContaining('1 MiB') });
  });

  it('of more bytes than allowed are a fault from the block on that is too much', () => {
    const seen = scanned([Buffer.from('data: one\n\n'), Buffer.from('data: two\n\n')], 15);
    expect(seen).toMatchObject({ events: [{ data: 'one' }], fault: expect.stringContaining('15 bytes') });
  });
});
