// Any OpenAI-compatible server behind the engine port: vLLM, llama-server, SGLang. Streams always, so that cancelling and first-token time are real.
import { Pool } from 'undici';
import { z } from 'zod';
import { type Clock, fail, type Outcome, ok, systemClock } from '#libs/base';
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
  type Usage,
  unknownLoad,
} from '../engine.js';
import { guardedLookup, isMetadataAddress } from './address.js';
import { EventStreamError, readEvents } from './events.js';

export interface HttpEngineOptions {
  /** As OpenAI clients take it, usually ending in /v1. */
  readonly baseUrl: string;
  readonly model: string;
  readonly credential?: string | undefined;
  readonly clock?: Clock;
  readonly deadlines?: Partial<HttpDeadlines>;
}

/** Milliseconds. */
export interface HttpDeadlines {
  readonly connectMs: number;
  readonly firstTokenMs: number;
  readonly betweenTokensMs: number;
}

const defaultDeadlines: HttpDeadlines = { connectMs: 5_000, firstTokenMs: 120_000, betweenTokensMs: 30_000 };
const maxConnections = 1_024;
const keptErrorBytes = 2_048;

const chunkSchema = z.object({
  choices: z
    .array(z.object({ delta: z.object({ content: z.string().nullish() }).loose().nullish(), finish_reason: z.string().nullish() }).loose())
    .default([]),
  usage: z
    .object({
      prompt_tokens: z.number().default(0),
      completion_tokens: z.number().default(0),
      prompt_tokens_details: z.object({ cached_tokens: z.number().nullish() }).nullish(),
    })
    .nullish(),
  error: z.unknown().optional(),
});

const finishReasons: Readonly<Record<string, 'stop' | 'length' | 'content_filter' | 'tool_calls'>> = {
  stop: 'stop',
  length: 'length',
  content_filter: 'content_filter',
  tool_calls: 'tool_calls',
};

const fault = (code: EngineFaultCode, message: string, retryable = false): EngineFault => ({ code, message, retryable });

export class HttpEngine implements InferenceEngine {
  readonly kind = 'http';
  private readonly clock: Clock;
  private readonly deadlines: HttpDeadlines;
  private readonly listeners = new Set<(stats: EngineStats) => void>();
  private readonly url: URL;
  private pool: Pool | null = null;
  private state: EngineState = 'idle';
  private reason: string | null = null;
  private running = 0;

  constructor(private readonly options: HttpEngineOptions) {
    this.clock = options.clock ?? systemClock;
    this.deadlines = { ...defaultDeadlines, ...options.deadlines };
    this.url = new URL(`${options.baseUrl.replace(/\/+$/, '')}/`);
  }

  async preflight(signal: AbortSignal): Promise<Outcome<{ readonly needBytes: number | null }, EngineFault>> {
    if (isMetadataAddress(this.url.hostname))
      return fail({ ...fault('engine.load-failed', 'the base URL names a metadata address'), field: 'spec.engine.baseUrl' });
    const pool = this.openPool();
    try {
      const response = await pool.request({
        method: 'GET',
        path: `${this.url.pathname}models`,
        headers: this.headers(),
        signal: AbortSignal.any([signal, AbortSignal.timeout(this.deadlines.connectMs * 2)]),
      });
      const { statusCode } = response;
      await response.body.dump({ limit: 1 << 20 });
      // A server without /models is fine; one that refuses our credential is not.
      if (statusCode === 401 || statusCode === 403) {
        return fail({
          ...fault('engine.load-failed', `the upstream refuses our credential (HTTP ${statusCode})`),
          field: 'spec.engine.credentialEnv',
        });
      }
      return ok({ needBytes: null });
    } catch (error) {
      return fail({
        ...fault('engine.upstream-unreachable', `the upstream cannot be reached: ${messageOf(error)}`, true),
        field: 'spec.engine.baseUrl',
      });
    }
  }

  async load(signal: AbortSignal): Promise<void> {
    this.enter('loading', null);
    const checked = await this.preflight(signal);
    if (!checked.ok) {
      this.enter('failed', checked.fault.message);
      throw new EngineError(checked.fault);
    }
    this.enter('ready', null);
  }

  capabilities(): EngineCapabilities {
    return {
      entropy: 'none',
      cancel: 'disconnect',
      topLogprobs: 0,
      choices: 1,
      constraints: true,
      penalties: true,
      scoring: false,
      embeddings: false,
      maxParallel: null,
      contextSize: null,
      vocabularyHash: null,
      evaluation: null,
    };
  }

  async *generate(request: GenerateRequest, signal: AbortSignal): AsyncIterable<TokenEvent> {
    if (this.state !== 'ready') throw new EngineError(fault('engine.not-loaded', `the engine is ${this.state}`, true));
    this.running += 1;
    const watchdog = new AbortController();
    let dueMs = this.clock.monotonicMs() + this.deadlines.firstTokenMs;
    const ended = new AbortController();
    void this.guard(() => dueMs, watchdog, ended.signal);
    try {
      const body = await this.post(request, AbortSignal.any([signal, watchdog.signal]));
      for await (const event of this.read(body)) {
        dueMs = this.clock.monotonicMs() + this.deadlines.betweenTokensMs;
        yield event;
      }
    } catch (error) {
      throw this.explain(error, signal, watchdog.signal);
    } finally {
      ended.abort();
      watchdog.abort();
      this.running -= 1;
    }
  }

