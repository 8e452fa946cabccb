// Any OpenAI-compatible server behind the engine port: vLLM, SGLang, llama-server, TGI, Ollama. Streams always, so that cancelling and first-token time are real.
import { type Clock, type Outcome, ok, type Rng, systemClock, systemRng } from '#libs/base';
import {
  type Embeddings,
  type EmbedRequest,
  type EngineCapabilities,
  EngineError,
  type EngineFault,
  type EngineState,
  type EngineStats,
  type GenerateRequest,
  type InferenceEngine,
  type TokenEvent,
  unknownLoad,
} from '../engine.js';
import { readAnswer } from './answer.js';
import { explain, within } from './bounded.js';
import { type Body, Connection, maxConnections, NotAStream } from './connection.js';
import { mostChoices } from './dialect.js';
import { embedAt } from './embed.js';
import { EventReader } from './events.js';
import { errorIn, faultOf, refusalFault, reportedFault } from './faults.js';
import { json } from './identify.js';
import { MetricsReader } from './metrics-reader.js';
import { checkModel, probe } from './probe.js';
import { type PreparedRequest, prepareRequest } from './request-body.js';
import { type Target, targetOf } from './target.js';
import type { UpstreamFacts } from './upstream-facts.js';
import { noMetrics, type UpstreamMetrics } from './upstream-metrics.js';
import { defaultDeadlines, type HttpDeadlines, Watch } from './watch.js';

export interface HttpEngineOptions {
  /** As OpenAI clients take it, usually ending in /v1. */
  readonly baseUrl: string;
  readonly model: string;
  readonly credential?: string | undefined;
  readonly clock?: Clock;
  readonly rng?: Rng;
  readonly deadlines?: Partial<HttpDeadlines>;
  /**
   * Log probabilities asked for on our own account, for entropy bounds: likely tokens per token, 0 to 20 (fewer where the upstream gives fewer),
   * and the share of requests, 0 to 1. They cost the upstream work and some 2 kB per token on the wire. Default: 20, of all.
   */
  readonly sampling?: { readonly topLogprobs: number; readonly share: number };
}

const defaultSampling = { topLogprobs: 20, share: 1 };
/** An answer may be this long on the wire: log probabilities of 20 tokens, generously, for each token that was asked for. */
const bytesPerToken = 8 << 10;
const bytesPerAnswer = 1 << 20;
/** How long an upstream may take to close an answer that has ended before we close the connection. */
const settleMs = 500;
const drainPollMs = 20;

export class HttpEngine implements InferenceEngine {
  readonly kind = 'http';
  private readonly clock: Clock;
  private readonly rng: Rng;
  private readonly deadlines: HttpDeadlines;
  private readonly sampling: { readonly topLogprobs: number; readonly share: number };
  private readonly listeners = new Set<(stats: EngineStats) => void>();
  private readonly target: Outcome<Target, EngineFault>;
  private connection: Connection | null = null;
  private facts: UpstreamFacts | null = null;
  private reader: MetricsReader | null = null;
  private embeds: boolean | null = null;
  private state: EngineState = 'idle';
  private reason: string | null = null;
  private running = 0;
  private inputTokens = 0;
  private cachedTokens = 0;

  constructor(private readonly options: HttpEngineOptions) {
    this.clock = options.clock ?? systemClock;
    this.rng = options.rng ?? systemRng;
    this.deadlines = { ...defaultDeadlines, ...options.deadlines };
    this.sampling = options.sampling ?? defaultSampling;
    this.target = targetOf(options.baseUrl);
  }

  /** Address, credential and model name; generates nothing. */
  async preflight(signal: AbortSignal): Promise<Outcome<{ readonly needBytes: number | null }, EngineFault>> {
    if (!this.target.ok) return this.target;
    const { connectMs } = this.deadlines;
    return await this.within(connectMs * 2, signal, async (bounded) => {
      const checked = await checkModel(this.probeInput(this.open(), bounded));
      return 'fault' in checked ? { ok: false, fault: checked.fault } : ok({ needBytes: null });
    });
  }

