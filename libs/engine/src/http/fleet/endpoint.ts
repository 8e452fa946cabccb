// One endpoint of a version: its connection, what it holds, and what is known of it.
import type { EndpointFigures } from '../../engine.js';
import type { Connection } from '../connection.js';
import type { UpstreamMetrics } from '../upstream-metrics.js';
import { Ceiling } from './ceiling.js';
import { type Candidate, hashOf } from './choose.js';
import { FirstTokens } from './first-tokens.js';
import { Health } from './health.js';
import type { LeaseResult } from './lease.js';

export interface EndpointSetup {
  readonly connection: Connection;
  /** Unique in the version. */
  readonly name: string;
  /** Requests at once. */
  readonly limit: number;
  /** The newest figures of its own; the same object until there are newer ones. */
  readonly metrics: () => UpstreamMetrics;
  /** Why it could not be reached when the version was loaded; null when it could. */
  readonly trouble: string | null;
}

export class Endpoint implements Candidate {
  readonly connection: Connection;
  readonly name: string;
  readonly hash: number;
  readonly health = new Health();
  readonly ceiling: Ceiling;
  readonly firstTokens = new FirstTokens();
  readonly ended: Record<LeaseResult, number> = { ok: 0, failed: 0, cancelled: 0, refused: 0 };
  /** When the oldest of its requests without a first byte was sent, monotonic, as of the last tick; null: none. */
  silentSinceMs: number | null = null;
  outstanding = 0;
  limit = 0;
  /** Monotonic time of its last sign of life that was an answer. */
  answeredAtMs = Number.NEGATIVE_INFINITY;
  private measured: UpstreamMetrics;

  constructor(private readonly setup: EndpointSetup) {
    this.connection = setup.connection;
    this.name = setup.name;
    this.hash = hashOf(setup.name);
    this.ceiling = new Ceiling(setup.limit);
    this.measured = setup.metrics();
    if (setup.trouble !== null) this.health.fall(setup.trouble);
    this.refresh();
  }

  /** Of the connections that are there, what is given to requests: by health and by ceiling. True when it changed. */
  refresh(): boolean {
    const before = this.limit;
    const { state } = this.health;
    this.limit = state === 'up' ? this.ceiling.requests : state === 'trial' ? 1 : 0;
    return this.limit !== before;
  }

  /** Heeds the upstream's own figures when there are new ones. */
  measure(): void {
    const metrics = this.setup.metrics();
    if (metrics === this.measured) return;
    this.measured = metrics;
    this.ceiling.measured(this.outstanding, metrics.running, metrics.waiting);
  }

  figures(): EndpointFigures {
    const { name, outstanding, limit, firstTokens, ended } = this;
    const { state, reason } = this.health;
    return { name, state, reason, running: outstanding, limit, ttftMs: firstTokens.medianMs, ended: { ...ended } };
  }
}
