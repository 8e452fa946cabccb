// What is counted in memory goes to Postgres once a second: in order, each batch once however often it is sent, and no more than fits a bound waits.
import { type Clock, Pulse } from '#libs/base';
import { type Log, QuietLog } from '#libs/telemetry';

const flushEveryMs = 1_000;
/** Five minutes without a database; older seconds are dropped first, for the judgement rests on what is recent. */
const mostPending = 300;

interface Batch<Item> {
  readonly seq: number;
  readonly items: readonly Item[];
}

export interface FlushParts<Item> {
  /** What it is, for the log: "windows". */
  readonly what: string;
  readonly drain: () => readonly Item[];
  /** Writes a batch. A repeat with the same `seq` must change nothing: a reply may be lost. */
  readonly write: (seq: number, items: readonly Item[]) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

export class Flush<Item> {
  private readonly pending: Batch<Item>[] = [];
  private readonly pulse: Pulse;
  private nextSeq = 1;
  private lost = 0;
  private held = 0;

  constructor(private readonly parts: FlushParts<Item>) {
    const quiet = new QuietLog(parts.log, parts.clock);
    this.pulse = new Pulse({
      clock: parts.clock,
      everyMs: flushEveryMs,
      beat: async () => await this.flush(),
      onError: (error) => quiet.warn(`${parts.what} cannot be written; they wait in memory`, error),
    });
  }

  /** Items lost to a full buffer since the start. */
  get dropped(): number {
    return this.lost;
  }

  /** Items that wait in batches. */
  get waiting(): number {
    return this.held;
  }

  start(): void {
    this.pulse.start();
  }

  /** Cuts what is open into a batch and sends what is pending, oldest first. */
  private async flush(): Promise<void> {
    const items = this.parts.drain();
    if (items.length > 0) {
      this.pending.push({ seq: this.nextSeq++, items });
      this.held += items.length;
    }
    while (this.pending.length > mostPending) this.lost += this.shift();
    for (let batch = this.pending[0]; batch; batch = this.pending[0]) {
      await this.parts.write(batch.seq, batch.items);
      this.shift();
    }
  }

  /** Lets go of the oldest batch; returns how many items it had. */
  private shift(): number {
    const items = this.pending.shift()?.items.length ?? 0;
    this.held -= items;
    return items;
  }

  /** Sends what is left, once; what Postgres does not take now is lost with this process. */
  async close(): Promise<void> {
    await this.pulse.stop();
    await this.flush().catch((error: unknown) => {
      this.parts.log.warn({ err: error, batches: this.pending.length }, `the last ${this.parts.what} could not be written`);
    });
  }
}
