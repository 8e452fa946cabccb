// What the generating endpoints need to write an answer, whole or in pieces. Each has its own file for its own wire.
import type { OpenAiError } from './errors.js';
import type { CallPiece, WholeCall } from './tool-calls.js';
import type { WireUncertainty } from './uncertainty.js';

export type FinishReason = 'stop' | 'length' | 'content_filter' | 'tool_calls';

export interface UsageCounts {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cachedTokens: number;
}

export interface AnswerHead {
  /** `chatcmpl-...` or `cmpl-...` */
  readonly id: string;
  /** Seconds since the Unix epoch. */
  readonly createdS: number;
  /** The public model name that was asked for. */
  readonly model: string;
  /** Label of the version that answers. */
  readonly version: string;
  /** The same for the same content of a version: clients see by it that something changed. */
  readonly fingerprint: string;
}

/** A token as told: its text may have a replacement mark where its bytes are part of a character. */
export interface ToldToken {
  readonly text: string;
  readonly bytes: readonly number[];
  /** Nats, at temperature 1. */
  readonly logprob: number;
}

/** A token of the answer with the most likely ones at its place, highest first. */
export interface ToldStep extends ToldToken {
  readonly top: readonly ToldToken[];
}

export interface WholeChoice {
  readonly text: string;
  /** What the model thought and did not say; empty for most. */
  readonly reasoning: string;
  readonly calls: readonly WholeCall[];
  readonly finishReason: FinishReason;
  /** Null when they were not asked for. */
  readonly steps: readonly ToldStep[] | null;
}

/** What one token adds to a choice. */
export interface AnswerPiece {
  readonly text: string;
  readonly step: ToldStep | null;
  readonly reasoning: string;
  readonly calls: readonly CallPiece[];
}

/** Frames one streamed answer as server-sent events. */
export interface ChunkWriter {
  /** What comes before the first piece of a choice. */
  open(choice: number): string;
  piece(choice: number, piece: AnswerPiece): string;
  finish(choice: number, finishReason: FinishReason): string;
  /** The last chunks and the end mark. `uncertainty` when the client opted in. */
  end(usage: UsageCounts, uncertainty: readonly WireUncertainty[] | null): string;
  /** The last event of an answer that was cut. No end mark follows: it must not look whole. */
  cut(error: OpenAiError): string;
}

/** The wire of one endpoint. */
export interface AnswerFormat {
  whole(head: AnswerHead, choices: readonly WholeChoice[], usage: UsageCounts, uncertainty: readonly WireUncertainty[] | null): string;
  chunks(head: AnswerHead, withUsage: boolean): ChunkWriter;
}

export function usageOf(usage: UsageCounts): Record<string, unknown> {
  return {
    prompt_tokens: usage.inputTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: usage.inputTokens + usage.outputTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens },
  };
}

/** The extension at the top of an answer; absent without the client's wish, so that the wire is OpenAI's. */
export function serinBlock(head: AnswerHead, uncertainty: readonly WireUncertainty[] | null): Record<string, unknown> {
  return uncertainty === null ? {} : { serin: { version: head.version, uncertainty } };
}

/** The unchanging front and tail of every chunk of one answer are made once: a chunk then costs one small JSON string. */
export class ChunkFrame {
  private readonly front: string;
  private readonly tail: string;

  constructor(
    private readonly head: AnswerHead,
    object: string,
    private readonly withUsage: boolean,
  ) {
    this.front = `data: {"id":${JSON.stringify(head.id)},"object":"${object}","created":${head.createdS},"model":${JSON.stringify(head.model)},"system_fingerprint":${JSON.stringify(head.fingerprint)},"choices":`;
    this.tail = withUsage ? ',"usage":null}\n\n' : '}\n\n';
  }

  around(choice: string): string {
    return `${this.front}[${choice}]${this.tail}`;
  }

  end(usage: UsageCounts, uncertainty: readonly WireUncertainty[] | null): string {
    const extra = { ...(this.withUsage ? { usage: usageOf(usage) } : {}), ...serinBlock(this.head, uncertainty) };
    const last = Object.keys(extra).length === 0 ? '' : `${this.front}[],${JSON.stringify(extra).slice(1)}\n\n`;
    return `${last}data: [DONE]\n\n`;
  }
}
