// A GGUF version behind the engine port: supervises its child process, restarts it after a crash, fails only the requests it held.
import { type Clock, fail, type Outcome, ok, systemClock } from '#libs/base';
import type { Log } from '#libs/telemetry';
import {
  type EngineCapabilities,
  EngineError,
  type EngineFault,
  type EngineFaultCode,
  type EngineState,
  type EngineStats,
  type GenerateRequest,
  type InferenceEngine,
  type TokenEvent,
  unknownLoad,
} from '../engine.js';
import { EventQueue } from '../event-queue.js';
import { type GgufHeader, readGgufHeader } from '../gguf/header.js';
import { checkDigest } from '../model-files.js';
import { describeExit, EngineProcess } from './engine-process.js';
import type { FromChild } from './protocol.js';

export interface NativeEngineSpec {
  /** Absolute path, resolved inside a model root. */
  readonly file: string;
  readonly sha256?: string | undefined;
  readonly contextSize: number;
  readonly gpuLayers: number;
  readonly parallel: number;
  readonly threads?: number | undefined;
}

export interface NativeEngineOptions {
  readonly spec: NativeEngineSpec;
  readonly log: Log;
  readonly clock?: Clock;
}

const loadLimitMs = 120_000;
const smokeLimitMs = 30_000;
const pingEveryMs = 2_000;
const hungAfterMs = 20_000;
const firstBackOffMs = 200;
const longestBackOffMs = 10_000;
const crashWindowMs = 60_000;
/** More crashes than this within the window and the version is given up. */
const toleratedCrashes = 5;
/** A request that meets a restarting engine waits this long for it before it fails. */
const restartPatienceMs = 20_000;
const queuedPerSlot = 16;

const engineFault = (code: EngineFaultCode, message: string, retryable = false): EngineFault => ({ code, message, retryable });

export class NativeEngine implements InferenceEngine {
  readonly kind = 'native';
  private readonly clock: Clock;
  private readonly queues = new Map<number, EventQueue<TokenEvent>>();
  private readonly listeners = new Set<(stats: EngineStats) => void>();
  private process: EngineProcess | null = null;
  private state: EngineState = 'idle';
  private reason: string | null = null;
  private crashes = 0;
  private readonly crashTimes: number[] = [];
  private nextId = 1;
  private contextSize: number | null = null;
  private header: GgufHeader | null = null;
  private rssBytes: number | null = null;
  private lastPongMs = 0;
  private onLoaded: ((outcome: Outcome<void, EngineFault>) => void) | null = null;

  constructor(private readonly options: NativeEngineOptions) {
    this.clock = options.clock ?? systemClock;
  }

  async preflight(): Promise<Outcome<{ readonly needBytes: number | null }, EngineFault>> {
    const header = await readGgufHeader(this.options.spec.file);
    if (!header.ok)
      return fail({ ...header.fault, code: 'engine.load-failed' as const, message: `${header.fault.code}: ${header.fault.message}` });
    if (this.options.spec.sha256) {
      const digest = await checkDigest(this.options.spec.file, this.options.spec.sha256);
      if (!digest.ok)
        return fail({ ...digest.fault, code: 'engine.load-failed' as const, message: `${digest.fault.code}: ${digest.fault.message}` });
    }
    this.header = header.value;
    return ok({ needBytes: header.value.tensorBytes });
  }

  async load(signal: AbortSignal): Promise<void> {
    this.enter('loading', null);
    const checked = await this.preflight();
    if (!checked.ok) {
      this.enter('failed', checked.fault.message);
      throw new EngineError(checked.fault);
    }
    const outcome = await this.startChild(signal);
    if (!outcome.ok) {
      this.enter('failed', outcome.fault.message);
      throw new EngineError(outcome.fault);
    }
    this.enter('ready', null);
  }

