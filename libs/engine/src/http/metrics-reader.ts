// Reads an upstream's page of metrics every five seconds, with a deadline; a server without one is asked seldom.
import { type Clock, ok, Pulse } from '#libs/base';
import { EngineError } from '../engine.js';
import { within } from './bounded.js';
import type { Connection } from './connection.js';
import type { Dialect } from './dialect.js';
import { parseMetrics } from './prometheus-text.js';
import { noMetrics, type Reading, readMetrics, type UpstreamMetrics } from './upstream-metrics.js';

const everyMs = 5_000;
/** A server without the page is asked seldom. */
const afterFailureMs = 60_000;
const deadlineMs = 3_000;
const largestPageBytes = 4 << 20;

/** Reads the page while it runs. */
export class MetricsReader {
  private readonly pulse: Pulse;
  private before: Reading | null = null;
  private current = noMetrics;
  private trouble: string | null = null;

  constructor(
    private readonly options: {
      readonly connection: Connection;
      readonly clock: Clock;
      readonly dialect: Dialect;
      readonly model: string;
      readonly maxParallel: number | null;
    },
  ) {
    this.pulse = new Pulse({
      clock: options.clock,
      everyMs,
      afterFailureMs,
      beat: async () => await this.read(),
      onError: (error) => {
        // What was true a minute ago is not known any more.
        this.current = noMetrics;
        this.before = null;
        this.trouble = error instanceof Error ? error.message : String(error);
      },
    });
  }

  /** The newest figures, all null while there are none. */
  get metrics(): UpstreamMetrics {
    return this.current;
  }

  /** Why there are none; null when there are. */
  get reason(): string | null {
    return this.trouble;
  }

  start(): void {
    this.pulse.start();
  }

  async stop(): Promise<void> {
    await this.pulse.stop();
  }

  private async read(): Promise<void> {
    const { connection, clock } = this.options;
    const path = `${connection.target.rootPath}metrics`;
    const got = await within({ clock, limitMs: deadlineMs, signal: this.pulse.signal }, async (bounded) =>
      ok(await connection.get(path, bounded, largestPageBytes)),
    );
    if (!got.ok) throw new EngineError(got.fault);
    const page = got.value;
    if (page.status !== 200) throw new Error(`the upstream has no page of metrics (HTTP ${page.status})`);
    const parsed = parseMetrics(page.text);
    if (!parsed.ok) throw new Error(parsed.fault.message);
    const reading = { atMs: clock.monotonicMs(), page: parsed.value };
    this.current = readMetrics(reading, this.before, this.options);
    this.before = reading;
    this.trouble = null;
  }
}
