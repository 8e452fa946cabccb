// The figures of this machine's GPUs, always at hand: a small process samples them, is watched, and is started again when it dies or hangs.
import { type ChildProcess, fork } from 'node:child_process';
import { type Clock, systemClock } from '#libs/base';
import type { Log } from '#libs/telemetry';
import { compiledFile } from '../compiled-file.js';
import { afterDeath, noDeaths, type RestartRule } from '../native/restart-policy.js';
import { type Driver, findDriver } from './find-driver.js';
import type { DeviceReading, DeviceSource } from './reading.js';
import type { FromSampler, SampleRequest } from './sampler-protocol.js';

export interface DeviceWatchOptions {
  readonly log: Log;
  readonly clock?: Clock;
  /** PATH, LD_LIBRARY_PATH and HOME of it reach the sampling process. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly everyMs?: number;
  /** Default: searched on this machine. */
  readonly driver?: Driver | null;
}

const usualEveryMs = 2_000;
/** Figures older than this are nobody's present state. */
const staleAfterMs = 10_000;
/** A process that says nothing for so long hangs in the driver. Longer than the pause of one that found no source. */
const silentAfterMs = 45_000;
const lookEveryMs = 1_000;
/** Never given up: drivers are replaced under running services. */
const restarts: RestartRule = { firstBackOffMs: 1_000, longestBackOffMs: 300_000, crashWindowMs: 60_000, toleratedCrashes: Infinity };
/** After so many deaths in a row the library is left alone and only the tool is asked. */
const libraryDeaths = 2;
const heapLimitMb = 64;

export class DeviceWatch {
  private readonly clock: Clock;
  private readonly stopping = new AbortController();
  private latest: { readonly readings: readonly DeviceReading[]; readonly source: DeviceSource; readonly atMs: number } | null = null;
  private absence: string | null = 'not looked yet';
  private child: ChildProcess | null = null;
  private heard = false;
  private heardMs = 0;
  private loop: Promise<void> | null = null;

  constructor(private readonly options: DeviceWatchOptions) {
    this.clock = options.clock ?? systemClock;
  }

  /** Newest readings, at most 10 s old; null while there are none. An empty list: the driver has no GPU. Cheap. */
  current(): readonly DeviceReading[] | null {
    return this.fresh?.readings ?? null;
  }

  get source(): DeviceSource | null {
    return this.fresh?.source ?? null;
  }

  /** Why `current` is null; null when it is not. */
  get reason(): string | null {
    return this.fresh ? null : (this.absence ?? 'the figures are too old');
  }

  /** The process that samples, for those who watch processes. */
  get pid(): number | null {
    return this.child?.pid ?? null;
  }

  private get fresh() {
    return this.latest && this.clock.monotonicMs() - this.latest.atMs <= staleAfterMs ? this.latest : null;
  }

  /** Without a driver on this machine no process is started. A second call does nothing. */
  start(): void {
    this.loop ??= this.run();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    this.child?.kill('SIGKILL');
    await this.loop;
  }

  private async run(): Promise<void> {
    const { environment = process.env } = this.options;
    const driver = this.options.driver === undefined ? await findDriver({ platform: process.platform, environment }) : this.options.driver;
    if (!driver) {
      this.absence = 'this machine has no NVIDIA driver';
      return;
    }
    let history = noDeaths;
    while (!this.stopping.signal.aborted) {
      const useLibrary = history.streak < libraryDeaths || driver.tool === null;
      const startedMs = this.clock.monotonicMs();
      this.heard = false;
      const how = await this.runOnce({
        driver: useLibrary ? driver : { ...driver, library: null },
        everyMs: this.options.everyMs ?? usualEveryMs,
      });
      if (this.stopping.signal.aborted) return;
      const atMs = this.clock.monotonicMs();
      const next = afterDeath(history, { atMs, servedMs: this.heard ? atMs - startedMs : null }, restarts);
      history = next.history;
      this.absence = `the sampling process died (${how})`;
      this.options.log.warn({ how, deaths: history.streak }, 'GPU sampling died');
      const pauseMs = next.decision.kind === 'restart' ? next.decision.afterMs : restarts.longestBackOffMs;
      await this.clock.sleep(pauseMs, this.stopping.signal).catch(() => undefined);
    }
  }

  /** One process from start to death; resolves with how it died. */
  private async runOnce(request: SampleRequest): Promise<string> {
    const { environment = process.env } = this.options;
    const child = fork(compiledFile(import.meta.url, './sampler.js'), [], {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      execArgv: [`--max-old-space-size=${heapLimitMb}`],
      // Nothing of the gateway's secrets is a driver's business.
      env: Object.fromEntries(['PATH', 'LD_LIBRARY_PATH', 'HOME', 'SystemRoot'].map((name) => [name, environment[name] ?? ''])),
    });
    this.child = child;
    const died = new Promise<string>((done) => {
      child.once('exit', (code, signal) => done(signal ?? `exit code ${code}`));
      child.on('error', (error) => {
        if (child.pid === undefined) done(error.message);
      });
    });
    child.on('message', (message) => this.receive(child, message as FromSampler));
    child.send(request, () => undefined);
    this.heardMs = this.clock.monotonicMs();
    const ended = new AbortController();
    void this.killWhenSilent(child, ended.signal);
    try {
      return await died;
    } finally {
      ended.abort();
      this.child = null;
      this.latest = null;
    }
  }

  private receive(child: ChildProcess, message: FromSampler): void {
    if (child !== this.child) return;
    this.heard = true;
    this.heardMs = this.clock.monotonicMs();
    if (message.type === 'readings') {
      this.latest = { readings: message.readings, source: message.source, atMs: this.heardMs };
      this.absence = null;
      return;
    }
    this.latest = null;
    if (this.absence !== message.reason) this.options.log.info({ reason: message.reason }, 'no GPU figures');
    this.absence = message.reason;
  }

  private async killWhenSilent(child: ChildProcess, ended: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      if (this.clock.monotonicMs() - this.heardMs > silentAfterMs) child.kill('SIGKILL');
      await this.clock.sleep(lookEveryMs, ended).catch(() => undefined);
    }
  }
}
