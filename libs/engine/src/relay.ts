// The short way through the port for servers that speak OpenAI already: bytes in, bytes out, measured while they pass.
import type { ScannedBody } from '#libs/openai';
import type { EngineFault, FinishReason, Ticket, Usage } from './engine.js';

export type RelayEndpoint = 'chat/completions' | 'completions' | 'embeddings' | 'responses';

export interface RelayRequest {
  readonly id: string;
  readonly endpoint: RelayEndpoint;
  /** As the client sent it, checked field by field. Only fields of the engine's own list reach the upstream. */
  readonly body: ScannedBody;
  /** The body says `"stream": true`. */
  readonly stream: boolean;
  /** The stream may end with the usage. False: it is asked for all the same and cut out again. */
  readonly withUsage: boolean;
  /** Choices that must be whole before the answer is. */
  readonly choices: number;
  /** Likely tokens per place that the client asked for; null: no log probabilities, and those asked for on our own account are cut out again. */
  readonly clientTop: number | null;
  /** JSON values for fields that the body leaves out or null: the version's own sampling. */
  readonly defaults: Readonly<Record<string, unknown>>;
  /** Goes before the client's messages, under its own system message. */
  readonly systemPrompt?: string;
  /** Written over the upstream's own name in the answer, so that a rollout does not show. */
  readonly modelShown: string;
  /** Requests with equal keys share a beginning: they go to the same endpoint of the version where its load allows. Null: to the least loaded. */
  readonly affinity: (() => string | null) | null;
  /** Milliseconds for the whole answer; null: the engine's own limit. */
  readonly deadlineMs: number | null;
  /** Whose turn it is while requests wait for a place. Absent: live, of nobody in particular. */
  readonly ticket?: Ticket;
}

/** What has passed so far. Times on the monotonic clock. */
export interface RelaySummary {
  readonly usage: Usage | null;
  /** Pieces of text, or tokens where log probabilities tell them. */
  readonly tokens: number;
  /** `length` when any choice was cut. */
  readonly finishReason: FinishReason | null;
  readonly firstTokenAtMs: number | null;
  readonly lastTokenAtMs: number | null;
  readonly longestGapMs: number | null;
  /** Bounds of the mean entropy per token and the mean NLL, of the sampled share; null otherwise. */
  readonly uncertainty: {
    readonly tokens: number;
    readonly lowerNats: number;
    readonly upperNats: number;
    readonly nllNats: number;
  } | null;
  readonly queueWaitMs: number | null;
  /** Which endpoint of the version answered; null when none was reached. */
  readonly upstream: string | null;
}

/** Takes an answer. Calls never overlap, the first may come before `relay` returns; nothing comes after `end` or `fail`. */
export interface RelaySink {
  /** Once, before the first `write`: the answer is 200 and will be a JSON body of `length` bytes (null: unknown) or an event stream. */
  begin(kind: 'whole' | 'stream', length: number | null): void;
  /** False: nothing more is read from the upstream until `RelayHandle.resume`. */
  write(bytes: Buffer): boolean;
  /** The answer is whole. */
  end(summary: RelaySummary): void;
  /** It is not, and will not be. What was written stands. */
  fail(fault: EngineFault, summary: RelaySummary): void;
}

export interface RelayHandle {
  resume(): void;
  /** The client is gone: the upstream's connection is closed within the same turn of the event loop. `fail` comes with `engine.cancelled`. */
  cancel(): void;
}
