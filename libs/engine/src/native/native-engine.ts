// A GGUF version behind the engine port: requests go to a supervised child process, and only what the child had begun can be lost with it.
import { type Clock, type Fault, fail, type Outcome, ok, systemClock } from '#libs/base';
import type { Log } from '#libs/telemetry';
import { readHostMemory } from '../device/host-memory.js';
import {
  type Embeddings,
  type EmbedRequest,
  type EngineCapabilities,
  EngineError,
  type EngineFault,
  type EngineStats,
  type GenerateRequest,
  type InferenceEngine,
  type ScoreRequest,
  type SequenceScore,
  type TokenEvent,
  unknownLoad,
} from '../engine.js';
import { type GgufHeader, readGgufHeader, readLoraHeader } from '../gguf/header.js';
import { checkLora } from '../gguf/lora.js';
import { checkDigest } from '../model-files.js';
import { ChildSupervisor, engineFault, type SupervisionLimits, usualLimits } from './child-supervisor.js';
import { memoryFit } from './memory-fit.js';
import { memoryRule } from './memory-guard.js';
import { type MemoryNeed, usualPlan } from './memory-need.js';
import { type Answer, type Ask, PendingRequests } from './pending-requests.js';
import type { LoadRequest } from './protocol.js';

/** A LoRA adapter with its absolute path. */
export interface Adapter {
  readonly file: string;
  readonly sha256?: string | undefined;
  readonly scale: number;
}

export interface NativeEngineSpec {
  /** Absolute path, resolved inside a model root. */
  readonly file: string;
  readonly sha256?: string | undefined;
  readonly contextSize: number;
  readonly gpuLayers: number;
  readonly parallel: number;
  readonly threads?: number | undefined;
  readonly lora?: readonly Adapter[] | undefined;
  readonly memoryLimitMb?: number | undefined;
}

export interface NativeEngineOptions {
  readonly spec: NativeEngineSpec;
  readonly log: Log;
  readonly clock?: Clock;
  readonly limits?: Partial<SupervisionLimits>;
  /** Free memory of the GPUs, null when nobody knows. */
  readonly freeGpuBytes?: () => number | null;
  /** For measuring only: leave entropy out, force the fall-back evaluation, forget prompts. */
  readonly trial?: Partial<Pick<LoadRequest, 'measure' | 'evaluation' | 'prefixCache'>>;
}

const smokeLimitMs = 30_000;
/** A request that meets a restarting engine waits this long for it before it fails. */
const restartPatienceMs = 20_000;
/** Waiting work in units of one full context per slot. */
const queuedContextsPerSlot = 8;
const mostChoices = 16;
const mostTopLogprobs = 20;

export class NativeEngine implements InferenceEngine {
  readonly kind = 'native';
  private readonly clock: Clock;
  private readonly requests = new PendingRequests();
  private readonly listeners = new Set<(stats: EngineStats) => void>();
  private readonly supervisor: ChildSupervisor;
  private header: GgufHeader | null = null;
  private need: MemoryNeed | null = null;

  constructor(private readonly options: NativeEngineOptions) {
    this.clock = options.clock ?? systemClock;
    const { spec, log, trial = {} } = options;
    this.supervisor = new ChildSupervisor({
      load: {
        type: 'load',
        file: spec.file,
        contextSize: spec.contextSize,
        gpuLayers: spec.gpuLayers,
        parallel: spec.parallel,
        threads: spec.threads ?? 1,
        lora: (spec.lora ?? []).map(({ file, scale }) => ({ file, scale })),
        measure: trial.measure ?? 'exact',
        evaluation: trial.evaluation ?? 'auto',
        prefixCache: trial.prefixCache ?? true,
        maxQueuedTokens: spec.contextSize * spec.parallel * queuedContextsPerSlot,
      },
      limits: { ...usualLimits, ...options.limits },
      memoryRule: () =>
        memoryRule({
          specLimitBytes: spec.memoryLimitMb === undefined ? null : spec.memoryLimitMb * 2 ** 20,
          residentBytes: this.need?.complete ? this.need.residentBytes : null,
          usesGpu: spec.gpuLayers > 0,
        }),
      log,
      clock: this.clock,
      onMessage: (message) => this.requests.receive(message),
      onDied: (fault) => this.requests.died(fault),
      smoke: async (signal) => await this.smoke(signal),
      onState: (state, reason) => this.stateChanged(state, reason),
    });
  }

