// The cache's bounds: bytes, time, and who goes first.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '#libs/base';
import { Recording } from './recording.js';
import { largestAnswerBytes, ResponseCache } from './response-cache.js';

const whole = (text: string) => ({ kind: 'whole', body: Buffer.from(text) }) as const;

class Hand implements Clock {
  ms = 0;
  now = (): number => this.ms;
  monotonicMs = (): number => this.ms;
  sleep = systemClock.sleep;
}

describe('a response cache', () => {
  it('gives what was put in, until it is too old', () => {
    const clock = new Hand();
    const cache = new ResponseCache({ bytes: 10_000, ttlMs: 1_000 }, clock);
    cache.put('a', whole('one'));
    clock.ms = 999;
    expect([cache.get('a')?.body.toString(), cache.has('a')]).toEqual(['one', true]);
    clock.ms = 1_000;
    // Having been used does not make it younger.
    expect([cache.has('a'), cache.get('a')]).toEqual([false, null]);
    expect(cache.read()).toMatchObject({ answers: 0, bytes: 0 });
  });

  it('pushes out the longest unused', () => {
    const cache = new ResponseCache({ bytes: 3 * 612, ttlMs: 1_000 }, new Hand());
    for (const key of ['a', 'b', 'c']) cache.put(key, whole('x'.repeat(100)));
    cache.get('a');
    cache.has('b');
    cache.put('d', whole('x'.repeat(100)));
    expect(['a', 'b', 'c', 'd'].filter((key) => cache.has(key))).toEqual(['a', 'c', 'd']);
    expect(cache.read()).toEqual({ answers: 3, bytes: 3 * 612, evicted: 1 });
  });

  it('never holds more than its bytes, whatever comes', () => {
    const put = fc.record({ key: fc.integer({ min: 0, max: 12 }), size: fc.integer({ min: 0, max: 4_000 }) });
    fc.assert(
      fc.property(fc.array(put, { maxLength: 60 }), (puts) => {
        const cache = new ResponseCache({ bytes: 6_000, ttlMs: 1_000 }, new Hand());
        const sizes = new Map<string, number>();
        for (const { key, size } of puts) {
          cache.put(String(key), whole('x'.repeat(size)));
          sizes.set(String(key), size);
          const held = [...sizes].filter(([name]) => cache.has(name)).reduce((sum, [, bytes]) => sum + bytes + 512, 0);
          expect(cache.read().bytes).toBe(held);
          expect(held).toBeLessThanOrEqual(6_000);
          expect(cache.has(String(key))).toBe(true);
        }
      }),
    );
  });
});

describe('a recording', () => {
  it('is the pieces as they were, though their buffer was used again', () => {
    const recording = new Recording();
    const buffer = Buffer.from('abc');
    recording.begin('stream');
    recording.take(buffer);
    buffer.fill('x');
    recording.take(Buffer.from('def'));
    expect(recording.answer()).toEqual({ kind: 'stream', body: Buffer.from('abcdef') });
  });

  it('of nothing, or of too much, is none', () => {
    const large = new Recording();
    expect(large.answer()).toBeNull();
    large.take(Buffer.alloc(largestAnswerBytes));
    expect(large.answer()?.body.length).toBe(largestAnswerBytes);
    large.take(Buffer.alloc(1));
    large.take(Buffer.alloc(1));
    expect(large.answer()).toBeNull();
  });
});
