// Who takes the next request: the least loaded, or the one that a key prefers while the bound allows.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { affinityLoadBound, type Candidate, choose, hashOf } from './choose.js';
import { Random } from './random.js';

interface One extends Candidate {
  readonly name: string;
  outstanding: number;
}

const one = (name: string, outstanding = 0, limit = 1_000): One => ({ name, outstanding, limit, hash: hashOf(name) });
const some = (count: number): One[] => Array.from({ length: count }, (_, index) => one(`10.0.0.${index}:8000`));
const keys = Array.from({ length: 4_000 }, (_, index) => hashOf(`prefix ${index}`));
const random = new Random({ bytes: () => new Uint8Array([1, 2, 3, 4]), uniform: () => 0 });

describe('without a key', () => {
  it('the least outstanding requests win', () => {
    expect(choose([one('a', 3), one('b', 1), one('c', 2)], null, random)?.name).toBe('b');
  });

  it('equals are chosen equally often', () => {
    const counts = new Map<string, number>();
    const candidates = [one('a', 1), one('b', 0), one('c', 0), one('d', 0), one('e', 2)];
    for (let n = 0; n < 30_000; n += 1) {
      const name = choose(candidates, null, random)?.name ?? '';
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    expect([...counts.keys()].sort()).toEqual(['b', 'c', 'd']);
    // Six standard deviations of a third of 30,000.
    for (const count of counts.values()) expect(Math.abs(count - 10_000)).toBeLessThan(490);
  });

  it('who is full, out or excepted is passed over, and nobody is left in the end', () => {
    const full = one('full', 2, 2);
    const out = one('out', 0, 0);
    const free = one('free', 5);
    expect(choose([full, out, free], null, random)?.name).toBe('free');
    expect(choose([full, out, free], null, random, free)).toBeNull();
    expect(choose([], null, random)).toBeNull();
    expect(choose([full, out], 7, random)).toBeNull();
  });
});

describe('with a key', () => {
  it('always the same endpoint takes it, whatever the order of the list', () => {
    const candidates = some(5);
    for (const key of keys.slice(0, 100)) {
      const first = choose(candidates, key, random)?.name;
      expect(choose(candidates.toReversed(), key, random)?.name).toBe(first);
    }
  });

  it('keys spread evenly', () => {
    const counts = new Map<string, number>();
    for (const key of keys) {
      const name = choose(some(8), key, random)?.name ?? '';
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    expect(counts.size).toBe(8);
    // Six standard deviations of an eighth of 4,000.
    for (const count of counts.values()) expect(Math.abs(count - 500)).toBeLessThan(126);
  });

  it('a new endpoint takes its part of the keys, and no other key moves', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.string({ minLength: 1, maxLength: 12 }), (count, name) => {
        const before = some(count);
        const newcomer = one(`new ${name}`);
        const after = [...before, newcomer];
        let moved = 0;
        for (const key of keys) {
          const now = choose(after, key, random)?.name;
          if (now === choose(before, key, random)?.name) continue;
          expect(now).toBe(newcomer.name);
          moved += 1;
        }
        const share = 1 / (count + 1);
        const deviation = Math.sqrt(keys.length * share * (1 - share));
        expect(Math.abs(moved - keys.length * share)).toBeLessThan(6 * deviation);
      }),
      { numRuns: 60 },
    );
  });

  it('nobody is given one beyond 1.25 times the mean and one, and somebody always is', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        fc.array(fc.tuple(fc.nat(5), fc.boolean(), fc.nat()), { maxLength: 300 }),
        (count, steps) => {
          const candidates = some(count);
          for (const [key, leaves, who] of steps) {
            const mean = candidates.reduce((sum, { outstanding }) => sum + outstanding, 0) / count;
            const chosen = choose(candidates, hashOf(`hot ${key}`), random);
            expect(chosen).not.toBeNull();
            expect(chosen?.outstanding).toBeLessThanOrEqual(affinityLoadBound * mean + 1);
            if (chosen) chosen.outstanding += 1;
            const busy = candidates.filter(({ outstanding }) => outstanding > 0);
            const leaving = leaves ? busy[who % busy.length] : undefined;
            if (leaving) leaving.outstanding -= 1;
          }
        },
      ),
    );
  });

  it('what the first choice may not take goes to the second choice of the key, not to anybody', () => {
    const candidates = some(6);
    for (const key of keys.slice(0, 200)) {
      const first = choose(candidates, key, random);
      const second = choose(candidates, key, random, first);
      if (!first) throw new Error('there is one');
      first.outstanding = 50;
      expect(choose(candidates, key, random)).toBe(second);
      first.outstanding = 0;
    }
  });
});
