// The decode loop of an engine child: requests join and leave at every step, one batch for all, and nothing touches the cache while a batch runs.
import { AdmissionQueue, ExpectedOutput, type Refusal, SpeedEstimate, type Work } from '../admission/index.js';
import type { EngineFaultCode, FinishReason, ScoreRequest } from '../engine.js';
import { DecodeError } from './decoder.js';
import { GenerationLane } from './generation-lane.js';
import type { Lane } from './lane.js';
import type { LogitsKernel } from './logits/kernel.js';
import { LoopMeter } from './loop-meter.js';
import type { LoopRequest, RunningRequest } from './loop-request.js';
import { generationRequest, type LoopReports, scoreRequest } from './make-requests.js';
import type { OpenModel } from './open-model.js';
import { prefillPauseMs } from './prefill-pause.js';
import { PrefixCache, type PrefixPlan } from './prefix/prefix-cache.js';
import type { EndOfRequest, FromChild, GenerateMessage, LoopStats, TokenTuple } from './protocol.js';
import { type PlannedPart, planStep, type StepLimits } from './step-plan.js';
import type { CallPlan } from './tools/call-plan.js';

export interface LoopParts {
  readonly model: OpenModel;
  readonly kernel: LogitsKernel;
  readonly send: (message: FromChild) => void;
  readonly nowMs: () => number;
  readonly randomSeed: () => number;
  readonly measure: boolean;
  readonly prefixCache: boolean;
  readonly maxQueuedTokens: number;
}

const leastPrefillTokens = 32;
/** Of the event loop, each some microseconds, in which an idle loop waits for more of what has just begun to arrive. */
const mostTurns = 16;

/** Runs until `stop`. */
export class DecodeLoop {
  private readonly queue: AdmissionQueue<LoopRequest>;
  private readonly speed = new SpeedEstimate();
  private readonly expected = new ExpectedOutput();
  private readonly prefix: PrefixCache;
  private readonly meter = new LoopMeter();
  private readonly running: RunningRequest[] = [];
  /** Work that needs the library for itself, between two steps. */
  private readonly exclusive: (() => Promise<void>)[] = [];
  private wake: (() => void) | null = null;
  private stopped = false;
  private stepBeganMs: number | null = null;
  private started: number[] = [];
  private tokens: TokenTuple[] = [];
  private finished: [id: number, choice: number, reason: FinishReason][] = [];
  private ended: EndOfRequest[] = [];

  constructor(private readonly parts: LoopParts) {
    const { decoder } = parts.model;
    this.queue = new AdmissionQueue({
      maxQueuedTokens: parts.maxQueuedTokens,
      speed: this.speed,
      expected: this.expected,
      load: () => ({ running: this.remainingWork(), slots: decoder.slots }),
    });
    this.prefix = new PrefixCache({
      slots: decoder.slots,
      cells: decoder.cells,
      contextSize: decoder.contextSize,
      reuse: parts.prefixCache ? decoder.cuts : 'none',
      share: decoder.sharesPrefixes,
    });
  }

  /** Since the running step began; null between steps. */
  get stepAgeMs(): number | null {
    return this.stepBeganMs === null ? null : this.parts.nowMs() - this.stepBeganMs;
  }

  stats(): LoopStats {
    return {
      ...this.meter.read(this.parts.nowMs()),
      running: this.lanes.length,
      queued: this.queue.size,
      queuedTokens: this.queue.queuedTokens,
      queuedLive: this.queue.ofClass('live').items,
      kvCellsUsed: this.prefix.cellsUsed,
      kvCellsTotal: this.prefix.cellsTotal,
      inputTokens: this.prefix.promptTokens,
      cachedTokens: this.prefix.cachedTokens,
    };
  }

  /** `calls` has a grammar of its own. */
  addGeneration(message: GenerateMessage, prompt: readonly number[], grammar: string | null, calls: CallPlan | null = null): void {
    this.offer(generationRequest(this.parts, message, { tokens: prompt, grammar, calls }, this.reports));
  }