  /** One timer per request: the deadline moves with each token instead of a new timer for each. */
  private async guard(dueMs: () => number, watchdog: AbortController, ended: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      const leftMs = dueMs() - this.clock.monotonicMs();
      if (leftMs <= 0) return watchdog.abort(new EngineError(fault('engine.timeout', 'the upstream fell silent', true)));
      await this.clock.sleep(Math.min(leftMs, 1_000), ended).catch(() => undefined);
    }
  }

  private async post(request: GenerateRequest, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const { sampling } = request;
    const response = await this.openPool().request({
      method: 'POST',
      path: `${this.url.pathname}chat/completions`,
      headers: { ...this.headers(), 'content-type': 'application/json', accept: 'text/event-stream' },
      body: JSON.stringify({
        ...request.body,
        model: this.options.model,
        messages: request.prompt.kind === 'chat' ? request.prompt.messages : [],
        temperature: sampling.temperature,
        top_p: sampling.topP,
        max_tokens: sampling.maxTokens,
        ...(sampling.seed === undefined ? {} : { seed: sampling.seed }),
        ...(sampling.stop.length === 0 ? {} : { stop: sampling.stop }),
        stream: true,
        stream_options: { include_usage: true },
      }),
      signal,
    });
    if (response.statusCode === 200) return response.body;
    const text = await firstBytes(response.body);
    const status = response.statusCode;
    if (status === 429 || status === 503) throw new EngineError(fault('engine.overloaded', `the upstream is busy (HTTP ${status})`, true));
    if (status >= 400 && status < 500 && status !== 401 && status !== 403 && status !== 404) {
      throw new EngineError(fault('engine.bad-request', `the upstream refused the request (HTTP ${status}): ${text}`));
    }
    throw new EngineError(fault('engine.upstream-error', `the upstream answered HTTP ${status}`, true));
  }

  private async *read(body: AsyncIterable<Uint8Array>): AsyncIterable<TokenEvent> {
    let finishReason: 'stop' | 'length' | 'content_filter' | 'tool_calls' | null = null;
    let usage: Usage | null = null;
    let pieces = 0;
    for await (const data of readEvents(body)) {
      if (data === '[DONE]') break;
      const chunk = parseChunk(data);
      const choice = chunk.choices[0];
      if (chunk.usage) {
        usage = {
          inputTokens: chunk.usage.prompt_tokens,
          outputTokens: chunk.usage.completion_tokens,
          cachedTokens: chunk.usage.prompt_tokens_details?.cached_tokens ?? 0,
        };
      }
      if (choice?.finish_reason) finishReason = finishReasons[choice.finish_reason] ?? 'stop';
      const text = choice?.delta?.content;
      if (text) {
        pieces += 1;
        yield { type: 'token', choice: 0, text, uncertainty: { kind: 'none' } };
      }
    }
    // An answer without a finish reason was cut: telling the client that it is whole would be a lie.
    if (finishReason === null) throw new EngineError(fault('engine.upstream-error', 'the upstream ended its answer in the middle', true));
    yield { type: 'finish', choice: 0, finishReason };
    yield { type: 'end', usage: usage ?? { inputTokens: 0, outputTokens: pieces, cachedTokens: 0 }, queueWaitMs: 0 };
  }

  private explain(error: unknown, signal: AbortSignal, watchdog: AbortSignal): EngineError {
    if (signal.aborted) return new EngineError(fault('engine.cancelled', 'the request was cancelled'));
    if (watchdog.aborted && watchdog.reason instanceof EngineError) return watchdog.reason;
    if (error instanceof EngineError) return error;
    if (error instanceof EventStreamError) return new EngineError(fault('engine.upstream-error', error.message, true));
    const code = (error as { code?: string }).code ?? '';
    const reached = code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'UND_ERR_BODY_TIMEOUT';
    return new EngineError(
      fault(reached ? 'engine.upstream-error' : 'engine.upstream-unreachable', `the upstream failed: ${messageOf(error)}`, true),
    );
  }

  private openPool(): Pool {
    this.pool ??= new Pool(this.url.origin, {
      connections: maxConnections,
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: { timeout: this.deadlines.connectMs, lookup: guardedLookup },
    });
    return this.pool;
  }

  private headers(): Record<string, string> {
    return { 'accept-encoding': 'identity', ...(this.options.credential ? { authorization: `Bearer ${this.options.credential}` } : {}) };
  }

  stats(): EngineStats {
    return { ...unknownLoad, state: this.state, reason: this.reason, running: this.running, crashes: 0, pid: null, rssBytes: null };
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
    while (this.running > 0 && this.clock.monotonicMs() < until) await this.clock.sleep(20);
    this.enter('stopped', null);
    await this.pool?.destroy();
    this.pool = null;
  }
}

function parseChunk(data: string): z.infer<typeof chunkSchema> {
  let json: unknown;
  try {
    json = JSON.parse(data);
  } catch {
    throw new EngineError(fault('engine.upstream-error', 'the upstream sent an event that is not JSON', true));
  }
  const parsed = chunkSchema.safeParse(json);
  if (!parsed.success)
    throw new EngineError(fault('engine.upstream-error', 'the upstream sent an event that is not a chat completion chunk', true));
  if (parsed.data.error !== undefined)
    throw new EngineError(fault('engine.upstream-error', 'the upstream reported an error in the middle of its answer', true));
  return parsed.data;
}

async function firstBytes(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= keptErrorBytes) break;
  }
  return Buffer.concat(chunks).toString('utf8').slice(0, keptErrorBytes);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message || (error as { code?: string }).code || error.name : String(error);
}
