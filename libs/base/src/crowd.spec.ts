import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Crowd, type Seated } from './index.js';

describe('a crowd', () => {
  it('holds exactly those who joined and have not left, however they come and go', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 20 }), fc.boolean()), { maxLength: 200 }), (moves) => {
        const people: Seated[] = Array.from({ length: 21 }, () => ({ seat: -1 }));
        const crowd = new Crowd<Seated>();
        const expected = new Set<Seated>();
        for (const [who, joins] of moves) {
          const person = people[who] as Seated;
          if (joins) {
            crowd.join(person);
            expected.add(person);
          } else {
            crowd.leave(person);
            expected.delete(person);
          }
          expect(new Set(crowd.members)).toEqual(expected);
          expect(crowd.size).toBe(expected.size);
        }
        for (const person of people) expect(crowd.members[person.seat]).toBe(expected.has(person) ? person : undefined);
      }),
    );
  });
});
