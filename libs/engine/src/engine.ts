// The port through which the gateway makes a version answer. Adapters: `native` (GGUF in a supervised child) and `http` (any OpenAI-compatible upstream).
import type { Fault, Outcome } from '#libs/base';
import type { RelayEndpoint, RelayHandle, RelayRequest, RelaySink } from './relay.js';

/** A call that a model made earlier in the conversation. */
export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON text as the model wrote it. */
  readonly arguments: string;
}

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant' | 'tool' | 'developer';
  readonly content: string;
  readonly name?: string;
  /** Of an assistant's turn. */
  readonly toolCalls?: readonly ToolCall[];
  /** Of a tool's turn: the call that it answers. */
  readonly toolCallId?: string;
}

export interface ToolDefinition {
  /** 1 to 64 letters, digits, underscores and dashes. */
  readonly name: string;
  readonly description?: string;
  /** JSON Schema of an object. Absent: no arguments. */
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** True: refuse what cannot be held to the schema exactly. False: hold it as far as can be. */
  readonly strict: boolean;
}

/** Functions that an answer may call. */
export interface ToolUse {
  readonly tools: readonly ToolDefinition[];
  /** `auto`: text or calls, as the model likes; `required`: a call; a name: a call of that function. */
  readonly choice: 'auto' | 'required' | { readonly name: string };
  /** More than one call in an answer. */
  readonly parallel: boolean;
}

/** A piece of a tool call: pieces with one `index` belong together, `arguments` are to be joined. The first has the name. */
export interface ToolCallDelta {
  /** Of the call within its choice. */
  readonly index: number;
  /** Absent where the engine names none: the caller then does. */
  readonly id?: string;
  readonly name?: string;
  readonly arguments?: string;
}

/** Sampling after the model's logits. Entropy, NLL and log probabilities are always taken before it, at temperature 1. */
export interface Sampling {
  /** 0 takes the most likely token. */
  readonly temperature: number;
  readonly topP: number;
  /** 0 = no cut. */
  readonly topK: number;
  readonly minP: number;
  readonly maxTokens: number;
  readonly seed?: number;
  readonly stop: readonly string[];
  /** Subtracted from a logit once per earlier occurrence in the answer; OpenAI's definition. Default 0. */
  readonly frequencyPenalty?: number;
  /** Subtracted once from the logit of every token that the answer has. Default 0. */
  readonly presencePenalty?: number;
  /** Divides positive and multiplies negative logits of tokens in prompt or answer (the last 64). Default 1: off. */
  readonly repeatPenalty?: number;
  /** [token id, added to its logit] before the cuts; -100 bans. */
  readonly logitBias?: readonly (readonly [token: number, bias: number])[];
}

/** What an answer must look like, enforced token by token. */
export type Constraint =
  | { readonly kind: 'jsonObject' }
  | { readonly kind: 'jsonSchema'; readonly schema: Readonly<Record<string, unknown>> }
  | { readonly kind: 'gbnf'; readonly grammar: string };

export type Prompt =
  | { readonly kind: 'chat'; readonly messages: readonly ChatMessage[] }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'tokens'; readonly tokens: readonly number[] };

/** Lower classes wait for higher ones: an evaluation never delays users, a shadow delays nobody. */
export type Priority = 'live' | 'evaluation' | 'shadow';

/** Whose turn it is in an engine's queue. */
export interface Ticket {
  /** Requests of one tenant share one turn, however many they are. */
  readonly tenant: string;
  readonly priority: Priority;
  /** Milliseconds from now within which the answer must be whole; what cannot be done in time is refused at once. Null: no deadline. */
  readonly deadlineMs: number | null;
}

export interface GenerateRequest {
  readonly id: string;
  readonly prompt: Prompt;
  readonly sampling: Sampling;
  /** Answers to one prompt, 1 to 16; the prompt is evaluated once. Default 1. */
  readonly choices?: number;
  /** Per token the log probabilities of itself and of this many most likely tokens, 0 to 20. Absent: none. */
  readonly topLogprobs?: number;
  readonly constraint?: Constraint;
  /** Absent: the answer calls nothing. An http engine reads the body's own fields instead. */
  readonly tools?: ToolUse;
  readonly ticket?: Ticket;
  /** Original OpenAI body, forwarded by the http engine with only the model name replaced. */
  readonly body?: Readonly<Record<string, unknown>>;
}

/**
 * `exact`: Shannon entropy of the full next-token distribution at temperature 1, NLL of the emitted token, and the lead of the most likely
 * token over the second in logits; all in nats. `bounds`: what the k listed log probabilities of an upstream allow the entropy to be
 * (design: a head of k tokens plus an unlisted rest of mass `restMass`); never a point value.
 */
export type Uncertainty =
  | { readonly kind: 'exact'; readonly entropyNats: number; readonly nllNats: number; readonly marginNats: number }
  | {
      readonly kind: 'bounds';
      readonly lowerNats: number;
      readonly upperNats: number;
      readonly restMass: number;
      readonly k: number;
      readonly nllNats: number;
    }
  | { readonly kind: 'none' };

