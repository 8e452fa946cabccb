// Observations leave the request path as one addition to a window; once a second all windows go to Postgres, in order, each batch once.

import { type AnswerKey, type Observation, type ObservationStart, type Window, WindowBook } from '#libs/analysis';
import { type Clock, type Ids, systemIds } from '#libs/base';
import { WindowStore } from '#libs/storage';
import type { Log } from '#libs/telemetry';
import type { DatabaseLink } from '../database-link.js';
import { Flush } from './flush.js';

export class Recorder {
  readonly bootId: string;
  private readonly book = new WindowBook();
  private readonly store = new WindowStore();
  private readonly flush: Flush<Window>;

  constructor(options: { readonly link: DatabaseLink; readonly clock: Clock; readonly log: Log; readonly ids?: Ids }) {
    const { link, clock, log } = options;
    this.bootId = (options.ids ?? systemIds).uuid();
    this.flush = new Flush<Window>({
      what: 'windows',
      drain: () => this.book.drain(),
      // A repeat after a lost reply changes nothing: (boot, seq) is the key.
      write: async (seq, windows) => await this.store.insert((await link.use()).manager, this.bootId, seq, windows),
      clock,
      log,
    });
  }

  /** Windows lost to a full buffer since the start. */
  get droppedWindows(): number {
    return this.flush.dropped;
  }

  add(observation: Observation): void {
    this.book.add(observation);
  }

  /** Of an answer, in [0, 1]. Once per answer. */
  score(answer: AnswerKey, score: number): void {
    this.book.addScore(answer, score);
  }

  /** A request still runs at the age at which it counts as unfinished. */
  unfinished(start: ObservationStart): void {
    this.book.unfinished(start);
  }

  start(): void {
    this.flush.start();
  }

  /** Sends what is left, once; what Postgres does not take now is lost with this process. */
  async close(): Promise<void> {
    await this.flush.close();
  }
}