  /** Header and digest of the file and its adapters, and whether all of it fits into the memory that is free. */
  async preflight(): Promise<Outcome<{ readonly needBytes: number | null }, EngineFault>> {
    const { spec, freeGpuBytes } = this.options;
    const header = await readGgufHeader(spec.file);
    if (!header.ok) return loadFault(header.fault);
    const files = [{ path: spec.file, sha256: spec.sha256, field: 'spec.engine.sha256' }];
    let adapterBytes = 0;
    for (const [index, { file, sha256 }] of (spec.lora ?? []).entries()) {
      const adapter = await readLoraHeader(file, index);
      if (!adapter.ok) return loadFault(adapter.fault);
      const fitting = checkLora(adapter.value, header.value, index);
      if (!fitting.ok) return loadFault(fitting.fault);
      adapterBytes += adapter.value.tensorBytes;
      files.push({ path: file, sha256, field: `spec.engine.lora.${index}.sha256` });
    }
    for (const { path, sha256, field } of files) {
      const digest = sha256 === undefined ? ok(undefined) : await checkDigest(path, sha256);
      if (!digest.ok) return loadFault({ ...digest.fault, field });
    }
    const free = { hostBytes: (await readHostMemory()).availableBytes, gpuBytes: freeGpuBytes?.() ?? null };
    const { need, fault } = memoryFit(header.value, { ...usualPlan(spec), adapterBytes }, free);
    if (fault) return loadFault(fault);
    this.header = header.value;
    this.need = need;
    return ok({ needBytes: need.hostBytes + need.gpuBytes });
  }

  async load(signal: AbortSignal): Promise<void> {
    const checked = await this.preflight();
    if (!checked.ok) {
      this.supervisor.refuse(checked.fault);
      throw new EngineError(checked.fault);
    }
    const outcome = await this.supervisor.start(signal);
    if (!outcome.ok) throw new EngineError(outcome.fault);
  }

  /** One token: weights with NaN, a missing template and a graph that aborts show here and not to users. */
  private async smoke(signal: AbortSignal): Promise<Outcome<void, EngineFault>> {
    const sampling = { temperature: 0, topP: 1, topK: 0, minP: 0, maxTokens: 1, stop: [] };
    const request: GenerateRequest = { id: 'smoke', prompt: { kind: 'chat', messages: [{ role: 'user', content: 'Hello' }] }, sampling };
    try {
      for await (const _ of this.ask(generateMessage(request), AbortSignal.any([signal, AbortSignal.timeout(smokeLimitMs)])));
      return ok(undefined);
    } catch (error) {
      if (error instanceof EngineError) return fail(engineFault('engine.load-failed', `the first token failed: ${error.fault.message}`));
      throw error;
    }
  }

  capabilities(): EngineCapabilities {
    const loaded = this.supervisor.loaded;
    const own = loaded?.ownLoop ?? true;
    return {
      entropy: 'exact',
      cancel: 'step',
      topLogprobs: mostTopLogprobs,
      choices: Math.min(mostChoices, this.options.spec.parallel),
      constraints: own,
      tools: own,
      penalties: true,
      scoring: true,
      embeddings: loaded?.embeddings ?? own,
      maxParallel: this.options.spec.parallel,
      contextSize: loaded?.contextSize ?? null,
      vocabularySize: loaded?.vocabularySize ?? null,
      vocabularyHash: this.header?.vocabularyHash ?? null,
      evaluation: loaded?.evaluation ?? null,
    };
  }

