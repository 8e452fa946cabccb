// Any OpenAI-compatible server behind the engine port: vLLM, SGLang, llama-server, TGI, Ollama. `generate` always streams, so that cancelling and first-token time are real; `relay` asks as the client did.
import { type Clock, type Outcome, ok, type Rng, systemClock, systemRng } from '#libs/base';
import { ExpectedOutput } from '../admission/index.js';
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
  type Usage,
  unknownLoad,
} from '../engine.js';
import type { RelayHandle, RelayRequest, RelaySink } from '../relay.js';
import { readAnswer } from './answer.js';
import { explain, within } from './bounded.js';
import { type Body, Connection, maxConnections } from './connection.js';
import { mostChoices } from './dialect.js';
import { embedAt } from './embed.js';
import { EventReader } from './events.js';
import { faultOf } from './faults.js';
import { awaitLease } from './fleet/await-lease.js';
import { Fleet } from './fleet/fleet.js';
import { loadOf, mergeMetrics } from './fleet/fleet-metrics.js';
import { isWorthRetrying, type Lease, resultOf } from './fleet/lease.js';
import { checkEndpoints, type Surveyed, surveyEndpoints } from './fleet/survey.js';
import { type NamedTarget, targetsOf } from './fleet/targets.js';
import { MetricsReader } from './metrics-reader.js';
import { openStream, settle } from './open-stream.js';
import { Relays, refuseRelay, relayEndpoints } from './relay/relays.js';
import { type PreparedRequest, prepareRequest } from './request-body.js';
import { describeUpstream, type UpstreamFacts } from './upstream-facts.js';
import type { UpstreamMetrics } from './upstream-metrics.js';
import { defaultDeadlines, type HttpDeadlines, Watch } from './watch.js';

export interface HttpEngineOptions {
  /** As OpenAI clients take it, usually ending in /v1. */
  readonly baseUrl: string;
  /** Base URLs of more replicas of the same model. */
  readonly endpoints?: readonly string[] | undefined;
  /** Requests at once at each endpoint. Default: what the server tells, else 1,024. */
  readonly maxConcurrent?: number | undefined;
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

export class HttpEngine implements InferenceEngine {
  readonly kind = 'http';
  private readonly clock: Clock;
  private readonly rng: Rng;
  private readonly deadlines: HttpDeadlines;
  private readonly sampling: { readonly topLogprobs: number; readonly share: number };
  private readonly listeners = new Set<(stats: EngineStats) => void>();
  private readonly targets: Outcome<readonly NamedTarget[], EngineFault>;
  private readonly expected = new ExpectedOutput();
  private fleet: Fleet | null = null;
  private facts: UpstreamFacts | null = null;
  private readers: readonly MetricsReader[] = [];
  private relays: Relays | null = null;
  private embeds: boolean | null = null;
  /** Asked for by every request; made anew when what it says has changed. */
  private told: EngineCapabilities | null = null;
  private state: EngineState = 'idle';
  private reason: string | null = null;
  private inputTokens = 0;
  private cachedTokens = 0;

  constructor(private readonly options: HttpEngineOptions) {
    this.clock = options.clock ?? systemClock;
    this.rng = options.rng ?? systemRng;
    this.deadlines = { ...defaultDeadlines, ...options.deadlines };
    this.sampling = options.sampling ?? defaultSampling;
    this.targets = targetsOf(options.baseUrl, options.endpoints ?? []);
  }

  /** Addresses, credential and model name; generates nothing. */
  async preflight(signal: AbortSignal): Promise<Outcome<{ readonly needBytes: number | null }, EngineFault>> {
    if (!this.targets.ok) return this.targets;
    const opened = this.open(this.targets.value);
    const checked = await checkEndpoints(opened, { clock: this.clock, limitMs: this.deadlines.connectMs * 2, signal });
    await close(opened);
    return checked.ok ? ok({ needBytes: null }) : checked;
  }

  /** Finds out what the upstream is and can do by single tokens, within `deadlines.probeMs`. */
  async load(signal: AbortSignal): Promise<void> {
    this.enter('loading', null);
    if (!this.targets.ok) throw this.failed(this.targets.fault);
    const opened = this.open(this.targets.value);
    const { clock, rng, deadlines } = this;
    const bounds = { clock, signal, checkMs: deadlines.connectMs * 2, probeMs: deadlines.probeMs };
    const surveyed = await surveyEndpoints(opened, bounds);
    if (!surveyed.ok) {
      await close(opened);
      throw this.failed(surveyed.fault);
    }
    await this.leave(0);
    const { facts, troubles } = surveyed.value;
    const { dialect, maxParallel, contextSize } = facts;
    this.facts = facts;
    this.told = null;
    const readers = opened.map(
      ({ connection }) => new MetricsReader({ connection, clock, dialect, maxParallel, model: this.options.model }),
    );
    this.readers = readers;
    for (const reader of readers) reader.start();
    const limit = Math.min(maxConnections, this.options.maxConcurrent ?? maxParallel ?? maxConnections);
    const endpoints = opened.map(({ connection, name }, index) => {
      const metrics = (): UpstreamMetrics => readers[index]?.metrics ?? mergeMetrics([]);
      return { connection, name, limit, metrics, trouble: troubles[index] ?? null };
    });
    const onServing = (): void => this.follow();
    this.fleet = new Fleet({ endpoints, clock, rng, contextSize, hasHealthPage: hasHealthPage(dialect), onServing });
    this.fleet.start();
    this.relays = this.makeRelays(facts, this.fleet);
    this.enter('ready', null);
  }

