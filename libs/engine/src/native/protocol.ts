// What the gateway and an engine child say to one another over the IPC channel.
import type {
  Constraint,
  EngineFaultCode,
  FinishReason,
  Prompt,
  Sampling,
  ScoreRequest,
  SequenceScore,
  Ticket,
  TokenLogprobs,
  ToolCallDelta,
  ToolUse,
} from '../engine.js';

export interface LoadRequest {
  readonly type: 'load';
  readonly file: string;
  readonly contextSize: number;
  readonly gpuLayers: number;
  readonly parallel: number;
  readonly threads: number;
  readonly lora: readonly { readonly file: string; readonly scale: number }[];
  /** `none` leaves entropy and NLL out: only for measuring what they cost. */
  readonly measure: 'exact' | 'none';
  /** `library` forces node-llama-cpp's own evaluation, which `auto` falls back to. */
  readonly evaluation: 'auto' | 'library';
  /** False forgets every prompt at its end: only for measuring what the prefix cache brings. */
  readonly prefixCache: boolean;
  readonly maxQueuedTokens: number;
}

export interface GenerateMessage {
  readonly type: 'generate';
  readonly id: number;
  readonly prompt: Prompt;
  readonly sampling: Sampling;
  readonly choices: number;
  readonly topLogprobs: number | null;
  readonly constraint: Constraint | null;
  readonly tools: ToolUse | null;
  readonly ticket: Ticket | null;
}

export type ToChild =
  | LoadRequest
  | GenerateMessage
  | { readonly type: 'score'; readonly id: number; readonly request: Omit<ScoreRequest, 'id'> }
  | { readonly type: 'embed'; readonly id: number; readonly inputs: readonly (string | readonly number[])[] }
  | { readonly type: 'cancel'; readonly id: number }
  | { readonly type: 'ping' };

/** [request, choice, text, entropy, NLL, margin (nats; null: not a number), log probabilities when asked for, pieces of calls] */
export type TokenTuple = readonly [
  id: number,
  choice: number,
  text: string,
  entropyNats: number | null,
  nllNats: number | null,
  marginNats: number | null,
  logprobs?: TokenLogprobs | null,
  toolCalls?: readonly ToolCallDelta[],
];

export interface EndOfRequest {
  readonly id: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cachedTokens: number;
  readonly queueWaitMs: number;
}

/** All that one step of the loop brought: one message, whatever the number of sequences. */
export interface StepMessage {
  readonly type: 'step';
  readonly tokens: readonly TokenTuple[];
  readonly finished: readonly (readonly [id: number, choice: number, reason: FinishReason])[];
  readonly ended: readonly EndOfRequest[];
}

/** What the loop measured, for EngineStats. */
export interface LoopStats {
  readonly running: number;
  readonly queued: number;
  readonly queuedTokens: number;
  readonly queuedLive: number;
  readonly queueWaitMs: number | null;
  readonly occupancy: number | null;
  readonly kvCellsUsed: number;
  readonly kvCellsTotal: number;
  readonly inputTokensPerS: number | null;
  readonly outputTokensPerS: number | null;
  readonly inputTokens: number;
  readonly cachedTokens: number;
}

export type FromChild =
  | {
      readonly type: 'loaded';
      readonly contextSize: number;
      readonly vocabularySize: number;
      readonly evaluation: string;
      readonly ownLoop: boolean;
      readonly embeddings: boolean;
    }
  | { readonly type: 'loadFailed'; readonly message: string }
  /** These requests have left the queue: they are lost with the child, the others can be asked again. */
  | { readonly type: 'started'; readonly ids: readonly number[] }
  | StepMessage
  | { readonly type: 'scored'; readonly id: number; readonly sequences: readonly SequenceScore[] }
  | { readonly type: 'embedded'; readonly id: number; readonly vectors: readonly (readonly number[])[]; readonly inputTokens: number }
  | {
      readonly type: 'failed';
      readonly id: number;
      readonly code: EngineFaultCode;
      readonly message: string;
      readonly retryAfterMs?: number;
    }
  /** `stepAgeMs`: since the running step began; null between steps. */
  | { readonly type: 'pong'; readonly rssBytes: number; readonly stepAgeMs: number | null; readonly stats: LoopStats | null };
