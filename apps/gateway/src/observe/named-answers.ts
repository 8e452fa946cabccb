// What is noted of named units waits here for the next flush: only Postgres knows whether another gateway has counted the unit before.
import type { Observation, Window, WindowBook } from '#libs/analysis';
import type { UnitClaim } from '#libs/storage';

/** Who was counted, and in which arm. */
type Subject = Pick<Observation, 'rolloutId' | 'epoch' | 'arm' | 'place'>;

/** Something noted of a unit's first answer. `book` notes it: in its arm if the unit is this process's, else in none. */
export interface NamedNote extends UnitClaim {
  readonly book: (into: WindowBook, own: boolean) => void;
}

/** Null: of no named unit that is compared, so nobody else can have counted it. */
export function namedNote<Of extends Subject>(of: Of, add: (into: WindowBook, of: Of) => void): NamedNote | null {
  const { rolloutId, arm, place } = of;
  if (rolloutId === null || arm === null || place === undefined) return null;
  return { rolloutId, place, book: (into, own) => add(into, own ? of : { ...of, rolloutId: null, epoch: null, arm: null }) };
}

/** The windows of notes, by whose units they are; `book` is empty before and after. The same notes and answers give the same windows again. */
export function windowsOf(book: WindowBook, notes: readonly NamedNote[], own: readonly boolean[]): Window[] {
  notes.forEach((note, at) => {
    note.book(book, own[at] === true);
  });
  return book.drain();
}
