// How an answer leaves: whole, or as server-sent events that begin with the first token. Until it began, another version may still answer.
import type { ServerResponse } from 'node:http';
import type { TokenEvent } from '#libs/engine';
import {
  type AnswerFormat,
  type AnswerHead,
  CallBook,
  type ChunkWriter,
  errorBody,
  type FinishReason,
  type OpenAiError,
  type ToldStep,
  type UsageCounts,
} from '#libs/openai';
import { UncertaintyStrip } from './uncertainty-strip.js';

export type Token = Extract<TokenEvent, { type: 'token' }>;

/** Takes an answer piece by piece. */
export interface Answer {
  /** True once the client has seen a byte of it. */
  readonly begun: boolean;
  /** Before each try: which version answers. Forgets what an earlier one left. */
  start(version: Pick<AnswerHead, 'version' | 'fingerprint'>): void;
  /** Waits while the client does not read. */
  token(token: Token): Promise<void>;
  finish(choice: number, reason: FinishReason): void;
  end(usage: UsageCounts): void;
  /** After it began: says inside the stream that it was cut. */
  cut(error: OpenAiError): void;
}

export interface AnswerWishes {
  readonly format: AnswerFormat;
  readonly head: Pick<AnswerHead, 'id' | 'createdS' | 'model'>;
  readonly choices: number;
  readonly logprobs: boolean;
  /** The stream ends with the usage. */
  readonly withUsage: boolean;
  readonly uncertainty: boolean;
  /** Names tool calls for engines that name none. */
  readonly newCallId: () => string;
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

export function sendJson(response: ServerResponse, text: string): void {
  if (response.destroyed) return;
  const body = Buffer.from(text, 'utf8');
  response.writeHead(200, { 'content-type': 'application/json; charset=utf-8', 'content-length': body.length });
  response.end(body);
}

interface Collected {
  readonly pieces: string[];
  readonly reasoning: string[];
  readonly calls: CallBook;
  readonly steps: ToldStep[];
  finishReason: FinishReason;
}

export class WholeAnswer implements Answer {
  readonly begun = false;
  private head: AnswerHead;
  private choices: Collected[] = [];
  private strip: UncertaintyStrip | null = null;

  constructor(
    private readonly response: ServerResponse,
    private readonly wishes: AnswerWishes,
  ) {
    this.head = { ...wishes.head, version: '', fingerprint: '' };
  }

  start(version: Pick<AnswerHead, 'version' | 'fingerprint'>): void {
    const { wishes } = this;
    this.head = { ...wishes.head, ...version };
    this.choices = Array.from({ length: wishes.choices }, () => ({
      pieces: [],
      reasoning: [],
      calls: new CallBook(wishes.newCallId),
      steps: [],
      finishReason: 'stop',
    }));
    this.strip = wishes.uncertainty ? new UncertaintyStrip(wishes.choices) : null;
  }

  async token({ choice, text, uncertainty, logprobs, toolCalls, reasoning }: Token): Promise<void> {
    const of = this.choices[choice];
    of?.pieces.push(text);
    if (reasoning) of?.reasoning.push(reasoning);
    if (toolCalls) of?.calls.take(toolCalls);
    if (this.wishes.logprobs && logprobs) of?.steps.push(logprobs);
    this.strip?.add(choice, uncertainty);
  }

  finish(choice: number, reason: FinishReason): void {
    const of = this.choices[choice];
    if (of) of.finishReason = reason;
  }

  end(usage: UsageCounts): void {
    const choices = this.choices.map(({ pieces, reasoning, calls, steps, finishReason }) => ({
      text: pieces.join(''),
      reasoning: reasoning.join(''),
      calls: calls.whole(),
      finishReason,
      steps: this.wishes.logprobs ? steps : null,
    }));
    sendJson(this.response, this.wishes.format.whole(this.head, choices, usage, this.strip?.tell() ?? null));
  }

  cut(error: OpenAiError): void {
    sendError(this.response, error);
  }
}

export class StreamedAnswer implements Answer {
  private chunks: ChunkWriter | null = null;
  private strip: UncertaintyStrip | null = null;
  private started = false;
  private readonly opened = new Set<number>();
  private readonly calls = new Map<number, CallBook>();

  constructor(
    private readonly response: ServerResponse,
    private readonly wishes: AnswerWishes,
  ) {}

  get begun(): boolean {
    return this.started;
  }

  start(version: Pick<AnswerHead, 'version' | 'fingerprint'>): void {
    const { format, head, withUsage, uncertainty, choices } = this.wishes;
    this.chunks = format.chunks({ ...head, ...version }, withUsage);
    this.strip = uncertainty ? new UncertaintyStrip(choices) : null;
  }

  async token({ choice, text, uncertainty, logprobs, toolCalls, reasoning = '' }: Token): Promise<void> {
    this.strip?.add(choice, uncertainty);
    const step = this.wishes.logprobs ? (logprobs ?? null) : null;
    const calls = toolCalls ? this.callsOf(choice).take(toolCalls) : [];
    if (text === '' && step === null && reasoning === '' && calls.length === 0) return;
    const { response } = this;
    const opening = this.opening(choice);
    if (response.write(opening + this.writer.piece(choice, { text, step, reasoning, calls })) || response.destroyed) return;
    await new Promise<void>((done) => {
      const go = (): void => {
        response.off('drain', go);
        response.off('close', go);
        done();
      };
      response.once('drain', go);
      response.once('close', go);
    });
  }

  finish(choice: number, reason: FinishReason): void {
    this.response.write(this.opening(choice) + this.writer.finish(choice, reason));
  }

  end(usage: UsageCounts): void {
    this.response.end(this.writer.end(usage, this.strip?.tell() ?? null));
  }

  cut(error: OpenAiError): void {
    if (this.started) this.response.end(this.writer.cut(error));
    else sendError(this.response, error);
  }

  private callsOf(choice: number): CallBook {
    const known = this.calls.get(choice) ?? new CallBook(this.wishes.newCallId);
    this.calls.set(choice, known);
    return known;
  }

  private get writer(): ChunkWriter {
    if (!this.chunks) throw new Error('an answer was written before a version was named');
    return this.chunks;
  }

  /** The head of the stream before its first byte, the beginning of a choice before its first piece, nothing after. */
  private opening(choice: number): string {
    if (!this.started) {
      this.started = true;
      this.response.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-cache',
        'x-accel-buffering': 'no',
      });
    }
    if (this.opened.has(choice)) return '';
    this.opened.add(choice);
    return this.writer.open(choice);
  }
}
