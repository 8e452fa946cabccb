// The decode loop of an engine child: requests join and leave at every step, decodes before prefill, one batch for all.
import type { EngineFaultCode, Sampling } from '../engine.js';
import { chooseNext, type RankedLogits, seededUniform } from './next-token.js';
import type { FromChild, TokenTuple } from './protocol.js';
import { type Detokenize, TextStream } from './text-stream.js';

/** One sequence's part of a batch: tokens at consecutive positions; logits are wanted after the last one when `wanted`. */
export interface BatchPart {
  readonly slot: number;
  readonly position: number;
  readonly tokens: readonly number[];
  readonly wanted: boolean;
}

/** What the loop needs of a model: the narrow waist behind which the way of evaluating may change. */
export interface Decoder {
  readonly slots: number;
  /** Positions that one sequence can hold. */
  readonly contextSize: number;
  /** Tokens that one batch can hold. */
  readonly batchSize: number;
  readonly detokenize: Detokenize;
  isEnd(token: number): boolean;
  /** Evaluates one batch; per part the ranked raw logits after its last token, null where not wanted. */
  decode(parts: readonly BatchPart[]): Promise<(RankedLogits | null)[]>;
  /** Forgets everything a slot holds. */
  clear(slot: number): void;
}

interface Job {
  readonly id: number;
  readonly prompt: readonly number[];
  readonly sampling: Sampling;
  readonly uniform: () => number;
  readonly text: TextStream;
  readonly queuedAtMs: number;
  queueWaitMs: number;
  slot: number;
  evaluated: number;
  next: number | null;
  outputTokens: number;
}

/** Runs until `stop`. Bounded: at most `maxQueued` requests wait; more are refused with `engine.overloaded`. */
export class DecodeLoop {
  private readonly waiting: Job[] = [];
  private readonly running: Job[] = [];
  private readonly freeSlots: number[];
  private wake: (() => void) | null = null;
  private stopped = false;

  constructor(
    private readonly decoder: Decoder,
    private readonly send: (message: FromChild) => void,
    private readonly options: { readonly maxQueued: number; readonly nowMs: () => number; readonly randomSeed: () => number },
  ) {
    this.freeSlots = Array.from({ length: decoder.slots }, (_, slot) => slot).reverse();
  }

  get load(): { running: number; queued: number } {
    return { running: this.running.length, queued: this.waiting.length };
  }

  /** Queues a request, or answers at once why it cannot be served. */
  add(id: number, prompt: readonly number[], sampling: Sampling): void {
    const refuse = (code: EngineFaultCode, message: string): void => this.send({ type: 'failed', id, code, message });
    if (prompt.length === 0) return refuse('engine.bad-request', 'the prompt has no tokens');
    if (prompt.length >= this.decoder.contextSize) {
      return refuse(
        'engine.context-overflow',
        `the prompt has ${prompt.length} tokens, the context of this version holds ${this.decoder.contextSize}`,
      );
    }
    if (this.waiting.length >= this.options.maxQueued) return refuse('engine.overloaded', `${this.waiting.length} requests wait already`);
    this.waiting.push({
      id,
      prompt,
      sampling,
      uniform: seededUniform(sampling.seed ?? this.options.randomSeed()),
      text: new TextStream(this.decoder.detokenize, sampling.stop),
      queuedAtMs: this.options.nowMs(),
      queueWaitMs: 0,
      slot: -1,
      evaluated: 0,
      next: null,
      outputTokens: 0,
    });
    this.wake?.();
  }

  /** Takes effect before the next step; the slot is free again at once. */
  cancel(id: number): void {
    const waiting = this.waiting.findIndex((job) => job.id === id);
    if (waiting >= 0) this.waiting.splice(waiting, 1);
    const job = this.running.find((one) => one.id === id);
    if (job) this.leave(job);
  }

  stop(): void {
    this.stopped = true;
    this.wake?.();
  }

  async run(): Promise<void> {
    while (!this.stopped) {
      this.admit();
      if (this.running.length === 0) {
        await new Promise<void>((done) => {
          this.wake = done;
        });
        this.wake = null;
        continue;
      }
      await this.step();
    }
  }

  private admit(): void {
    while (this.freeSlots.length > 0) {
      const job = this.waiting.shift();
      if (!job) return;
      job.slot = this.freeSlots.pop() ?? 0;
      job.queueWaitMs = this.options.nowMs() - job.queuedAtMs;
      this.running.push(job);
    }
  }

  private async step(): Promise<void> {
    const jobs: Job[] = [];
    const parts: BatchPart[] = [];
    let room = this.decoder.batchSize;
    // Decodes first: a long prompt must not make running answers stutter.
    for (const job of this.running) {
      if (job.next === null || room === 0) continue;
      parts.push({ slot: job.slot, position: job.evaluated, tokens: [job.next], wanted: true });
      jobs.push(job);
      room -= 1;
    }
    for (const job of this.running) {
      if (job.next !== null || room === 0) continue;
      const tokens = job.prompt.slice(job.evaluated, job.evaluated + room);
      parts.push({ slot: job.slot, position: job.evaluated, tokens, wanted: job.evaluated + tokens.length === job.prompt.length });
      jobs.push(job);
      room -= tokens.length;
    }
    const logits = await this.decoder.decode(parts);
    const shown: TokenTuple[] = [];
    const ended: (() => void)[] = [];
    jobs.forEach((job, index) => {
      const part = parts[index];
      // A request cancelled while the batch ran has left already.
      if (!part || !this.running.includes(job)) return;
      job.evaluated += part.tokens.length;
      const ranked = logits[index];
      if (ranked) this.take(job, ranked, shown, ended);
    });
    if (shown.length > 0) this.send({ type: 'tokens', tokens: shown });
    for (const end of ended) end();
  }

  private take(job: Job, ranked: RankedLogits, shown: TokenTuple[], ended: (() => void)[]): void {
    const { token, entropyNats, nllNats } = chooseNext(ranked, job.sampling, job.uniform);
    const finish = (finishReason: 'stop' | 'length', text: string): void => {
      shown.push([job.id, text, entropyNats, nllNats]);
      ended.push(() => {
        this.leave(job);
        this.send({
          type: 'end',
          id: job.id,
          finishReason,
          inputTokens: job.prompt.length,
          outputTokens: job.outputTokens,
          queueWaitMs: job.queueWaitMs,
        });
      });
    };
    if (this.decoder.isEnd(token)) return finish('stop', job.text.finish());
    job.outputTokens += 1;
    const text = job.text.push(token);
    if (job.text.stopped) return finish('stop', text);
    const full = job.outputTokens >= job.sampling.maxTokens || job.evaluated + 1 >= this.decoder.contextSize;
    if (full) return finish('length', text + job.text.finish());
    job.next = token;
    shown.push([job.id, text, entropyNats, nllNats]);
  }

  private leave(job: Job): void {
    const index = this.running.indexOf(job);
    if (index < 0) return;
    this.running.splice(index, 1);
    this.decoder.clear(job.slot);
    this.freeSlots.push(job.slot);
  }
}
