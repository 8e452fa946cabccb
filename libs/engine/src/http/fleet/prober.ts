// Asks every endpoint's health page, regularly and when there is doubt. Requests say more: a page is only believed where they are silent.
import { type Clock, ok } from '#libs/base';
import { within } from '../bounded.js';
import { faultOf } from '../faults.js';
import type { Endpoint } from './endpoint.js';
import type { Random } from './random.js';

const everyMs = 5_000;
/** Endpoints that are down, and after a first silence. */
const againMs = 1_000;
const deadlineMs = 2_000;
/** Where requests hang already and others could take them. */
const shortDeadlineMs = 500;
const largestPageBytes = 16 << 10;

interface Turn {
  dueMs: number;
  /** In doubt since a request failed or hangs. */
  doubted: boolean;
  running: Promise<void> | null;
}

export class Prober {
  private readonly turns = new Map<Endpoint, Turn>();
  private readonly stopping = new AbortController();
  /** Pages that are not there: these servers are asked for their models instead. */
  private readonly without = new Set<Endpoint>();

  constructor(
    private readonly endpoints: readonly Endpoint[],
    private readonly options: {
      readonly clock: Clock;
      readonly random: Random;
      /** Has a page `health`. */
      readonly hasHealthPage: boolean;
      /** Told after each look. */
      readonly looked: (endpoint: Endpoint) => void;
    },
  ) {
    const nowMs = options.clock.monotonicMs();
    for (const endpoint of endpoints) {
      this.turns.set(endpoint, { dueMs: nowMs + this.pauseMs(endpoint), doubted: false, running: null });
      if (!options.hasHealthPage) this.without.add(endpoint);
    }
  }

  /** Starts the looks that are due. */
  tick(nowMs: number): void {
    for (const [endpoint, turn] of this.turns) {
      if (turn.running !== null || nowMs < turn.dueMs) continue;
      turn.running = this.look(endpoint, turn).finally(() => {
        turn.running = null;
      });
    }
  }

  /** Looks at the next tick. */
  doubt(endpoint: Endpoint, nowMs: number): void {
    const turn = this.turns.get(endpoint);
    if (!turn || turn.doubted) return;
    turn.doubted = true;
    turn.dueMs = Math.min(turn.dueMs, nowMs);
  }

  /** Ends the looks under way. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await Promise.all([...this.turns.values()].map(async ({ running }) => await running));
  }

  /** Never rejects. */
  private async look(endpoint: Endpoint, turn: Turn): Promise<void> {
    const { clock, looked } = this.options;
    const beganAtMs = clock.monotonicMs();
    const limitMs = turn.doubted && this.endpoints.length > 1 ? shortDeadlineMs : deadlineMs;
    const page = await within({ clock, limitMs, signal: this.stopping.signal }, async (bounded) => await this.ask(endpoint, bounded));
    if (this.stopping.signal.aborted) return;
    const { health } = endpoint;
    if (page.ok) health.probed();
    // One that gives answers meanwhile is busy, not dead.
    else if (page.fault.code !== 'engine.timeout' || endpoint.answeredAtMs < beganAtMs)
      health.unanswered(page.fault.message, page.fault.code === 'engine.upstream-unreachable' && health.suspicious);
    const again = !page.ok && turn.doubted && health.state !== 'down';
    turn.doubted = false;
    turn.dueMs = again ? beganAtMs : clock.monotonicMs() + this.pauseMs(endpoint, !page.ok);
    if (again) turn.doubted = true;
    looked(endpoint);
  }

  private async ask(endpoint: Endpoint, signal: AbortSignal): ReturnType<typeof within<null>> {
    const { connection } = endpoint;
    const { rootPath, apiPath } = connection.target;
    const path = this.without.has(endpoint) ? `${apiPath}models` : `${rootPath}health`;
    const { status } = await connection.get(path, signal, largestPageBytes);
    // A proxy before it may not pass the page on.
    if (status === 404 && !this.without.has(endpoint)) this.without.add(endpoint);
    if (status < 500) return ok(null);
    return { ok: false, fault: faultOf('engine.upstream-error', `its page ${path} answers HTTP ${status}`, { retryable: true }) };
  }

  /** Spread by a fifth, so that gateways do not look together. */
  private pauseMs(endpoint: Endpoint, silent = false): number {
    const usualMs = silent || endpoint.health.state === 'down' ? againMs : everyMs;
    return usualMs * (0.8 + 0.4 * this.options.random.uniform());
  }
}