export interface LikelyToken {
  readonly text: string;
  /** UTF-8 of the token: a token may be part of a character, and its text then has a replacement mark. */
  readonly bytes: readonly number[];
  /** Natural logarithm of its probability under the full distribution at temperature 1. */
  readonly logprob: number;
}

/** A token as OpenAI's `logprobs` tells it: itself and the most likely ones, highest first. */
export interface TokenLogprobs extends LikelyToken {
  readonly top: readonly LikelyToken[];
}

export interface Usage {
  readonly inputTokens: number;
  /** Over all choices. */
  readonly outputTokens: number;
  /** Of the input, tokens that an earlier request had left in the cache. */
  readonly cachedTokens: number;
}

export type FinishReason = 'stop' | 'length' | 'content_filter' | 'tool_calls';

export type TokenEvent =
  | {
      readonly type: 'token';
      readonly choice: number;
      /** May be empty: half a character, the possible beginning of a stop string, a piece of a tool call. */
      readonly text: string;
      readonly uncertainty: Uncertainty;
      readonly logprobs?: TokenLogprobs;
      readonly toolCalls?: readonly ToolCallDelta[];
      /** Text that the model thinks and does not say. */
      readonly reasoning?: string;
    }
  /** One choice is whole. */
  | { readonly type: 'finish'; readonly choice: number; readonly finishReason: FinishReason }
  /** All choices are; nothing comes after it. */
  | {
      readonly type: 'end';
      readonly usage: Usage;
      /** Time the request waited in the engine before its first decode. */
      readonly queueWaitMs: number;
    };

export interface ScoreRequest {
  readonly id: string;
  /** Conditions what is scored and is not scored itself. Null: the texts stand alone. */
  readonly context: Prompt | null;
  /** Each is scored after the context, independently of the others. Text or token ids. */
  readonly continuations: readonly (string | readonly number[])[];
  /** As in GenerateRequest. */
  readonly topLogprobs?: number;
  readonly ticket?: Ticket;
  /**
   * For the exact divergence of two versions on the same tokens: one engine writes the log probabilities of all positions to this file, the
   * other reads it beside its own. The caller makes and removes the file (vocabulary x positions x 4 bytes).
   */
  readonly exchange?: {
    readonly mode: 'write' | 'read';
    readonly file: string;
    /** Only these of the scored positions, counted over all continuations, are in the file: a long text is compared in several passes. Default: all. */
    readonly rows?: { readonly from: number; readonly to: number };
  };
}

/** One teacher-forced token. */
export interface TokenScore {
  readonly token: number;
  readonly text: string;
  /** Null for a first token without anything before it. */
  readonly nllNats: number | null;
  readonly entropyNats: number | null;
  /** 0 = the model's own first choice. */
  readonly rank: number | null;
  readonly top?: readonly LikelyToken[];
  /** With `exchange` in mode `read`: KL(written || own) in nats, and whether both prefer the same token. */
  readonly klNats?: number;
  readonly sameTop?: boolean;
}

export interface SequenceScore {
  readonly tokens: readonly TokenScore[];
}

export interface EmbedRequest {
  readonly id: string;
  readonly inputs: readonly (string | readonly number[])[];
  readonly ticket?: Ticket;
}

export interface Embeddings {
  /** One unit-length vector per input. */
  readonly vectors: readonly (readonly number[])[];
  readonly inputTokens: number;
}

/** Stable codes of what can go wrong inside an engine. */
export type EngineFaultCode =
  | 'engine.not-loaded'
  | 'engine.load-failed'
  | 'engine.crashed'
  /** The library refused a batch, or the model's logits were no numbers: this request's end, the engine goes on. */
  | 'engine.failed'
  | 'engine.overloaded'
  | 'engine.timeout'
  | 'engine.upstream-error'
  | 'engine.upstream-unreachable'
  | 'engine.bad-request'
  | 'engine.context-overflow'
  | 'engine.cancelled';

export type EngineFault = Fault<EngineFaultCode> & {
  /** With `engine.overloaded`: when it would fit, by the queue and the measured speed. */
  readonly retryAfterMs?: number;
};

/** Thrown by `generate`'s iterator: after it nothing more comes. `startedTokens` tells whether the client may have seen text. */
export class EngineError extends Error {
  override readonly name = 'EngineError';
  constructor(readonly fault: EngineFault) {
    super(`${fault.code}: ${fault.message}`);
  }
}

/**
 * `unreachable`: no server of the version answers for now. That tells nothing about the version, and ends by itself. `failed`: the version cannot be served,
 * and time does not cure it.
 */
export type EngineState = 'idle' | 'loading' | 'ready' | 'restarting' | 'unreachable' | 'failed' | 'stopped';

