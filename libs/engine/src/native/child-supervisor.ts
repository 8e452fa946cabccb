// Keeps one engine child alive: start, smoke test, heartbeat, restart with back-off, and the end. Knows nothing of requests.
import { type Clock, fail, type Outcome, ok } from '#libs/base';
import type { Log } from '#libs/telemetry';
import type { EngineFault, EngineFaultCode, EngineState } from '../engine.js';
import { describeExit, EngineProcess } from './engine-process.js';
import { judgeMemory, type MemoryRule, type Overrun } from './memory-guard.js';
import type { FromChild, LoadRequest, LoopStats, ToChild } from './protocol.js';
import { afterDeath, noDeaths, type RestartHistory, type RestartRule, usualRestartRule } from './restart-policy.js';

export const engineFault = (code: EngineFaultCode, message: string, retryable = false): EngineFault => ({ code, message, retryable });

export interface SupervisionLimits extends RestartRule {
  readonly loadMs: number;
  readonly pingEveryMs: number;
  /** A child that does not answer, or whose step does not end, for this long is killed. */
  readonly hungAfterMs: number;
}

export const usualLimits: SupervisionLimits = {
  loadMs: 120_000,
  pingEveryMs: 2_000,
  hungAfterMs: 20_000,
  ...usualRestartRule,
};

export interface Loaded {
  readonly contextSize: number;
  readonly vocabularySize: number;
  readonly evaluation: string;
  readonly ownLoop: boolean;
  readonly embeddings: boolean;
}

export interface SupervisorParts {
  readonly load: LoadRequest;
  readonly limits: SupervisionLimits;
  readonly log: Log;
  readonly clock: Clock;
  /** What the child may hold; asked at each start, when the file's needs are known. */
  readonly memoryRule: () => MemoryRule;
  /** Everything but loading and heartbeats. */
  readonly onMessage: (message: FromChild) => void;
  /** One token through the new child, before anybody else may use it. */
  readonly smoke: (signal: AbortSignal) => Promise<Outcome<void, EngineFault>>;
  readonly onDied: (fault: EngineFault) => void;
  readonly onState: (state: EngineState, reason: string | null) => void;
}

export class ChildSupervisor {
  state: EngineState = 'idle';
  reason: string | null = null;
  crashes = 0;
  rssBytes: number | null = null;
  stats: LoopStats | null = null;
  loaded: Loaded | null = null;
  private child: EngineProcess | null = null;
  private history: RestartHistory = noDeaths;
  private overrun: Overrun = 0;
  private readySinceMs: number | null = null;
  private lastPongMs = 0;
  /** Why we killed the child, where we did. */
  private cause: string | null = null;
  private onLoaded: ((outcome: Outcome<void, EngineFault>) => void) | null = null;

  constructor(private readonly parts: SupervisorParts) {}

  get pid(): number | null {
    return this.child?.pid ?? null;
  }

  send(message: ToChild): void {
    this.child?.send(message);
  }

  /** Starts the first child. */
  async start(signal: AbortSignal): Promise<Outcome<void, EngineFault>> {
    this.enter('loading', null);
    const outcome = await this.startChild(signal);
    if (outcome.ok) this.enter('ready', null);
    else this.enter('failed', outcome.fault.message);
    return outcome;
  }

  /** For faults found before a child was needed. */
  refuse(fault: EngineFault): void {
    this.enter('failed', fault.message);
  }

  /** A running, smoke-tested child, or why there is none. */
  private async startChild(signal?: AbortSignal): Promise<Outcome<void, EngineFault>> {
    const child = new EngineProcess((message) => this.receive(child, message));
    this.child = child;
    this.overrun = 0;
    this.lastPongMs = this.parts.clock.monotonicMs();
    const loaded = new Promise<Outcome<void, EngineFault>>((done) => {
      this.onLoaded = done;
    });
    let doing = 'while loading';
    const died = child.exited.then((exit) =>
      fail(engineFault('engine.load-failed', `the engine process died ${doing} (${describeExit(exit)})`)),
    );
    child.send(this.parts.load);
    const limit = AbortSignal.timeout(this.parts.limits.loadMs);
    const stopped = signal ? AbortSignal.any([signal, limit]) : limit;
    const late = new Promise<Outcome<void, EngineFault>>((done) => {
      const give = (): void =>
        done(
          fail(
            limit.aborted
              ? engineFault('engine.load-failed', `loading took longer than ${this.parts.limits.loadMs / 1000} s`)
              : engineFault('engine.cancelled', 'loading was cancelled'),
          ),
        );
      if (stopped.aborted) give();
      stopped.addEventListener('abort', give, { once: true });
    });
    const decided = new AbortController();
    const smoked = async (): Promise<Outcome<void, EngineFault>> => {
      const outcome = await loaded;
      if (!outcome.ok) return outcome;
      doing = 'on its first token';
      return await this.parts.smoke(decided.signal);
    };
    const outcome = await Promise.race([smoked(), died, late]);
    decided.abort();
    this.onLoaded = null;
    if (!outcome.ok) {
      this.child = null;
      child.kill('SIGKILL');
      await child.exited;
      return outcome;
    }
    void child.exited.then((exit) => this.childDied(child, describeExit(exit)));
    void this.watch(child);
    return ok(undefined);
  }