  addScore(id: number, request: Omit<ScoreRequest, 'id'>): void {
    this.offer(scoreRequest(this.parts, id, request, this.reports));
  }

  addEmbedding(id: number, inputs: readonly (string | readonly number[])[]): void {
    const { embedder, vocabulary } = this.parts.model;
    if (!embedder) throw new Error('this evaluation has no embeddings');
    const all = inputs.map((input) => (typeof input === 'string' ? vocabulary.tokenize(input, true) : [...input]));
    const wrong = all.findIndex((tokens) => tokens.length === 0 || tokens.length > embedder.capacity);
    if (wrong >= 0) throw new Error(`input ${wrong} has ${all[wrong]?.length} tokens, 1 to ${embedder.capacity} can be embedded`);
    const vectors: number[][] = [];
    for (const tokens of all) {
      this.exclusive.push(async () => {
        vectors.push(await embedder.embed(tokens));
        if (vectors.length < all.length) return;
        this.parts.send({ type: 'embedded', id, vectors, inputTokens: all.reduce((sum, one) => sum + one.length, 0) });
      });
    }
    this.wake?.();
  }

  private offer(request: LoopRequest): void {
    const { decoder } = this.parts.model;
    const refuse = (code: EngineFaultCode, message: string): void => {
      request.free();
      this.parts.send({ type: 'failed', id: request.id, code, message });
    };
    const { id, prompt, sequences: choices, maxOutputTokens } = request;
    if (prompt.length === 0) return refuse('engine.bad-request', 'the prompt has no tokens');
    if (prompt.length >= decoder.contextSize) {
      const message = `the prompt has ${prompt.length} tokens, the context of this version holds ${decoder.contextSize}`;
      return refuse('engine.context-overflow', message);
    }
    if (choices > decoder.slots) {
      return refuse('engine.bad-request', `${choices} choices were asked for, this version runs ${decoder.slots} sequences`);
    }
    const { tenant, priority, deadlineMs } = request.ticket;
    const ask = { id, tenant, priority, inputTokens: prompt.length, maxOutputTokens, choices, deadlineMs };
    const answer = this.queue.offer(request, ask, this.parts.nowMs());
    if (!answer.ok) return this.refuse(request, answer);
    for (const { item, refusal } of answer.displaced) this.refuse(item, refusal);
    this.wake?.();
  }

  private refuse(request: LoopRequest, { reason, retryAfterMs, hopeless }: Refusal): void {
    request.free();
    const message = {
      'queue-full': 'the queue is full',
      'tenant-share': 'this tenant has its share of the queue',
      deadline: hopeless ? 'it would take longer than its deadline even alone' : 'it cannot be done in time behind what waits already',
    }[reason];
    this.parts.send({ type: 'failed', id: request.id, code: 'engine.overloaded', message, retryAfterMs });
  }

  /** What is left to do of each running sequence, as far as that can be known. */
  private remainingWork(): Work[] {
    return this.lanes.filter((lane) => !lane.done).map((lane) => lane.remaining(this.expected));
  }

  /** Takes effect before the next step. */
  cancel(id: number): void {
    this.queue.remove(id)?.free();
    const running = this.running.find((one) => one.request.id === id);
    if (running) running.cancelled = true;
  }

  stop(): void {
    this.stopped = true;
    this.wake?.();
  }

  async run(): Promise<void> {
    while (!this.stopped) {
      this.reap();
      for (let work = this.exclusive.shift(); work; work = this.exclusive.shift()) await work();
      this.admit();
      this.rewind();
      const { lanes } = this;
      const parts = planStep(lanes, this.limits(lanes));
      if (parts.length > 0) {
        await this.step(parts);
        continue;
      }
      if (this.running.some((one) => !one.cancelled)) throw new Error('requests run, but none of them wants anything');
      this.flush();
      await new Promise<void>((done) => {
        this.wake = done;
      });
      this.wake = null;
      await this.gather();
    }
  }

