// What waits for a claim is noted in its arm when the unit is this process's, in none when another counted it.
import { describe, expect, it } from 'vitest';
import { type Observation, WindowBook } from '#libs/analysis';
import { anObservation } from '../../../../test/support/observation.js';
import { type NamedNote, namedNote, windowsOf } from './named-answers.js';

function noteOf(place: number): NamedNote {
  const note = namedNote<Observation>(anObservation({ place, unit: `u${place}` }), (book, of) => book.add(of));
  if (note === null) throw new Error('it is compared');
  return note;
}

describe('named answers', () => {
  it('are noted in their arm when the unit is own, else for their version alone', () => {
    const windows = windowsOf(new WindowBook(), [noteOf(1), noteOf(2), noteOf(3)], [true, false, true]);
    expect(windows.map(({ key, counts }) => [key.rolloutId, key.epoch, key.arm, key.versionId, counts.responses])).toEqual([
      ['r1', 1, 'stable', 'v1', 2],
      [null, null, null, 'v1', 1],
    ]);
  });

  it('give the same windows when they are sent again', () => {
    const book = new WindowBook();
    const notes = Array.from({ length: 50 }, (_, place) => noteOf(place));
    const own = notes.map((_, at) => at % 3 !== 0);
    expect(windowsOf(book, notes, own)).toEqual(windowsOf(book, notes, own));
  });

  it('wait for nothing without a place, a rollout or an arm', () => {
    const add = (book: WindowBook, of: Observation): void => book.add(of);
    expect(namedNote(anObservation(), add)).toBeNull();
    expect(namedNote(anObservation({ place: 0, arm: null }), add)).toBeNull();
    expect(namedNote(anObservation({ place: 0, rolloutId: null }), add)).toBeNull();
    expect(namedNote(anObservation({ place: 0 }), add)).not.toBeNull();
  });
});
