// Keeps the newest snapshot on disk, beside everything else: a slow disk must not hold up the next table, which may be a rollback.
import type { QuietLog } from '#libs/telemetry';
import { type Knowledge, saveSnapshot } from './snapshot.js';

export class SnapshotKeeper {
  private wanted: Knowledge | null = null;
  private kept = '';
  private busy = false;
  private writing: Promise<void> = Promise.resolve();

  constructor(
    private readonly file: string,
    private readonly quiet: QuietLog,
    private readonly save: typeof saveSnapshot = saveSnapshot,
  ) {}

  /** Returns at once. Of those that come while one is being written the last is written; what is on disk already is not. */
  keep(knowledge: Knowledge): void {
    this.wanted = knowledge;
    if (!this.busy) this.writing = this.write();
  }

  private async write(): Promise<void> {
    this.busy = true;
    for (let next = this.wanted; next; next = this.wanted) {
      this.wanted = null;
      const { table, keys, gateways } = next;
      const text = JSON.stringify({ table, keys, gateways });
      if (text === this.kept) continue;
      try {
        await this.save(this.file, next);
        this.kept = text;
      } catch (error) {
        // A full disk must not stop serving: the snapshot is only for the next start.
        this.quiet.warn('the routing snapshot could not be written; a restart without Postgres would have none', error);
      }
    }
    this.busy = false;
  }

  /** Resolves when the newest is on disk, or could not be written. */
  async close(): Promise<void> {
    await this.writing;
  }
}