  /** Requests that came together are told one by one: the first batch is for all of them, or the first of them would set the pace of the rest. */
  private async gather(): Promise<void> {
    for (let turns = 0, known = -1; turns < mostTurns && this.queue.size > known; turns += 1) {
      known = this.queue.size;
      await turn();
    }
  }

  /** Lets go of what is done or was cancelled. Only here: a batch under way still writes to its sequences. */
  private reap(): void {
    for (let at = 0; at < this.running.length; ) {
      const one = this.running[at];
      if (!one || !(one.cancelled || one.lanes.every((lane) => lane.done))) {
        at += 1;
        continue;
      }
      this.running.splice(at, 1);
      for (const { slot } of one.lanes) {
        this.prefix.end(slot, !one.broken);
        if (this.prefix.lengthOf(slot) === 0) this.parts.model.decoder.clear(slot);
      }
      one.request.free();
      this.learn(one);
    }
  }

  /** How much of what it asked for the request took; a cancelled one took no more either. */
  private learn({ request, lanes }: RunningRequest): void {
    if (lanes[0] instanceof GenerationLane) this.expected.observe(request.maxOutputTokens, outputOf(lanes) / lanes.length);
  }

  private admit(): void {
    const nowMs = this.parts.nowMs();
    for (const { item, refusal } of this.queue.expired(nowMs)) this.refuse(item, refusal);
    for (;;) {
      // The plan that says that a request fits is the one with which it begins.
      const found: { plan: PrefixPlan | null } = { plan: null };
      const taken = this.queue.take(nowMs, ({ prompt, maxOutputTokens, sequences }) => {
        found.plan = this.prefix.plan(prompt, maxOutputTokens, sequences);
        return found.plan !== null;
      });
      if (!taken || !found.plan) return;
      this.begin(taken.item, found.plan, taken.waitedMs, nowMs);
    }
  }

  private begin(request: LoopRequest, plan: PrefixPlan, queueWaitMs: number, nowMs: number): void {
    const { decoder } = this.parts.model;
    const { slot, keepTokens, copyFrom, cachedTokens, siblings } = plan;
    if (copyFrom) {
      decoder.clear(slot);
      decoder.share(copyFrom.slot, slot, copyFrom.tokens);
    } else if (keepTokens > 0) decoder.truncate(slot, keepTokens);
    else decoder.clear(slot);
    for (const one of plan.evict) decoder.clear(one);
    this.prefix.begin(plan);
    this.meter.started(nowMs, queueWaitMs);
    const lanes = request.open([slot, ...siblings], cachedTokens);
    this.running.push({ request, lanes, queueWaitMs, cachedTokens, cancelled: false, broken: false });
    this.started.push(request.id);
  }

  /** Sequences that begin elsewhere than they are: a scored text goes back to its context, a further choice to the end of the prompt. */
  private rewind(): void {
    const { decoder } = this.parts.model;
    for (const lane of this.lanes) {
      const from = lane.takeFork();
      if (from !== null) {
        decoder.share(from.slot, lane.slot, from.tokens);
        this.prefix.adopt(lane.slot, from.slot);
      }
      const keep = lane.takeRewind();
      if (keep === null) continue;
      const kept = decoder.truncate(lane.slot, keep) ? keep : 0;
      this.prefix.rewind(lane.slot, kept);
      if (kept < keep) lane.restarted();
    }
  }

  private get lanes(): Lane[] {
    return this.running.flatMap((one) => (one.cancelled ? [] : one.lanes));
  }

  /** While answers are written, prompts take as many tokens of a batch as the readers' pause allows at the measured speed. */
  private limits(lanes: readonly Lane[]): StepLimits {
    const { batchSize, maxRows } = this.parts.model.decoder;
    const opening = lanes.filter((lane) => lane.opening).length;
    const affordable = Math.round((this.speed.prefillTokensPerS * prefillPauseMs(opening)) / 1000);
    return { batchSize, maxRows, prefillTokens: Math.min(batchSize, Math.max(leastPrefillTokens, affordable)) };
  }