  /** A running, smoke-tested child, or why there is none. */
  private async startChild(signal?: AbortSignal): Promise<Outcome<void, EngineFault>> {
    const { spec } = this.options;
    const child = new EngineProcess((message) => this.receive(child, message));
    this.process = child;
    this.lastPongMs = this.clock.monotonicMs();
    const loaded = new Promise<Outcome<void, EngineFault>>((done) => {
      this.onLoaded = done;
    });
    const died = child.exited.then((exit) =>
      fail(engineFault('engine.load-failed', `the engine process died while loading (${describeExit(exit)})`)),
    );
    child.send({
      type: 'load',
      file: spec.file,
      contextSize: spec.contextSize,
      gpuLayers: spec.gpuLayers,
      parallel: spec.parallel,
      threads: spec.threads ?? 1,
      maxQueued: spec.parallel * queuedPerSlot,
    });
    const patience = new AbortController();
    const late = this.clock.sleep(loadLimitMs, AbortSignal.any([patience.signal, ...(signal ? [signal] : [])])).then(
      () => fail(engineFault('engine.load-failed', `the model was not loaded within ${loadLimitMs / 1000} s`)),
      () =>
        patience.signal.aborted ? new Promise<never>(() => undefined) : fail(engineFault('engine.cancelled', 'loading was cancelled')),
    );
    const outcome = await Promise.race([loaded, died, late]);
    patience.abort();
    const smoked = outcome.ok ? await this.smoke(child) : outcome;
    if (!smoked.ok) {
      child.kill('SIGKILL');
      this.process = null;
      return smoked;
    }
    void child.exited.then(async (exit) => {
      await this.childDied(child, describeExit(exit));
    });
    void this.watch(child);
    return ok(undefined);
  }

  /** One token from a one-word prompt: a model that loads but cannot answer must not be called ready. */
  private async smoke(child: EngineProcess): Promise<Outcome<void, EngineFault>> {
    const deadline = AbortSignal.timeout(smokeLimitMs);
    const died = child.exited.then((exit) => {
      throw new EngineError(engineFault('engine.load-failed', `the engine process died on its first token (${describeExit(exit)})`));
    });
    const asked = async (): Promise<void> => {
      const sampling = { temperature: 0, topP: 1, topK: 0, minP: 0, maxTokens: 1, stop: [] };
      for await (const event of this.ask(
        child,
        { id: 'smoke', prompt: { kind: 'chat', messages: [{ role: 'user', content: 'Hello' }] }, sampling },
        deadline,
      )) {
        if (event.type === 'token' && event.uncertainty.kind === 'exact' && !Number.isFinite(event.uncertainty.entropyNats)) {
          throw new EngineError(
            engineFault('engine.load-failed', 'the first token has no finite entropy: the weights hold NaN or infinity'),
          );
        }
      }
    };
    try {
      await Promise.race([asked(), died]);
      return ok(undefined);
    } catch (error) {
      if (error instanceof EngineError) return fail(engineFault('engine.load-failed', error.fault.message));
      throw error;
    } finally {
      died.catch(() => undefined);
    }
  }

  capabilities(): EngineCapabilities {
    return {
      entropy: 'exact',
      cancel: 'step',
      topLogprobs: 0,
      choices: 1,
      constraints: false,
      penalties: false,
      scoring: false,
      embeddings: false,
      evaluation: null,
      maxParallel: this.options.spec.parallel,
      contextSize: this.contextSize,
      vocabularyHash: this.header?.vocabularyHash ?? null,
    };
  }

  async *generate(request: GenerateRequest, signal: AbortSignal): AsyncIterable<TokenEvent> {
    yield* this.ask(await this.readyChild(signal), request, signal);
  }

  /** A crash costs the requests it hit, not those that come while the child restarts: they wait. */
  private async readyChild(signal: AbortSignal): Promise<EngineProcess> {
    const waitUntil = this.clock.monotonicMs() + restartPatienceMs;
    while (this.state === 'restarting' && this.clock.monotonicMs() < waitUntil && !signal.aborted) await this.clock.sleep(25);
    if (signal.aborted) throw new EngineError(engineFault('engine.cancelled', 'the request was cancelled'));
    if (this.state === 'ready' && this.process) return this.process;
    throw new EngineError(
      engineFault('engine.not-loaded', `the engine is ${this.state}${this.reason ? ` (${this.reason})` : ''}`, this.state !== 'failed'),
    );
  }

  private async *ask(child: EngineProcess, request: GenerateRequest, signal: AbortSignal): AsyncIterable<TokenEvent> {
    const id = this.nextId++;
    const queue = new EventQueue<TokenEvent>();
    const cancel = (): void => queue.fail(new EngineError(engineFault('engine.cancelled', 'the request was cancelled')));
    if (signal.aborted) cancel();
    signal.addEventListener('abort', cancel, { once: true });
    this.queues.set(id, queue);
    let complete = false;
    try {
      child.send({
        type: 'generate',
        id,
        messages: request.prompt.kind === 'chat' ? request.prompt.messages : [],
        sampling: request.sampling,
      });
      for await (const event of queue) {
        complete = event.type === 'end';
        yield event;
      }
    } finally {
      signal.removeEventListener('abort', cancel);
      this.queues.delete(id);
      // Also when the reader simply stopped reading: nobody is left to generate for.
      if (!complete) child.send({ type: 'cancel', id });
    }
  }