  private receive(child: EngineProcess, message: FromChild): void {
    if (child !== this.child) return;
    switch (message.type) {
      case 'loaded':
        this.loaded = message;
        this.onLoaded?.(ok(undefined));
        return;
      case 'loadFailed':
        this.onLoaded?.(fail(engineFault('engine.load-failed', message.message)));
        return;
      case 'pong':
        this.rssBytes = message.rssBytes;
        this.stats = message.stats;
        this.lastPongMs = this.parts.clock.monotonicMs();
        if (message.stepAgeMs !== null && message.stepAgeMs > this.parts.limits.hungAfterMs) this.kill(child, 'a step does not end');
        this.judgeMemory(child, message.rssBytes);
        return;
      default:
        this.parts.onMessage(message);
    }
  }

  /** A child that does not answer pings any more is stopped or hung: only killing helps. */
  private async watch(child: EngineProcess): Promise<void> {
    const { clock, limits } = this.parts;
    while (this.child === child) {
      child.send({ type: 'ping' });
      await clock.sleep(limits.pingEveryMs);
      if (this.child === child && clock.monotonicMs() - this.lastPongMs > limits.hungAfterMs) this.kill(child, 'it does not answer');
    }
  }

  private kill(child: EngineProcess, why: string): void {
    this.parts.log.error({ pid: child.pid, why }, 'killing an engine');
    this.cause = why;
    child.kill('SIGKILL');
  }

  /** Before the machine dies of it. */
  private judgeMemory(child: EngineProcess, rssBytes: number): void {
    const { judgment, overrun } = judgeMemory(this.parts.memoryRule(), this.overrun, rssBytes);
    this.overrun = overrun;
    if (judgment.kind === 'kill') this.kill(child, judgment.reason);
    else if (judgment.kind === 'warn') this.parts.log.warn({ pid: child.pid, why: judgment.reason }, 'an engine holds more than it should');
  }

  private async childDied(child: EngineProcess, exit: string): Promise<void> {
    if (this.child !== child || this.state === 'stopped') return;
    const how = this.cause ? `killed: ${this.cause}` : exit;
    this.cause = null;
    this.child = null;
    this.rssBytes = null;
    this.stats = null;
    this.crashes += 1;
    const crash = engineFault('engine.crashed', `the engine process died (${how})`, true);
    this.parts.log.error({ how, crashes: this.crashes }, 'an engine died');
    this.parts.onDied(crash);
    const { clock } = this.parts;
    let servedMs = this.readySinceMs === null ? null : clock.monotonicMs() - this.readySinceMs;
    this.readySinceMs = null;
    this.enter('restarting', crash.message);
    while (this.state === 'restarting') {
      const { decision, history } = afterDeath(this.history, { atMs: clock.monotonicMs(), servedMs }, this.parts.limits);
      this.history = history;
      if (decision.kind === 'giveUp') return this.enter('failed', `${decision.reason}; the last time: ${how}`);
      await clock.sleep(decision.afterMs);
      if (this.state !== 'restarting') return;
      const outcome = await this.startChild();
      if (this.state !== 'restarting') return;
      if (outcome.ok) return this.enter('ready', null);
      servedMs = null;
      this.parts.log.error({ fault: outcome.fault }, 'an engine did not come back');
    }
  }

  private enter(state: EngineState, reason: string | null): void {
    if (state === 'ready') this.readySinceMs = this.parts.clock.monotonicMs();
    this.state = state;
    this.reason = reason;
    this.parts.onState(state, reason);
  }

  /** Ending the process is the only complete release of weights and caches. */
  async stop(): Promise<void> {
    const { child } = this;
    this.child = null;
    this.enter('stopped', null);
    child?.kill('SIGKILL');
    await child?.exited;
  }
}