  private async step(parts: readonly PlannedPart[]): Promise<void> {
    const beganMs = this.parts.nowMs();
    this.flush();
    this.stepBeganMs = beganMs;
    try {
      await this.parts.model.decoder.decode(parts);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      for (const id of new Set(parts.map(({ lane }) => lane.id))) this.reports.broken(id, error.message);
      return;
    } finally {
      this.stepBeganMs = null;
    }
    this.measureStep(parts, this.parts.nowMs() - beganMs);
    this.takeRows(parts);
    // Messages that came meanwhile: requests that join, cancellations, heartbeats.
    await turn();
  }

  private takeRows(parts: readonly PlannedPart[]): void {
    const { kernel, model, measure } = this.parts;
    let row = 0;
    for (const { lane, tokens, wanted } of parts) {
      const urgent = lane.urgent;
      this.prefix.append(lane.slot, tokens);
      lane.evaluated(tokens);
      const rows = wanted === 'all' ? tokens.length : wanted === 'last' ? 1 : 0;
      for (let index = 0; index < rows; index += 1, row += 1) {
        if (lane.done) continue;
        model.decoder.copyLogits(row, kernel.row);
        if (measure || !urgent) kernel.measure();
        else kernel.firstPlace();
        this.give(lane, index);
      }
    }
    for (const one of this.running) if (!one.cancelled && one.lanes.every((lane) => lane.done)) this.conclude(one);
  }

  /** A mistake in one request's row is that request's end, not everybody's. */
  private give(lane: Lane, index: number): void {
    try {
      lane.row(this.parts.kernel, index);
    } catch (error) {
      this.reports.broken(lane.id, error instanceof Error ? error.message : String(error));
    }
  }

  private measureStep(parts: readonly PlannedPart[], ms: number): void {
    let sequences = 0;
    let prefillTokens = 0;
    for (const { lane, tokens } of parts) {
      if (lane.urgent) sequences += 1;
      else prefillTokens += tokens.length;
    }
    const possible = Math.min(this.parts.model.decoder.slots, this.lanes.length + this.queue.size);
    this.meter.step(this.parts.nowMs(), { inputTokens: prefillTokens, outputTokens: sequences, inBatch: parts.length, possible });
    this.speed.observe({ prefillTokens, sequences, ms });
  }

  private readonly reports: LoopReports = {
    token: (tuple) => void this.tokens.push(tuple),
    finished: (id, choice, reason) => void this.finished.push([id, choice, reason]),
    broken: (id, message) => {
      const one = this.running.find((running) => running.request.id === id);
      if (!one || one.cancelled) return;
      one.cancelled = true;
      one.broken = true;
      this.flush();
      this.parts.send({ type: 'failed', id, code: 'engine.failed', message });
    },
    scored: (id, sequences) => this.parts.send({ type: 'scored', id, sequences }),
  };

  private conclude({ request, lanes, queueWaitMs, cachedTokens }: RunningRequest): void {
    if (!(lanes[0] instanceof GenerationLane)) return;
    this.ended.push({ id: request.id, inputTokens: request.prompt.length, outputTokens: outputOf(lanes), cachedTokens, queueWaitMs });
  }

  private flush(): void {
    if (this.started.length > 0) this.parts.send({ type: 'started', ids: this.started });
    if (this.tokens.length > 0 || this.finished.length > 0 || this.ended.length > 0) {
      this.parts.send({ type: 'step', tokens: this.tokens, finished: this.finished, ended: this.ended });
    }
    this.started = [];
    this.tokens = [];
    this.finished = [];
    this.ended = [];
  }
}

function outputOf(lanes: readonly Lane[]): number {
  return lanes.reduce((sum, lane) => sum + (lane instanceof GenerationLane ? lane.outputTokens : 0), 0);
}

/** Lets everything that has arrived be heard. */
async function turn(): Promise<void> {
  await new Promise<void>((done) => {
    setImmediate(done);
  });
}
