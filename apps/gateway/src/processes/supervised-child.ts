// One place among a gateway's processes: whoever dies in it is followed by another, after a pause that grows while they die young.
import { type ChildProcess, fork } from 'node:child_process';
import type { Clock } from '#libs/base';
import type { Log } from '#libs/telemetry';
import { type CountedUnits, isCountedUnits } from './counted-units.js';

const shortestPauseMs = 100;
const longestPauseMs = 10_000;
/** A process that does not listen by then hangs at its start. Loading engines takes no part of it. */
const startLimitMs = 60_000;
/** Who listened this long did not die of how it was started. */
const soundAfterMs = 60_000;
/** Counted in pings, not in time: a machine that slept wakes with all of them late. */
const pingEveryMs = 1_000;
const mostUnanswered = 10;
/** Longer than a gateway's own drain, which bounds itself. */
const stopLimitMs = 40_000;

export interface PlaceOptions {
  /** From 1. */
  readonly place: number;
  readonly port: number;
  /** Told of units that the process has counted. */
  readonly onCounted: (units: CountedUnits) => void;
  readonly clock: Clock;
  readonly log: Log;
}

export class SupervisedChild {
  private child: ChildProcess | null = null;
  private exited: Promise<string | null> = Promise.resolve(null);
  private readonly stopping = new AbortController();
  private youngDeaths = 0;

  constructor(private readonly options: PlaceOptions) {}

  get pid(): number | null {
    return this.child?.pid ?? null;
  }

  /** Starts the first process of the place. Resolves when it listens, or with how it ended before; then nobody follows it. */
  async start(): Promise<string | null> {
    const failed = await this.spawn();
    if (failed === null) void this.follow();
    return failed;
  }

  /** What the others have counted. */
  tell(units: CountedUnits): void {
    if (this.child?.connected) this.child.send(units, () => undefined);
  }

  /** Asks it to drain. Resolves to how it ended, null when in order. */
  async stop(): Promise<string | null> {
    const { clock } = this.options;
    this.stopping.abort();
    if (!this.child) return null;
    this.child.kill('SIGTERM');
    const gone = new AbortController();
    const late = clock.sleep(stopLimitMs, gone.signal).then(
      () => this.child?.kill('SIGKILL'),
      () => undefined,
    );
    const how = await this.exited;
    gone.abort();
    await late;
    return how;
  }

  private async follow(): Promise<void> {
    const { clock, log, place } = this.options;
    const { signal } = this.stopping;
    for (;;) {
      const sinceMs = clock.monotonicMs();
      const how = await this.exited;
      if (signal.aborted) return;
      this.youngDeaths = clock.monotonicMs() - sinceMs >= soundAfterMs ? 0 : this.youngDeaths + 1;
      const pauseMs = Math.min(longestPauseMs, shortestPauseMs * 2 ** Math.max(0, this.youngDeaths - 1));
      log.warn({ process: place, ended: how ?? 'exit code 0', pauseMs }, 'a gateway process ended unasked; another follows');
      await clock.sleep(pauseMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      await this.spawn();
    }
  }

  /** Resolves when the process listens (null) or has ended before (how). */
  private async spawn(): Promise<string | null> {
    const { place, port } = this.options;
    const child = fork(new URL('./child.js', import.meta.url), [String(place), String(port)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.child = child;
    this.exited = new Promise((done) => {
      const ended = (how: string | null): void => {
        if (this.child === child) this.child = null;
        done(how);
      };
      child.once('exit', (code, signal) => ended(code === 0 ? null : (signal ?? `exit code ${code}`)));
      child.on('error', (error) => {
        if (child.pid === undefined) ended(error.message);
      });
    });
    const listens = new Promise<null>((done) => child.once('message', () => done(null)));
    const decided = new AbortController();
    const late = this.options.clock.sleep(startLimitMs, decided.signal).then(
      () => child.kill('SIGKILL'),
      () => false,
    );
    const failed = await Promise.race([listens, this.exited.then((how) => how ?? 'exit code 0')]);
    decided.abort();
    await late;
    if (failed === null) void this.watch(child);
    return failed;
  }

  /** The kernel goes on giving connections to a process that hangs: it is killed, so that another follows. */
  private async watch(child: ChildProcess): Promise<void> {
    const { clock, log, place } = this.options;
    let unanswered = 0;
    child.on('message', (message) => {
      unanswered = 0;
      if (isCountedUnits(message)) this.options.onCounted(message);
    });
    while (this.child === child && !this.stopping.signal.aborted) {
      if (unanswered >= mostUnanswered) {
        log.error({ process: place, pid: child.pid, unanswered }, 'a gateway process hangs and is killed');
        child.kill('SIGKILL');
        return;
      }
      unanswered += 1;
      if (child.connected) child.send('ping', () => undefined);
      await clock.sleep(pingEveryMs, this.stopping.signal).catch(() => undefined);
    }
  }
}