  private receive(child: EngineProcess, message: FromChild): void {
    if (child !== this.process) return;
    switch (message.type) {
      case 'loaded':
        this.contextSize = message.contextSize;
        this.onLoaded?.(ok(undefined));
        return;
      case 'loadFailed':
        this.onLoaded?.(fail(engineFault('engine.load-failed', message.message)));
        return;
      case 'tokens':
        for (const [id, text, entropyNats, nllNats] of message.tokens) {
          // JSON turns NaN into null; either way the token has no measure, and that is counted, not hidden.
          this.queues.get(id)?.push({
            type: 'token',
            choice: 0,
            text,
            uncertainty: { kind: 'exact', entropyNats: entropyNats ?? Number.NaN, nllNats: nllNats ?? Number.NaN, marginNats: Number.NaN },
          });
        }
        return;
      case 'end': {
        const queue = this.queues.get(message.id);
        queue?.push({ type: 'finish', choice: 0, finishReason: message.finishReason });
        queue?.push({
          type: 'end',
          usage: { inputTokens: message.inputTokens, outputTokens: message.outputTokens, cachedTokens: 0 },
          queueWaitMs: message.queueWaitMs,
        });
        queue?.end();
        return;
      }
      case 'failed':
        this.queues
          .get(message.id)
          ?.fail(new EngineError(engineFault(message.code, message.message, message.code === 'engine.overloaded')));
        return;
      case 'pong':
        this.rssBytes = message.rssBytes;
        this.lastPongMs = this.clock.monotonicMs();
        return;
    }
  }

  /** A child that does not answer pings any more is hung in native code: only killing helps. */
  private async watch(child: EngineProcess): Promise<void> {
    while (this.process === child) {
      child.send({ type: 'ping' });
      await this.clock.sleep(pingEveryMs);
      if (this.process === child && this.clock.monotonicMs() - this.lastPongMs > hungAfterMs) {
        this.options.log.error({ pid: child.pid }, 'an engine does not answer any more; killing it');
        child.kill('SIGKILL');
      }
    }
  }

  private async childDied(child: EngineProcess, how: string): Promise<void> {
    if (this.process !== child || this.state === 'stopped') return;
    this.process = null;
    this.rssBytes = null;
    this.crashes += 1;
    const crash = engineFault('engine.crashed', `the engine process died (${how})`, true);
    for (const queue of this.queues.values()) queue.fail(new EngineError(crash));
    this.options.log.error({ how, crashes: this.crashes }, 'an engine died');
    this.enter('restarting', crash.message);
    for (let backOffMs = firstBackOffMs; this.state === 'restarting'; backOffMs = Math.min(longestBackOffMs, backOffMs * 2)) {
      const now = this.clock.monotonicMs();
      this.crashTimes.push(now);
      while ((this.crashTimes[0] ?? now) < now - crashWindowMs) this.crashTimes.shift();
      if (this.crashTimes.length > toleratedCrashes) {
        this.enter('failed', `${this.crashTimes.length} crashes within ${crashWindowMs / 1000} s; the last one: ${how}`);
        return;
      }
      await this.clock.sleep(backOffMs);
      if (this.state !== 'restarting') return;
      const outcome = await this.startChild();
      if (this.state !== 'restarting') return;
      if (outcome.ok) return this.enter('ready', null);
      this.options.log.error({ fault: outcome.fault }, 'an engine did not come back');
    }
  }

  stats(): EngineStats {
    return {
      ...unknownLoad,
      state: this.state,
      reason: this.reason,
      running: this.queues.size,
      crashes: this.crashes,
      pid: this.process?.pid ?? null,
      rssBytes: this.rssBytes,
    };
  }

  onStateChange(listener: (stats: EngineStats) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private enter(state: EngineState, reason: string | null): void {
    this.state = state;
    this.reason = reason;
    for (const listener of this.listeners) listener(this.stats());
  }

  async unload(drainMs: number): Promise<void> {
    const until = this.clock.monotonicMs() + drainMs;
    while (this.queues.size > 0 && this.clock.monotonicMs() < until) await this.clock.sleep(20);
    const child = this.process;
    this.enter('stopped', null);
    this.process = null;
    for (const queue of this.queues.values())
      queue.fail(new EngineError(engineFault('engine.not-loaded', 'the version was unloaded', true)));
    // Ending the process is the only complete release of weights and caches.
    child?.kill('SIGKILL');
    await child?.exited;
  }
}
