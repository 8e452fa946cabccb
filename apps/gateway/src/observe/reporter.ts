// Tells the controller who is here, which generation is served and how the engines are: each second, and at once when something changed.
import type { Clock } from '#libs/base';
import { type GatewayReport, GatewayStore } from '#libs/storage';
import type { DatabaseLink } from '../database-link.js';

const everyMs = 1_000;

export class Reporter {
  private readonly store = new GatewayStore();
  private readonly closing = new AbortController();
  private wakeUp = new AbortController();
  private loop: Promise<void> = Promise.resolve();

  constructor(private readonly options: { readonly link: DatabaseLink; readonly clock: Clock; readonly report: () => GatewayReport }) {}

  start(): void {
    this.loop = this.run();
  }

  wake(): void {
    this.wakeUp.abort();
  }

  private async run(): Promise<void> {
    const { link, clock, report } = this.options;
    while (!this.closing.signal.aborted) {
      this.wakeUp = new AbortController();
      try {
        await this.store.report((await link.use()).manager, report());
      } catch {
        // The feed says that Postgres is away; the next second tries again.
      }
      await clock.sleep(everyMs, AbortSignal.any([this.wakeUp.signal, this.closing.signal])).catch(() => undefined);
    }
  }

  /** Says goodbye, so that no decision waits for a gateway that is gone. */
  async close(): Promise<void> {
    this.closing.abort();
    await this.loop;
    const { id, bootId } = this.options.report();
    try {
      await this.store.remove((await this.options.link.use()).manager, id, bootId);
    } catch {
      // Without a goodbye the row ages out after five seconds.
    }
  }
}
