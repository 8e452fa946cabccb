// What a relay calls per piece of a streamed answer: bytes of the upstream in, bytes for the client out, measured while they pass.
import type { EngineFault } from '../../engine.js';
import type { RelayEndpoint, RelaySummary } from '../../relay.js';
import { readChunk } from '../chunk.js';
import { faultOf, reportedFault } from '../faults.js';
import type { UpstreamFacts } from '../upstream-facts.js';
import { AnswerMeter } from './answer-meter.js';
import { ChunkScan, type ScannedChoice } from './chunk-scan.js';
import { EventScan } from './event-scan.js';
import { isWord, wordOf } from './json-bytes.js';
import { LogprobScan, type LogprobSums } from './logprob-scan.js';
import { modelIn, responsesEvent } from './responses-scan.js';
import { AnswerCut } from './stream-cut.js';

export interface AnswerWishes {
  readonly endpoint: RelayEndpoint;
  /** Choices that must be whole before the answer is; inputs for embeddings. */
  readonly choices: number;
  /** Likely tokens per place that the upstream was asked for; null: none. */
  readonly askedTop: number | null;
  /** Those that the client asked for; null: log probabilities are cut out. */
  readonly clientTop: number | null;
  /** The log probabilities tell the entropy at temperature 1: it is measured. */
  readonly bounds: boolean;
  /** False: what a stream says of its usage is measured and cut out. A body that comes whole keeps it. */
  readonly withUsage: boolean;
  /** Written over the model's name. */
  readonly modelShown: string;
  readonly facts: Pick<UpstreamFacts, 'endMark' | 'usageInStreams' | 'vocabularySize'>;
  /** Cut out of what the upstream wrote into faults. */
  readonly secret: string | undefined;
  /** Bytes of the body after which the upstream is taken for broken. */
  readonly mostBytes: number;
}

/** What one piece of a stream comes to. */
export interface Passed {
  /**
   * For the client, whole events, to be written before anything else is done; null: nothing yet. The very bytes that came where nothing in
   * them had to change, one new buffer otherwise.
   */
  readonly output: Buffer | null;
  /** The piece held text, a tool call or reasoning: the time between tokens starts anew. */
  readonly tokenSeen: boolean;
  /** The answer is whole (its end mark has passed, with all that must come before). More may come and is worth nothing. */
  readonly whole: boolean;
  /** The answer is not whole and will not be. `output` stands; nothing more is to be pushed. */
  readonly fault: EngineFault | null;
}

const nothingPassed: Passed = { output: null, tokenSeen: false, whole: false, fault: null };
const wholeAlready: Passed = { ...nothingPassed, whole: true };
const blankLines = Buffer.from('\n\n');
const endMark = Buffer.from('data: [DONE]\n\n');
const doneWord = wordOf('[DONE]');

/** Reads one streamed answer. Memory: at most one event, 1 MiB. */
export class StreamReader {
  private readonly events: EventScan;
  private readonly scan: ChunkScan;
  private readonly logprobs: LogprobScan | null;
  private readonly cut: AnswerCut;
  private readonly meter: AnswerMeter;
  private whole = false;
  private marked = false;

  constructor(private readonly wishes: AnswerWishes) {
    const { askedTop, facts } = wishes;
    this.events = new EventScan(wishes.mostBytes);
    this.logprobs = askedTop === null ? null : new LogprobScan({ ...wishes, askedTop, vocabularySize: facts.vocabularySize });
    this.scan = new ChunkScan(this.logprobs);
    this.cut = new AnswerCut(wishes);
    this.meter = new AnswerMeter(wishes.choices);
  }

  /** `bytes` as they came, cut anywhere. They are kept until their last event has ended and must not be written to. `nowMs`: monotonic. */
  push(bytes: Buffer, nowMs: number): Passed {
    if (this.whole) return wholeAlready;
    const { events, meter } = this;
    const tokensBefore = meter.tokens;
    events.feed(bytes);
    let takenTo = 0;
    let fault: EngineFault | null = null;
    while (!this.whole && events.next()) {
      fault = events.kind === null ? null : this.event(nowMs);
      if (fault !== null) break;
      takenTo = events.to;
    }
    fault ??= events.fault;
    const tokenSeen = meter.tokens > tokensBefore;
    const output = this.cut.splices.taken(events.bytes, 0, takenTo);
    return output === null && !this.whole && fault === null ? nothingPassed : { output, tokenSeen, whole: this.whole, fault };
  }

  /** The upstream has closed its body in good order. `fault` says what was missing; `whole` is true otherwise. */
  end(nowMs: number): Passed {
    if (this.whole) return wholeAlready;
    // An event whose blank line never came is one all the same.
    const last = this.events.pending ? this.push(blankLines, nowMs) : nothingPassed;
    if (last.whole || last.fault !== null) return last;
    const fault = this.meter.missing(this.factsFor(), this.marked);
    if (fault !== null) return { ...last, fault };
    this.whole = true;
    // Clients wait for the mark, whatever the upstream thinks of it.
    const mark = this.wishes.endpoint === 'responses' ? null : endMark;
    const output = last.output === null || mark === null ? (last.output ?? mark) : Buffer.concat([last.output, mark]);
    return { ...last, output, whole: true };
  }

