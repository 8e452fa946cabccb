// How an answer leaves: whole, or as server-sent events that begin with the first token. Until it began, another version may still answer.
import type { ServerResponse } from 'node:http';
import {
  type AnswerHead,
  ChunkWriter,
  completionBody,
  errorBody,
  errorEvent,
  type FinishReason,
  type OpenAiError,
  type UsageCounts,
} from '#libs/openai';

/** Takes an answer piece by piece. */
export interface Answer {
  /** True once the client has seen a byte of it. */
  readonly begun: boolean;
  /** Waits while the client does not read. */
  text(piece: string): Promise<void>;
  end(finishReason: FinishReason, usage: UsageCounts): void;
  /** After it began: says inside the stream that it was cut. */
  cut(error: OpenAiError): void;
  /** Forgets what was collected, so that a retry starts from nothing. */
  reset(): void;
}

/** Sends an error as the whole answer. */
export function sendError(response: ServerResponse, error: OpenAiError, close = false): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(error.status, {
    'content-type': 'application/json; charset=utf-8',
    ...(error.retryAfterS === undefined ? {} : { 'retry-after': String(error.retryAfterS) }),
    ...(close ? { connection: 'close' } : {}),
  });
  response.end(errorBody(error));
}

export class WholeAnswer implements Answer {
  readonly begun = false;
  private pieces: string[] = [];

  constructor(
    private readonly response: ServerResponse,
    private readonly head: AnswerHead,
  ) {}

  async text(piece: string): Promise<void> {
    this.pieces.push(piece);
  }

  end(finishReason: FinishReason, usage: UsageCounts): void {
    const body = Buffer.from(completionBody(this.head, this.pieces.join(''), finishReason, usage), 'utf8');
    this.response.writeHead(200, { 'content-type': 'application/json; charset=utf-8', 'content-length': body.length });
    this.response.end(body);
  }

  cut(error: OpenAiError): void {
    sendError(this.response, error);
  }

  reset(): void {
    this.pieces = [];
  }
}

export class StreamedAnswer implements Answer {
  private readonly chunks: ChunkWriter;
  private started = false;

  constructor(
    private readonly response: ServerResponse,
    head: AnswerHead,
    withUsage: boolean,
  ) {
    this.chunks = new ChunkWriter(head, withUsage);
  }

  get begun(): boolean {
    return this.started;
  }

  async text(piece: string): Promise<void> {
    const front = this.front();
    if (this.response.write(front + this.chunks.text(piece)) || this.response.destroyed) return;
    await new Promise<void>((done) => {
      const { response } = this;
      const go = (): void => {
        response.off('drain', go);
        response.off('close', go);
        done();
      };
      response.once('drain', go);
      response.once('close', go);
    });
  }

  end(finishReason: FinishReason, usage: UsageCounts): void {
    this.response.end(this.front() + this.chunks.end(finishReason, usage));
  }

  cut(error: OpenAiError): void {
    if (this.started) this.response.end(errorEvent(errorBody(error)));
    else sendError(this.response, error);
  }

  reset(): void {
    // Nothing is kept: what was written is gone, and before that there is nothing.
  }

  /** The head of the stream before its first byte, nothing after. */
  private front(): string {
    if (this.started) return '';
    this.started = true;
    this.response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
    });
    return this.chunks.role();
  }
}
