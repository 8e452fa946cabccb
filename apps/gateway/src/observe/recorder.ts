// Observations leave the request path as one addition to a window; once a second all windows go to Postgres, in order, each batch once.

import { type AnswerKey, type Observation, type ObservationStart, type Window, WindowBook } from '#libs/analysis';
import { type Clock, type Ids, systemIds } from '#libs/base';
import { CountedUnitStore, WindowStore } from '#libs/storage';
import type { Log } from '#libs/telemetry';
import type { DatabaseLink } from '../database-link.js';
import { Flush } from './flush.js';
import { type NamedNote, namedNote, windowsOf } from './named-answers.js';

/** Half a kibibyte each. While Postgres is away and as many wait, more named units are not compared, whatever their arm. */
const mostNamed = 65_536;

/** What is sent of a second. */
type Item = Window | NamedNote;

export class Recorder {
  readonly bootId: string;
  private readonly classes = new Map<string, Set<string>>();
  private readonly book = new WindowBook(this.classes);
  private readonly namedBook = new WindowBook(this.classes);
  private named: NamedNote[] = [];
  private readonly store = new WindowStore();
  private readonly units = new CountedUnitStore();
  private readonly flush: Flush<Item>;

  constructor(
    private readonly options: { readonly link: Pick<DatabaseLink, 'use'>; readonly clock: Clock; readonly log: Log; readonly ids?: Ids },
  ) {
    const { clock, log } = options;
    this.bootId = (options.ids ?? systemIds).uuid();
    this.flush = new Flush<Item>({
      what: 'windows',
      drain: () => this.drain(),
      write: async (seq, items) => await this.write(seq, items),
      clock,
      log,
    });
  }

  /** Windows, and answers of named units, lost to a full buffer since the start. */
  get droppedWindows(): number {
    return this.flush.dropped;
  }

  add(observation: Observation): void {
    this.note(observation, (book, of) => book.add(of));
  }

  /** Of an answer, in [0, 1]. Once per answer. */
  score(answer: AnswerKey, score: number): void {
    this.note(answer, (book, of) => book.addScore(of, score));
  }

  /** A request still runs at the age at which it counts as unfinished. */
  unfinished(start: ObservationStart): void {
    this.note(start, (book, of) => book.unfinished(of));
  }

  start(): void {
    this.flush.start();
  }

  /** Sends what is left, once; what Postgres does not take now is lost with this process. */
  async close(): Promise<void> {
    await this.flush.close();
  }

  private note<Of extends AnswerKey>(of: Of, add: (into: WindowBook, of: Of) => void): void {
    const note = namedNote(of, add);
    if (note === null) add(this.book, of);
    else if (this.named.length + this.flush.waiting < mostNamed) this.named.push(note);
    else note.book(this.book, false);
  }

  private drain(): Item[] {
    const items = [...this.book.drain(), ...this.named];
    this.named = [];
    return items;
  }

  /** A repeat after a lost reply changes nothing: a unit that is this process's stays so, and (boot, seq) is the windows' key. */
  private async write(seq: number, items: readonly Item[]): Promise<void> {
    const windows: Window[] = [];
    const notes: NamedNote[] = [];
    for (const item of items) {
      if ('place' in item) notes.push(item);
      else windows.push(item);
    }
    const database = await this.options.link.use();
    if (notes.length === 0) await this.store.insert(database.manager, this.bootId, seq, windows);
    else
      await database.transaction(async (tx) => {
        const own = await this.units.claim(tx, this.bootId, seq, notes);
        await this.store.insert(tx, this.bootId, seq, [...windows, ...windowsOf(this.namedBook, notes, own)]);
      });
  }
}
