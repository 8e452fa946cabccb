// Requests that a child works on, seen from the gateway: what it says goes to whom it concerns, and a dead child costs only what it had begun.
import { type Embeddings, EngineError, type EngineFault, type SequenceScore, type TokenEvent } from '../engine.js';
import { EventQueue } from '../event-queue.js';
import type { FromChild, StepMessage, ToChild, TokenTuple } from './protocol.js';

export type Answer =
  | TokenEvent
  | { readonly type: 'scored'; readonly sequences: readonly SequenceScore[] }
  | ({ readonly type: 'embedded' } & Embeddings);

/** A request's message without its id. */
export type Ask = ToChild extends infer M
  ? M extends { readonly id: number; readonly type: 'generate' | 'score' | 'embed' }
    ? Omit<M, 'id'>
    : never
  : never;

interface Pending {
  readonly message: ToChild;
  readonly answers: EventQueue<Answer>;
  begun: boolean;
  asked: number;
}

/** A request that was asked again once is not asked a second time: it may be what kills the child. */
const mostAsked = 2;

export class PendingRequests {
  private readonly pending = new Map<number, Pending>();
  private nextId = 1;

  get size(): number {
    return this.pending.size;
  }

  /** Registers a request; its message is to be sent by the caller. */
  open(ask: Ask): { readonly id: number; readonly message: ToChild; readonly answers: EventQueue<Answer> } {
    const id = this.nextId++;
    const message = { ...ask, id } as ToChild;
    const answers = new EventQueue<Answer>();
    this.pending.set(id, { message, answers, begun: false, asked: 1 });
    return { id, message, answers };
  }

  close(id: number): void {
    this.pending.delete(id);
  }

  receive(message: FromChild): void {
    switch (message.type) {
      case 'started':
        for (const id of message.ids) {
          const one = this.pending.get(id);
          if (one) one.begun = true;
        }
        return;
      case 'step':
        return this.step(message);
      case 'scored':
        return this.conclude(message.id, { type: 'scored', sequences: message.sequences });
      case 'embedded':
        return this.conclude(message.id, { type: 'embedded', vectors: message.vectors, inputTokens: message.inputTokens });
      case 'failed': {
        const { code, message: text, retryAfterMs } = message;
        const fault: EngineFault = {
          code,
          message: text,
          retryable: code === 'engine.overloaded',
          ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
        };
        this.pending.get(message.id)?.answers.fail(new EngineError(fault));
        return;
      }
      default:
        return;
    }
  }

  private step({ tokens, finished, ended }: StepMessage): void {
    for (const tuple of tokens) this.pending.get(tuple[0])?.answers.push(tokenEvent(tuple));
    for (const [id, choice, finishReason] of finished) this.pending.get(id)?.answers.push({ type: 'finish', choice, finishReason });
    for (const { id, inputTokens, outputTokens, cachedTokens, queueWaitMs } of ended) {
      this.conclude(id, { type: 'end', usage: { inputTokens, outputTokens, cachedTokens }, queueWaitMs });
    }
  }

  private conclude(id: number, answer: Answer): void {
    const one = this.pending.get(id);
    one?.answers.push(answer);
    one?.answers.end();
  }

  /** The child died: what it had begun fails, what still waited in its queue is kept for the next one. */
  died(fault: EngineFault): void {
    for (const one of this.pending.values()) {
      if (one.begun || one.asked >= mostAsked) one.answers.fail(new EngineError(fault));
    }
  }

  /** Messages of the requests that still wait, for a new child. */
  takeWaiting(): ToChild[] {
    const waiting = [...this.pending.values()].filter((one) => !one.answers.settled);
    for (const one of waiting) one.asked += 1;
    return waiting.map((one) => one.message);
  }

  fail(fault: EngineFault): void {
    for (const one of this.pending.values()) one.answers.fail(new EngineError(fault));
  }
}

function tokenEvent([, choice, text, entropyNats, nllNats, marginNats, logprobs, toolCalls]: TokenTuple): TokenEvent {
  return {
    type: 'token',
    choice,
    text,
    uncertainty:
      entropyNats === null || nllNats === null
        ? { kind: 'none' }
        : { kind: 'exact', entropyNats, nllNats, marginNats: marginNats ?? Number.POSITIVE_INFINITY },
    ...(logprobs ? { logprobs } : {}),
    ...(toolCalls ? { toolCalls } : {}),
  };
}