  capabilities(): EngineCapabilities {
    this.told ??= this.capable();
    return this.told;
  }

  private capable(): EngineCapabilities {
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
      relay: facts === null ? [] : relayEndpoints(facts),
      maxParallel: facts?.maxParallel ?? null,
      contextSize: facts?.contextSize ?? null,
      vocabularyHash: null,
      evaluation: facts === null ? null : describeUpstream(facts, top),
    };
  }

  /** What the probe found; null before `load`. */
  upstream(): UpstreamFacts | null {
    return this.facts;
  }

  /** The upstream's own figures; all null where it tells none. */
  upstreamMetrics(): UpstreamMetrics {
    return mergeMetrics(this.readers.map(({ metrics }) => metrics));
  }

  async *generate(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<TokenEvent, void, undefined> {
    const { facts, fleet } = this;
    if (facts === null || fleet === null) throw notLoaded(this.state);
    const { topLogprobs, share } = this.sampling;
    const sampledTop = share > 0 && this.rng.uniform() < share ? topLogprobs : null;
    const prepared = prepareRequest(request, { model: this.options.model, facts, sampledTop });
    const { maxTokens } = request.sampling;
    const tokens = promptTokens(prepared.body.length) + prepared.choices * this.expected.of(maxTokens);
    let lease: Lease | null = await awaitLease(fleet, { affinity: null, tokens, ticket: request.ticket ?? null }, signal);
    const watch = new Watch(this.clock, this.deadlines);
    try {
      while (lease !== null) {
        let begun = false;
        try {
          for await (const event of this.answer(lease, { request, prepared, facts, watch }, signal)) {
            begun = true;
            yield event.type === 'end' ? { ...event, queueWaitMs: event.queueWaitMs + lease.waitedMs } : event;
          }
          return;
        } catch (error) {
          if (!(error instanceof EngineError)) throw error;
          const result = resultOf(error.fault);
          const again: Lease | null =
            !begun && isWorthRetrying(error.fault) && (result === 'failed' || result === 'refused') ? lease.retry(result) : null;
          lease.done(result);
          if (again === null) throw error;
          lease = again;
        }
      }
    } finally {
      watch.done();
      // Left early by the reader, or for a reason of our own.
      lease?.done('cancelled');
    }
  }

  /** One try at one endpoint. Ends the lease when the answer is whole; throws EngineError. */
  private async *answer(
    lease: Lease,
    {
      request,
      prepared,
      facts,
      watch,
    }: { readonly request: GenerateRequest; readonly prepared: PreparedRequest; readonly facts: UpstreamFacts; readonly watch: Watch },
    signal: AbortSignal,
  ): AsyncGenerator<TokenEvent, void, undefined> {
    const given = new AbortController();
    const sentAtMs = this.clock.monotonicMs();
    let body: Body | null = null;
    let whole = false;
    lease.lost = () =>
      given.abort(new EngineError(faultOf('engine.upstream-unreachable', 'the endpoint fell silent', { retryable: true })));
    try {
      const secret = this.options.credential;
      body = await openStream(lease, prepared, { secret, now: this.clock.now() }, AbortSignal.any([signal, watch.signal, given.signal]));
      const events = new EventReader(body, mostBytesOf(request, prepared));
      for await (const event of readAnswer(events, { request: prepared, facts, secret })) {
        watch.pause();
        lease.firstByte(this.clock.monotonicMs() - sentAtMs);
        if (event.type === 'end') {
          whole = true;
          this.inputTokens += event.usage.inputTokens;
          this.cachedTokens += event.usage.cachedTokens;
          this.expected.observe(request.sampling.maxTokens, event.usage.outputTokens / prepared.choices);
          lease.done('ok');
          void settle(events, given, this.clock);
        }
        yield event;
        if (signal.aborted && !whole) throw signal.reason;
        watch.resume();
      }
    } catch (error) {
      if (given.signal.aborted && !signal.aborted && given.signal.reason instanceof EngineError) throw given.signal.reason;
      throw explain(error, { signal, deadline: watch.signal, begun: body !== null });
    } finally {
      // Left early for whatever reason: the upstream must stop working for nobody, and this connection serves no one else.
      if (!whole) given.abort();
    }
  }

  relay(request: RelayRequest, sink: RelaySink): RelayHandle {
    return this.relays?.relay(request, sink) ?? refuseRelay(sink, notLoaded(this.state).fault);
  }

  /** Vectors of unit length. The first use tells whether the upstream has the endpoint. */
  async embed(request: EmbedRequest, signal: AbortSignal): Promise<Embeddings> {
    const { fleet } = this;
    if (fleet === null) throw notLoaded(this.state);
    if (this.embeds === false) throw new EngineError(faultOf('engine.bad-request', 'the upstream gives no embeddings'));
    const { model, credential } = this.options;
    const tokens = request.inputs.reduce((sum, input) => sum + (typeof input === 'string' ? promptTokens(input.length) : input.length), 0);
    const { firstTokenMs } = this.deadlines;
    const bounds = { clock: this.clock, limitMs: firstTokenMs, signal };
    let lease: Lease | null = await awaitLease(fleet, { affinity: null, tokens, ticket: request.ticket ?? null }, signal);
    for (;;) {
      const held: Lease = lease;
      const mayResend = (): boolean => held.resend();
      const made: Outcome<Embeddings, EngineFault> = await within(bounds, async (bounded) =>
        ok(await embedAt(held.connection, request, { model, secret: credential, now: this.clock.now(), signal: bounded, mayResend })),
      );
      const result = resultOf(made.ok ? null : made.fault);
      if (made.ok) {
        lease.done('ok');
        this.learnEmbeds(true);
        return made.value;
      }
      const again: Lease | null = isWorthRetrying(made.fault) && (result === 'failed' || result === 'refused') ? lease.retry(result) : null;
      const { code, field, retryable } = made.fault;
      // Before it ever worked, a refusal that will not pass is that of the endpoint, and no failure of the server.
      const lacks = this.embeds === null && !retryable && code === 'engine.upstream-error' && field === 'spec.engine.model';
      if (lacks) this.learnEmbeds(false);
      lease.done(lacks ? 'ok' : result);
      if (again === null) throw new EngineError(made.fault);
      lease = again;
    }
  }

  stats(): EngineStats {
    const { state, reason, fleet, inputTokens, cachedTokens } = this;
    const load = fleet === null ? unknownLoad : { ...unknownLoad, ...loadOf(fleet, this.upstreamMetrics()) };
    return { ...load, state, reason, inputTokens, cachedTokens, crashes: 0, pid: null, rssBytes: null };
  }

  onStateChange(listener: (stats: EngineStats) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  async unload(drainMs: number): Promise<void> {
    await this.leave(drainMs);
    this.enter('stopped', null);
  }

  private open(targets: readonly NamedTarget[]): Opened[] {
    const { model, credential } = this.options;
    return targets.map(({ target, name, field }) => {
      const connection = new Connection(target, credential, this.deadlines.connectMs);
      return { connection, name, field, probe: { connection, model, secret: credential, now: this.clock.now() } };
    });
  }

  /** Lets running requests end, then lets go of everything. */
  private async leave(drainMs: number): Promise<void> {
    await this.fleet?.close(drainMs);
    await Promise.all(this.readers.map(async (reader) => await reader.stop()));
    this.fleet = null;
    this.relays = null;
    this.readers = [];
  }

  /** Serving ends with the last endpoint and comes back with the first. */
  private follow(): void {
    const out = this.fleet?.trouble ?? null;
    this.enter(out === null ? 'ready' : 'unreachable', out);
  }

  private learnEmbeds(embeds: boolean): void {
    this.embeds = embeds;
    this.told = null;
  }

  /** Nobody there, silent or busy: that is no fault of the version. */
  private failed(fault: EngineFault): EngineError {
    this.enter(fault.retryable === true && fault.code !== 'engine.load-failed' ? 'unreachable' : 'failed', fault.message);
    return new EngineError(fault);
  }

  private makeRelays(facts: UpstreamFacts, fleet: Fleet): Relays {
    const { model, credential: secret } = this.options;
    const { clock, rng, deadlines, sampling, expected } = this;
    const used = ({ inputTokens, cachedTokens }: Usage): void => {
      this.inputTokens += inputTokens;
      this.cachedTokens += cachedTokens;
    };
    return new Relays({ model, facts, fleet, clock, rng, deadlines, sampling, expected, secret, used });
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

interface Opened extends Surveyed {
  readonly connection: Connection;
  readonly name: string;
}

async function close(opened: readonly Opened[]): Promise<void> {
  await Promise.all(opened.map(async ({ connection }) => await connection.close()));
}

/** Four bytes are a token, more or less, in every tokenizer and most languages. */
function promptTokens(bytes: number): number {
  return Math.ceil(bytes / 4);
}

function hasHealthPage(dialect: UpstreamFacts['dialect']): boolean {
  return dialect !== 'openai' && dialect !== 'ollama';
}

function mostBytesOf({ sampling }: GenerateRequest, { choices }: PreparedRequest): number {
  return bytesPerAnswer + choices * sampling.maxTokens * bytesPerToken;
}
