// The port through which the gateway makes a version answer. Adapters: `native` (GGUF in a supervised child) and `http` (any OpenAI-compatible upstream).
import type { Fault, Outcome } from '#libs/base';

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant' | 'tool' | 'developer';
  readonly content: string;
}

/** Sampling after the model's logits. Entropy and NLL are always taken before it, at temperature 1. */
export interface Sampling {
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly minP: number;
  readonly maxTokens: number;
  readonly seed?: number;
  readonly stop: readonly string[];
}

export interface GenerateRequest {
  readonly id: string;
  readonly messages: readonly ChatMessage[];
  readonly sampling: Sampling;
  /** Original OpenAI body, forwarded by the http engine with only the model name replaced. */
  readonly body?: Readonly<Record<string, unknown>>;
}

/** `exact`: Shannon entropy of the full next-token distribution at temperature 1, NLL of the emitted token, top-1 margin in logits; all nats. */
export type Uncertainty = { readonly kind: 'exact'; readonly entropyNats: number; readonly nllNats: number } | { readonly kind: 'none' };

export interface Usage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cachedTokens: number;
}

export type TokenEvent =
  | { readonly type: 'token'; readonly text: string; readonly uncertainty: Uncertainty }
  | {
      readonly type: 'end';
      readonly finishReason: 'stop' | 'length' | 'content_filter' | 'tool_calls';
      readonly usage: Usage;
      /** Time the request waited in the engine before its first decode. */
      readonly queueWaitMs: number;
    };

/** Stable codes of what can go wrong inside an engine. */
export type EngineFaultCode =
  | 'engine.not-loaded'
  | 'engine.load-failed'
  | 'engine.crashed'
  | 'engine.overloaded'
  | 'engine.timeout'
  | 'engine.upstream-error'
  | 'engine.upstream-unreachable'
  | 'engine.bad-request'
  | 'engine.context-overflow'
  | 'engine.cancelled';

export type EngineFault = Fault<EngineFaultCode>;

/** Thrown by `generate`'s iterator: after it nothing more comes. `startedTokens` tells whether the client may have seen text. */
export class EngineError extends Error {
  override readonly name = 'EngineError';
  constructor(readonly fault: EngineFault) {
    super(`${fault.code}: ${fault.message}`);
  }
}

export type EngineState = 'idle' | 'loading' | 'ready' | 'restarting' | 'failed' | 'stopped';

export interface EngineStats {
  readonly state: EngineState;
  readonly reason: string | null;
  readonly running: number;
  readonly queued: number;
  readonly crashes: number;
  readonly pid: number | null;
  readonly rssBytes: number | null;
}

export interface EngineCapabilities {
  readonly entropy: 'exact' | 'bounds' | 'none';
  readonly cancel: 'step' | 'disconnect';
  readonly maxParallel: number | null;
  readonly contextSize: number | null;
  /** SHA-256 of the tokenizer's vocabulary, when known: equal hashes make token-level comparison meaningful. */
  readonly vocabularyHash: string | null;
}

export interface InferenceEngine {
  readonly kind: 'native' | 'http';
  /** Checks without loading: file, digest, GGUF header, reachability. Never throws for bad input. */
  preflight(signal: AbortSignal): Promise<Outcome<{ readonly needBytes: number | null }, EngineFault>>;
  /** Loads and answers one smoke token. Rejects with EngineError; afterwards `stats().state` is `failed`. */
  load(signal: AbortSignal): Promise<void>;
  capabilities(): EngineCapabilities;
  /** Streams tokens, then one `end`. Aborting the signal stops the engine at its next step. Throws EngineError. */
  generate(request: GenerateRequest, signal: AbortSignal): AsyncIterable<TokenEvent>;
  stats(): EngineStats;
  /** Called whenever `stats().state` changes. Returns an unsubscribe function. */
  onStateChange(listener: (stats: EngineStats) => void): () => void;
  /** Waits for running requests up to the deadline, then stops the child; never rejects. */
  unload(drainMs: number): Promise<void>;
}