  async *generate(request: GenerateRequest, signal: AbortSignal): AsyncIterable<TokenEvent> {
    await this.ready(signal);
    for await (const answer of this.ask(generateMessage(request), signal)) {
      if (answer.type !== 'scored' && answer.type !== 'embedded') yield answer;
    }
  }

  async score({ id: _, ...request }: ScoreRequest, signal: AbortSignal): Promise<readonly SequenceScore[]> {
    await this.ready(signal);
    for await (const answer of this.ask({ type: 'score', request }, signal)) if (answer.type === 'scored') return answer.sequences;
    throw new Error('a score ended without an answer');
  }

  async embed({ inputs }: EmbedRequest, signal: AbortSignal): Promise<Embeddings> {
    await this.ready(signal);
    for await (const answer of this.ask({ type: 'embed', inputs }, signal)) if (answer.type === 'embedded') return answer;
    throw new Error('an embedding ended without an answer');
  }

  /** A crash costs the requests it hit, not those that come while the child restarts: they wait. */
  private async ready(signal: AbortSignal): Promise<void> {
    const waitUntil = this.clock.monotonicMs() + restartPatienceMs;
    while (this.supervisor.state === 'restarting' && this.clock.monotonicMs() < waitUntil && !signal.aborted) await this.clock.sleep(25);
    if (signal.aborted) throw new EngineError(engineFault('engine.cancelled', 'the request was cancelled'));
    const { state, reason } = this.supervisor;
    if (state !== 'ready') {
      throw new EngineError(engineFault('engine.not-loaded', `the engine is ${state}${reason ? ` (${reason})` : ''}`, state !== 'failed'));
    }
  }

  private async *ask(ask: Ask, signal: AbortSignal): AsyncGenerator<Answer, void, undefined> {
    const { id, message, answers } = this.requests.open(ask);
    const cancel = (): void => answers.fail(new EngineError(engineFault('engine.cancelled', 'the request was cancelled')));
    if (signal.aborted) cancel();
    signal.addEventListener('abort', cancel, { once: true });
    let complete = false;
    try {
      this.supervisor.send(message);
      for await (const answer of answers) {
        complete = answer.type !== 'token' && answer.type !== 'finish';
        yield answer;
      }
    } finally {
      signal.removeEventListener('abort', cancel);
      this.requests.close(id);
      // Also when the reader simply stopped reading: nobody is left to generate for.
      if (!complete) this.supervisor.send({ type: 'cancel', id });
    }
  }

  private stateChanged(state: EngineStats['state'], reason: string | null): void {
    if (state === 'ready') for (const message of this.requests.takeWaiting()) this.supervisor.send(message);
    else if (state === 'failed') this.requests.fail(engineFault('engine.not-loaded', reason ?? 'the version was given up'));
    else if (state === 'stopped') this.requests.fail(engineFault('engine.not-loaded', 'the version was unloaded', true));
    for (const listener of this.listeners) listener(this.stats());
  }

  stats(): EngineStats {
    const { state, reason, crashes, pid, rssBytes, stats } = this.supervisor;
    return { ...unknownLoad, ...stats, state, reason, crashes, pid, rssBytes };
  }

  onStateChange(listener: (stats: EngineStats) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  async unload(drainMs: number): Promise<void> {
    const until = this.clock.monotonicMs() + drainMs;
    while (this.requests.size > 0 && this.clock.monotonicMs() < until) await this.clock.sleep(20);
    await this.supervisor.stop();
  }
}

function generateMessage(request: GenerateRequest): Ask {
  return {
    type: 'generate',
    prompt: request.prompt,
    sampling: request.sampling,
    choices: request.choices ?? 1,
    topLogprobs: request.topLogprobs ?? null,
    constraint: request.constraint ?? null,
    tools: request.tools ?? null,
    ticket: request.ticket ?? null,
  };
}

/** Faults of files and memory as the engine's own, with their code in front. */
function loadFault(fault: Fault): { readonly ok: false; readonly fault: EngineFault } {
  return fail({ ...fault, code: 'engine.load-failed' as const, message: `${fault.code}: ${fault.message}` });
}