  /** What has passed so far. `upstream`: which endpoint of the version answers. */
  summary(upstream: string | null): RelaySummary {
    return this.meter.summary(upstream);
  }

  private event(nowMs: number): EngineFault | null {
    const { events } = this;
    const { bytes, dataFrom, dataTo } = events;
    const plain = events.onOneLine && events.kind === 'data';
    if (plain && dataTo - dataFrom === doneWord.length && isWord(bytes, dataFrom, doneWord)) return this.done();
    if (this.wishes.endpoint === 'responses') return this.responsesEvent(nowMs);
    if (!plain || !this.scan.scan(bytes, dataFrom, dataTo)) return this.oddChunk(nowMs);
    const { scan, meter } = this;
    for (let place = 0; place < scan.count; place += 1) {
      const fault = meter.choice(scan.choices[place] as ScannedChoice, nowMs);
      if (fault !== null) return fault;
    }
    if (scan.usage !== null) meter.count(scan.usage);
    this.cut.chunk(bytes, scan, events.from, events.to);
    return null;
  }

  /** The end mark reaches the client only behind everything that must come before it. */
  private done(): EngineFault | null {
    this.marked = true;
    const fault = this.meter.missing(this.factsFor(), true);
    this.whole = fault === null;
    return fault;
  }

  /** The Responses API has neither an end mark nor a usage that must be asked for. */
  private factsFor(): Pick<UpstreamFacts, 'endMark' | 'usageInStreams'> {
    return this.wishes.endpoint === 'responses' ? { endMark: false, usageInStreams: false } : this.wishes.facts;
  }

  /** What no scan knows, by JSON.parse: errors, garbage, and rare ways to write a chunk. */
  private oddChunk(nowMs: number): EngineFault | null {
    const { events, meter } = this;
    const data = events.text();
    const read = readChunk(data);
    if (read.kind === 'chunk' && events.kind === 'data') {
      for (const choice of read.chunk.choices) {
        const { index, text, reasoning, toolCalls, finishReason } = choice;
        const sums = this.parsedSums(choice.logprobs);
        const said = text !== '' || reasoning !== '' || toolCalls.length > 0;
        const fault = meter.choice({ ...sums, index, said, finishReason }, nowMs);
        if (fault !== null) return fault;
      }
      if (read.chunk.usage !== null) meter.count(read.chunk.usage);
      if (read.chunk.queueWaitMs !== null) meter.waited(read.chunk.queueWaitMs);
      const made = this.cut.recast(JSON.parse(data) as Record<string, unknown>, true);
      if (made !== null)
        this.cut.splices.replace(events.from, events.to, made === 'drop' ? null : Buffer.from(`data: ${JSON.stringify(made)}\n\n`));
      return null;
    }
    if (read.kind === 'error') return reportedFault(read.error, this.wishes.secret);
    if (events.kind === 'error') return reportedFault({ message: data, kind: '' }, this.wishes.secret);
    return garbageFault(read.kind === 'garbage' ? read.why : '');
  }

  private parsedSums(raw: unknown): LogprobSums {
    if (this.logprobs === null) return noSums;
    this.logprobs.parse(raw);
    return this.logprobs;
  }

  private responsesEvent(nowMs: number): EngineFault | null {
    const { events, meter, wishes } = this;
    const data = events.text();
    const read = responsesEvent(data);
    if (read.kind === 'error') return reportedFault(read.error, wishes.secret);
    if (events.kind === 'error') return reportedFault({ message: data, kind: '' }, wishes.secret);
    if (read.kind === 'garbage') return garbageFault(read.why);
    if (read.text) meter.token(1, nowMs);
    if (read.ended !== null) {
      if (read.ended.usage !== null) meter.count(read.ended.usage);
      const fault = meter.finish(0, read.ended.finishReason ?? 'aborted');
      if (fault !== null) return fault;
    }
    if (!events.onOneLine) return null;
    const { valueFrom, valueTo } = modelIn(events.bytes, events.dataFrom);
    if (valueFrom >= 0 && valueTo <= events.dataTo) this.cut.name(events.bytes, valueFrom, valueTo);
    return null;
  }
}

const noSums: LogprobSums = { listed: 0, measured: 0, lowerNats: 0, upperNats: 0, nllNats: 0 };

/** An answer that is not what it should be: `why` says what it is. */
export function garbageFault(why: string): EngineFault {
  return faultOf('engine.upstream-error', `the upstream sent ${why}`, { retryable: true });
}