/**
 * `up`: takes requests. `ejected`: its requests fail or come late, none until a time. `trial`: one at a time, until one has its first byte.
 * `down`: it does not answer at all, none until it does.
 */
export type EndpointState = 'up' | 'ejected' | 'trial' | 'down';

/** One of the places at which a version is served. */
export interface EndpointFigures {
  readonly name: string;
  readonly state: EndpointState;
  /** Why it is not up; null when it is. */
  readonly reason: string | null;
  readonly running: number;
  /** Requests that it may hold now; 0: none. */
  readonly limit: number;
  /** Median of the last 16; null while there are fewer than 5. */
  readonly ttftMs: number | null;
  /** How its requests ended, since the version was loaded. */
  readonly ended: { readonly ok: number; readonly failed: number; readonly cancelled: number; readonly refused: number };
}

/** What an engine does right now. Null where the engine does not know. */
export interface EngineStats {
  readonly state: EngineState;
  readonly reason: string | null;
  readonly running: number;
  readonly queued: number;
  readonly queuedTokens: number | null;
  /** Of `queued`, those of users, as far as they wait here: shadows give way to them. */
  readonly queuedLive: number | null;
  /** Of the requests that started within the last seconds. */
  readonly queueWaitMs: number | null;
  /** Running sequences per decode step over those that could have been in it, 0 to 1. */
  readonly occupancy: number | null;
  readonly kvCellsUsed: number | null;
  readonly kvCellsTotal: number | null;
  readonly inputTokensPerS: number | null;
  readonly outputTokensPerS: number | null;
  /** Since the start of the child: prompt tokens, and those of them that were in the cache. */
  readonly inputTokens: number;
  readonly cachedTokens: number;
  readonly crashes: number;
  readonly pid: number | null;
  readonly rssBytes: number | null;
  /** Where requests go, of engines that have several places for them. */
  readonly endpoints?: readonly EndpointFigures[];
}

/** Figures of an engine that does nothing, or knows nothing of what it does. */
export const unknownLoad = {
  running: 0,
  queued: 0,
  queuedTokens: null,
  queuedLive: null,
  queueWaitMs: null,
  occupancy: null,
  kvCellsUsed: null,
  kvCellsTotal: null,
  inputTokensPerS: null,
  outputTokensPerS: null,
  inputTokens: 0,
  cachedTokens: 0,
} as const satisfies Partial<EngineStats>;

export interface EngineCapabilities {
  readonly entropy: 'exact' | 'bounds' | 'none';
  readonly cancel: 'step' | 'disconnect';
  /** Most `topLogprobs` that can be asked for. */
  readonly topLogprobs: number;
  readonly choices: number;
  readonly constraints: boolean;
  readonly tools: boolean;
  readonly penalties: boolean;
  readonly scoring: boolean;
  readonly embeddings: boolean;
  /** Endpoints that may be asked by `relay`: answers there are OpenAI's own. Absent: none. */
  readonly relay?: readonly RelayEndpoint[];
  readonly maxParallel: number | null;
  readonly contextSize: number | null;
  /** SHA-256 of the tokenizer's vocabulary, when known: equal hashes make token-level comparison meaningful. */
  readonly vocabularyHash: string | null;
  /** Tokens in it. Absent or null: unknown. */
  readonly vocabularySize?: number | null;
  /** How tokens are evaluated, and why not by our own loop where it is not: shown to operators. */
  readonly evaluation: string | null;
}

export interface InferenceEngine {
  readonly kind: 'native' | 'http';
  /** Checks without loading: file, digest, GGUF header, reachability. Never throws for bad input. */
  preflight(signal: AbortSignal): Promise<Outcome<{ readonly needBytes: number | null }, EngineFault>>;
  /** Loads and answers one smoke token. Rejects with EngineError; afterwards `stats().state` is `failed`. */
  load(signal: AbortSignal): Promise<void>;
  capabilities(): EngineCapabilities;
  /** Streams tokens, a `finish` per choice, then one `end`. Aborting the signal stops the engine at its next step. Throws EngineError. */
  generate(request: GenerateRequest, signal: AbortSignal): AsyncIterable<TokenEvent>;
  /** Teacher-forced scores. Present when `capabilities().scoring`. Rejects with EngineError. */
  score?(request: ScoreRequest, signal: AbortSignal): Promise<readonly SequenceScore[]>;
  /** Present when `capabilities().embeddings`. Rejects with EngineError. */
  embed?(request: EmbedRequest, signal: AbortSignal): Promise<Embeddings>;
  /** Present where the engine's own answers can be passed on as they come. Never throws; every ending is a call of the sink. */
  relay?(request: RelayRequest, sink: RelaySink): RelayHandle;
  stats(): EngineStats;
  /** Called whenever `stats().state` changes. Returns an unsubscribe function. */
  onStateChange(listener: (stats: EngineStats) => void): () => void;
  /** Waits for running requests up to the deadline, then stops the child; never rejects. */
  unload(drainMs: number): Promise<void>;
}
