// Observations leave the request path as one addition to a window; once a second all windows go to Postgres, in order, each batch once.

import { type Observation, type Window, WindowBook } from '#libs/analysis';
import { type Clock, type Ids, Pulse, systemIds } from '#libs/base';
import { WindowStore } from '#libs/storage';
import { type Log, QuietLog } from '#libs/telemetry';
import type { DatabaseLink } from '../database-link.js';

const flushEveryMs = 1_000;
/** Five minutes without a database; older seconds are dropped first, for the judgement rests on what is recent. */
const mostPending = 300;

interface Batch {
  readonly seq: number;
  readonly windows: readonly Window[];
}

export class Recorder {
  readonly bootId: string;
  private readonly book = new WindowBook();
  private readonly store = new WindowStore();
  private readonly pending: Batch[] = [];
  private readonly pulse: Pulse;
  private nextSeq = 1;
  private dropped = 0;

  constructor(private readonly options: { readonly link: DatabaseLink; readonly clock: Clock; readonly log: Log; readonly ids?: Ids }) {
    const quiet = new QuietLog(options.log, options.clock);
    this.pulse = new Pulse({
      clock: options.clock,
      everyMs: flushEveryMs,
      beat: async () => await this.flush(),
      onError: (error) => quiet.warn('windows cannot be written; they wait in memory', error),
    });
    this.bootId = (options.ids ?? systemIds).uuid();
  }

  /** Windows lost to a full buffer since the start. */
  get droppedWindows(): number {
    return this.dropped;
  }

  add(observation: Observation): void {
    this.book.add(observation);
  }

  start(): void {
    this.pulse.start();
  }

  /** Cuts the open windows into a batch and sends what is pending, oldest first. */
  private async flush(): Promise<void> {
    const windows = this.book.drain();
    if (windows.length > 0) this.pending.push({ seq: this.nextSeq++, windows });
    while (this.pending.length > mostPending) this.dropped += this.pending.shift()?.windows.length ?? 0;
    for (let batch = this.pending[0]; batch; batch = this.pending[0]) {
      const { manager } = await this.options.link.use();
      // A repeat after a lost reply changes nothing: (boot, seq) is the key.
      await this.store.insert(manager, this.bootId, batch.seq, batch.windows);
      this.pending.shift();
    }
  }

  /** Sends what is left, once; what Postgres does not take now is lost with this process. */
  async close(): Promise<void> {
    await this.pulse.stop();
    await this.flush().catch((error: unknown) => {
      this.options.log.warn({ err: error, batches: this.pending.length }, 'the last windows could not be written');
    });
  }
}
