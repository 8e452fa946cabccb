// Tells the controller who is here, which generation is served and how the engines are: each second, and at once when something changed.
import { type Clock, Pulse } from '#libs/base';
import { type GatewayReport, GatewayStore } from '#libs/storage';
import type { DatabaseLink } from '../database-link.js';

const everyMs = 1_000;

export class Reporter {
  private readonly store = new GatewayStore();
  private readonly pulse: Pulse;

  constructor(private readonly options: { readonly link: DatabaseLink; readonly clock: Clock; readonly report: () => GatewayReport }) {
    this.pulse = new Pulse({
      clock: options.clock,
      everyMs,
      beat: async () => await this.store.report((await options.link.use()).manager, options.report()),
      // The feed says that Postgres is away; the next second tries again.
      onError: () => undefined,
    });
  }

  start(): void {
    this.pulse.start();
  }

  wake(): void {
    this.pulse.wake();
  }

  /** Says goodbye, so that no decision waits for a gateway that is gone. */
  async close(): Promise<void> {
    await this.pulse.stop();
    const { id, bootId } = this.options.report();
    try {
      await this.store.remove((await this.options.link.use()).manager, id, bootId);
    } catch {
      // Without a goodbye the row ages out after five seconds.
    }
  }
}