  /** Finds out what the upstream is and can do by single tokens, within `deadlines.probeMs`. */
  async load(signal: AbortSignal): Promise<void> {
    this.enter('loading', null);
    const loaded = !this.target.ok
      ? this.target
      : await this.within<UpstreamFacts>(this.deadlines.probeMs, signal, async (bounded) => {
          const input = this.probeInput(this.open(), bounded);
          const checked = await checkModel(input);
          return 'fault' in checked ? { ok: false, fault: checked.fault } : ok(await probe(input, await checked.identity()));
        });
    if (!loaded.ok) {
      this.enter('failed', loaded.fault.message);
      throw new EngineError(loaded.fault);
    }
    this.facts = loaded.value;
    await this.reader?.stop();
    const { dialect, maxParallel } = this.facts;
    this.reader = new MetricsReader({ connection: this.open(), clock: this.clock, dialect, maxParallel, model: this.options.model });
    this.reader.start();
    this.enter('ready', null);
  }

  capabilities(): EngineCapabilities {
    const { facts } = this;
    const top = facts?.chat?.topLogprobs ?? facts?.completions?.topLogprobs ?? null;
    return {
      entropy: top === null ? 'none' : 'bounds',
      cancel: 'disconnect',
      topLogprobs: top ?? 0,
      choices: mostChoices(facts?.dialect ?? 'openai'),
      constraints: true,
      tools: true,
      penalties: true,
      scoring: false,
      // Asked on first use: until then nothing speaks against it.
      embeddings: this.embeds ?? true,
      maxParallel: facts?.maxParallel ?? null,
      contextSize: facts?.contextSize ?? null,
      vocabularyHash: null,
      evaluation: facts === null ? null : describe(facts, top),
    };
  }

  /** What the probe found; null before `load`. */
  upstream(): UpstreamFacts | null {
    return this.facts;
  }

  /** The upstream's own figures; all null where it tells none. */
  upstreamMetrics(): UpstreamMetrics {
    return this.reader?.metrics ?? noMetrics;
  }

