// How the answer of an engine that speaks in tokens is written: whole, or as server-sent events that begin with the first token.
import type { TokenEvent } from '#libs/engine';
import {
  type AnswerFormat,
  type AnswerHead,
  CallBook,
  type ChunkWriter,
  type FinishReason,
  type OpenAiError,
  type ToldStep,
  type UsageCounts,
} from '#libs/openai';
import type { Client } from '../relay/client.js';
import { UncertaintyStrip } from './uncertainty-strip.js';

export type Token = Extract<TokenEvent, { type: 'token' }>;

/** Takes an answer piece by piece. */
export interface Answer {
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

interface Collected {
  readonly pieces: string[];
  readonly reasoning: string[];
  readonly calls: CallBook;
  readonly steps: ToldStep[];
  finishReason: FinishReason;
}

export class WholeAnswer implements Answer {
  private head: AnswerHead;
  private choices: Collected[] = [];
  private strip: UncertaintyStrip | null = null;

  constructor(
    private readonly client: Client,
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
    const body = Buffer.from(this.wishes.format.whole(this.head, choices, usage, this.strip?.tell() ?? null), 'utf8');
    this.client.begin('whole', body.length);
    this.client.write(body);
    this.client.end();
  }

  cut(error: OpenAiError): void {
    this.client.fail(error);
  }
}

export class StreamedAnswer implements Answer {
  private chunks: ChunkWriter | null = null;
  private strip: UncertaintyStrip | null = null;
  private readonly opened = new Set<number>();
  private readonly calls = new Map<number, CallBook>();

  constructor(
    private readonly client: Client,
    private readonly wishes: AnswerWishes,
  ) {}

  start(version: Pick<AnswerHead, 'version' | 'fingerprint'>): void {
    const { format, head, withUsage, uncertainty, choices } = this.wishes;
    this.client.begin('stream', null);
    this.chunks = format.chunks({ ...head, ...version }, withUsage);
    this.strip = uncertainty ? new UncertaintyStrip(choices) : null;
  }

  async token({ choice, text, uncertainty, logprobs, toolCalls, reasoning = '' }: Token): Promise<void> {
    this.strip?.add(choice, uncertainty);
    const step = this.wishes.logprobs ? (logprobs ?? null) : null;
    const calls = toolCalls ? this.callsOf(choice).take(toolCalls) : [];
    if (text === '' && step === null && reasoning === '' && calls.length === 0) return;
    const opening = this.opening(choice);
    if (this.write(opening + this.writer.piece(choice, { text, step, reasoning, calls }))) return;
    await new Promise<void>((done) => this.client.whenDrained(done));
  }

  finish(choice: number, reason: FinishReason): void {
    this.write(this.opening(choice) + this.writer.finish(choice, reason));
  }

  end(usage: UsageCounts): void {
    this.write(this.writer.end(usage, this.strip?.tell() ?? null));
    this.client.end();
  }

  cut(error: OpenAiError): void {
    this.client.fail(error, this.chunks?.cut(error));
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

  private write(events: string): boolean {
    return this.client.write(Buffer.from(events, 'utf8'));
  }

  /** The beginning of a choice before its first piece, nothing after. */
  private opening(choice: number): string {
    if (this.opened.has(choice)) return '';
    this.opened.add(choice);
    return this.writer.open(choice);
  }
}
