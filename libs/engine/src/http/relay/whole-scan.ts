// A body that came in one piece: what it says, what is wrong with it, and what the client gets of it.
import type { EngineFault } from '../../engine.js';
import type { RelaySummary } from '../../relay.js';
import { type ChunkChoice, readChunk } from '../chunk.js';
import { broken, errorIn, reportedFault } from '../faults.js';
import { AnswerMeter } from './answer-meter.js';
import { ChunkScan, type ScannedChoice } from './chunk-scan.js';
import { LogprobScan } from './logprob-scan.js';
import { modelIn, responsesBody } from './responses-scan.js';
import { AnswerCut } from './stream-cut.js';
import { type AnswerWishes, garbageFault } from './stream-reader.js';

export interface WholeAnswer {
  /** For the client: its length is the Content-Length. The very bytes that came where nothing had to change. Empty beside a fault. */
  readonly output: Buffer;
  readonly fault: EngineFault | null;
  /** Times of tokens are unknown: null. Tokens: those that log probabilities or else the usage tell. */
  readonly summary: RelaySummary;
}

const nothing = Buffer.alloc(0);

/** Reads a body of status 200, decoded and whole. `upstream`: which endpoint of the version answers. */
export function readWhole(bytes: Buffer, wishes: AnswerWishes, upstream: string | null): WholeAnswer {
  const reader = new WholeReader(bytes, wishes);
  const fault =
    bytes.length > wishes.mostBytes ? broken(`the upstream sent more than ${wishes.mostBytes} bytes`).fault : reader.read(wishes.endpoint);
  return { output: fault === null ? reader.output() : nothing, fault, summary: reader.summary(upstream) };
}

class WholeReader {
  private readonly meter: AnswerMeter;
  private readonly cut: AnswerCut;
  private readonly logprobs: LogprobScan | null;
  /** Written anew, where no scan knows the body's places. */
  private made: Buffer | null = null;

  constructor(
    private readonly bytes: Buffer,
    private readonly wishes: AnswerWishes,
  ) {
    const { askedTop, facts } = wishes;
    this.meter = new AnswerMeter(wishes.choices);
    this.cut = new AnswerCut(wishes);
    this.logprobs = askedTop === null ? null : new LogprobScan({ ...wishes, askedTop, vocabularySize: facts.vocabularySize });
  }

  read(endpoint: AnswerWishes['endpoint']): EngineFault | null {
    if (endpoint === 'responses') return this.responses();
    const scan = new ChunkScan(this.logprobs);
    const embeddings = endpoint === 'embeddings';
    if (!scan.scan(this.bytes, 0, this.bytes.length)) return this.odd(embeddings);
    if (scan.usage !== null) this.meter.count(scan.usage);
    const fault = embeddings ? this.vectors(scan.dataCount) : this.choices(scan);
    if (fault === null) this.cut.body(this.bytes, scan);
    return fault;
  }

  output(): Buffer {
    return this.made ?? this.cut.splices.taken(this.bytes, 0, this.bytes.length) ?? nothing;
  }

  summary(upstream: string | null): RelaySummary {
    const summary = this.meter.summary(upstream);
    const { usage, tokens } = summary;
    return { ...summary, tokens: this.logprobs === null || tokens === 0 ? (usage?.outputTokens ?? tokens) : tokens };
  }

  private choices(scan: ChunkScan): EngineFault | null {
    for (let place = 0; place < scan.count; place += 1) {
      const fault = this.meter.choice(scan.choices[place] as ScannedChoice, null);
      if (fault !== null) return fault;
    }
    return this.meter.missing(wholeFacts, true);
  }

  private vectors(count: number): EngineFault | null {
    if (count === this.wishes.choices) return null;
    return broken(
      count < 0 ? 'the upstream sent no list of embeddings' : `the upstream sent ${count} embeddings for ${this.wishes.choices} inputs`,
    ).fault;
  }

  private responses(): EngineFault | null {
    const read = responsesBody(this.json());
    if (read.kind === 'error') return reportedFault(read.error, this.wishes.secret);
    if (read.kind === 'garbage') return garbageFault(read.why);
    const { finishReason, usage } = read.end;
    if (usage !== null) this.meter.count(usage);
    if (finishReason === null) return broken('the upstream ended its answer in the middle').fault;
    const { valueFrom, valueTo } = modelIn(this.bytes, 0);
    if (valueFrom >= 0) this.cut.name(this.bytes, valueFrom, valueTo);
    this.meter.token(1, null);
    return this.meter.finish(0, finishReason);
  }

  /** What no scan knows, by JSON.parse. */
  private odd(embeddings: boolean): EngineFault | null {
    const json = this.json();
    if (typeof json !== 'object' || json === null) return garbageFault('a body that is not JSON');
    const error = errorIn(json);
    if (error) return reportedFault(error, this.wishes.secret);
    const body = json as Record<string, unknown>;
    const choices = Array.isArray(body['choices']) ? body['choices'] : null;
    const read = readChunk(JSON.stringify({ ...body, choices: choices?.map(asChunk) ?? [] }));
    if (read.kind === 'error') return reportedFault(read.error, this.wishes.secret);
    if (read.kind === 'garbage') return garbageFault('a body that is no answer');
    const { usage, queueWaitMs } = read.chunk;
    if (usage !== null) this.meter.count(usage);
    if (queueWaitMs !== null) this.meter.waited(queueWaitMs);
    const fault = embeddings ? this.vectors(Array.isArray(body['data']) ? body['data'].length : -1) : this.parsed(read.chunk.choices);
    const made = fault === null ? this.cut.recast(body, false) : null;
    if (made !== null && made !== 'drop') this.made = Buffer.from(JSON.stringify(made));
    return fault;
  }

  private parsed(choices: readonly ChunkChoice[]): EngineFault | null {
    for (const { index, text, reasoning, toolCalls, finishReason, logprobs } of choices) {
      this.logprobs?.parse(logprobs);
      const { listed = 0, measured = 0, lowerNats = 0, upperNats = 0, nllNats = 0 } = this.logprobs ?? {};
      const said = text !== '' || reasoning !== '' || toolCalls.length > 0;
      const fault = this.meter.choice({ index, said, finishReason, listed, measured, lowerNats, upperNats, nllNats }, null);
      if (fault !== null) return fault;
    }
    return this.meter.missing(wholeFacts, true);
  }

  private json(): unknown {
    try {
      return JSON.parse(this.bytes.toString('utf8'));
    } catch {
      return null;
    }
  }
}

/** A body that is whole JSON with all its finish reasons is whole: it has no end mark, and not every server counts. */
const wholeFacts = { endMark: false, usageInStreams: false };

/** A body's choice as a chunk has it. */
function asChunk(choice: unknown): unknown {
  if (typeof choice !== 'object' || choice === null) return choice;
  const { message, ...rest } = choice as { readonly message?: unknown };
  return message === undefined ? choice : { ...rest, delta: message };
}