  async *generate(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<TokenEvent, void, undefined> {
    const { facts } = this;
    if (this.state !== 'ready' || facts === null) throw notLoaded(this.state);
    if (this.running >= maxConnections) throw new EngineError(full());
    const { topLogprobs, share } = this.sampling;
    const sampledTop = share > 0 && this.rng.uniform() < share ? topLogprobs : null;
    const prepared = prepareRequest(request, { model: this.options.model, facts, sampledTop });
    this.running += 1;
    const watch = new Watch(this.clock, this.deadlines);
    const given = new AbortController();
    const secret = this.options.credential;
    let body: Body | null = null;
    let whole = false;
    try {
      body = await this.post(prepared, AbortSignal.any([signal, watch.signal, given.signal]));
      const events = new EventReader(body, mostBytesOf(request, prepared));
      for await (const event of readAnswer(events, { request: prepared, facts, secret })) {
        watch.pause();
        if (event.type === 'end') {
          whole = true;
          this.inputTokens += event.usage.inputTokens;
          this.cachedTokens += event.usage.cachedTokens;
          void this.settle(events, given);
        }
        yield event;
        if (signal.aborted && !whole) throw signal.reason;
        watch.resume();
      }
    } catch (error) {
      throw explain(error, { signal, deadline: watch.signal, begun: body !== null });
    } finally {
      // Left early for whatever reason: the upstream must stop working for nobody, and this connection serves no one else.
      if (!whole) given.abort();
      watch.done();
      this.running -= 1;
    }
  }

  /** Vectors of unit length. The first use tells whether the upstream has the endpoint. */
  async embed(request: EmbedRequest, signal: AbortSignal): Promise<Embeddings> {
    if (this.state !== 'ready') throw notLoaded(this.state);
    if (this.embeds === false) throw new EngineError(faultOf('engine.bad-request', 'the upstream gives no embeddings'));
    const { model, credential } = this.options;
    const made = await this.within(this.deadlines.firstTokenMs, signal, async (bounded) =>
      ok(await embedAt(this.open(), request, { model, secret: credential, now: this.clock.now(), signal: bounded })),
    );
    if (made.ok) {
      this.embeds = true;
      return made.value;
    }
    const { code, field, retryable } = made.fault;
    // Before it ever worked, a refusal that will not pass is that of the endpoint.
    if (this.embeds === null && !retryable && code === 'engine.upstream-error' && field === 'spec.engine.model') this.embeds = false;
    throw new EngineError(made.fault);
  }

  stats(): EngineStats {
    const { state, reason, inputTokens, cachedTokens } = this;
    const { running, waiting, queueWaitMs, occupancy, kvCellsUsed, kvCellsTotal, inputTokensPerS, outputTokensPerS } =
      this.upstreamMetrics();
    return {
      ...unknownLoad,
      state,
      reason,
      running: running ?? this.running,
      queued: waiting ?? 0,
      queueWaitMs,
      occupancy,
      kvCellsUsed,
      kvCellsTotal,
      inputTokensPerS,
      outputTokensPerS,
      inputTokens,
      cachedTokens,
      crashes: 0,
      pid: null,
      rssBytes: null,
    };
  }

  onStateChange(listener: (stats: EngineStats) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  async unload(drainMs: number): Promise<void> {
    const until = this.clock.monotonicMs() + drainMs;
    while (this.running > 0 && this.clock.monotonicMs() < until) await this.clock.sleep(drainPollMs);
    this.enter('stopped', null);
    await this.reader?.stop();
    this.reader = null;
    await this.connection?.close();
    this.connection = null;
  }

  private async post({ endpoint, body }: PreparedRequest, signal: AbortSignal): Promise<Body> {
    const { credential } = this.options;
    try {
      const connection = this.open();
      const answer = await connection.stream(`${connection.target.apiPath}${endpoint}`, body, signal);
      if ('refusal' in answer) throw new EngineError(refusalFault(answer.refusal, this.clock.now(), credential));
      // A connection that is given up must not end the process by an error that nobody reads.
      answer.body.on('error', () => undefined);
      return answer.body;
    } catch (error) {
      if (!(error instanceof NotAStream)) throw error;
      const reported = errorIn(json(error.text));
      throw new EngineError(
        reported ? reportedFault(reported, credential) : faultOf('engine.upstream-error', error.message, { retryable: true }),
      );
    }
  }

  /** Lets a finished answer close, so that its connection can serve again; closes it otherwise. Never rejects. */
  private async settle(events: EventReader, given: AbortController): Promise<void> {
    const ended = new AbortController();
    const late = this.clock.sleep(settleMs, ended.signal).then(() => given.abort());
    await Promise.race([events.settle(), late]).catch(() => given.abort());
    ended.abort();
    await late.catch(() => undefined);
  }

  private async within<T>(limitMs: number, signal: AbortSignal, work: (bounded: AbortSignal) => Promise<Outcome<T, EngineFault>>) {
    return await within({ clock: this.clock, limitMs, signal }, work);
  }

  private probeInput(connection: Connection, signal: AbortSignal) {
    const { model, credential } = this.options;
    return { connection, model, secret: credential, now: this.clock.now(), signal };
  }

  private open(): Connection {
    if (!this.target.ok) throw new EngineError(this.target.fault);
    this.connection ??= new Connection(this.target.value, this.options.credential, this.deadlines.connectMs);
    return this.connection;
  }

  private enter(state: EngineState, reason: string | null): void {
    this.state = state;
    this.reason = reason;
    for (const listener of this.listeners) listener(this.stats());
  }
}

function notLoaded(state: EngineState): EngineError {
  return new EngineError(faultOf('engine.not-loaded', `the engine is ${state}`, { retryable: true }));
}

function full(): EngineFault {
  return faultOf('engine.overloaded', `${maxConnections} requests are with the upstream already`, { retryable: true, retryAfterMs: 1_000 });
}

function mostBytesOf({ sampling }: GenerateRequest, { choices }: PreparedRequest): number {
  return bytesPerAnswer + choices * sampling.maxTokens * bytesPerToken;
}

function describe({ dialect, version, rawLogprobs }: UpstreamFacts, top: number | null): string {
  const server = dialect === 'openai' ? 'an OpenAI-compatible server' : `${dialect}${version === null ? '' : ` ${version}`}`;
  if (top === null) return `by ${server}, which streams no log probabilities`;
  return `by ${server}; entropy bounds from its top ${top} log probabilities${rawLogprobs ? '' : ', which are tempered: only at temperature 1'}`;
}
