// What has passed of one answer, and whether it is whole: by the same rules as `readAnswer`, which makes tokens of it instead.
import type { EngineFault, FinishReason, Usage } from '../../engine.js';
import type { RelaySummary } from '../../relay.js';
import type { ChunkUsage } from '../chunk.js';
import { broken } from '../faults.js';
import { finishReasonOf } from '../finish-reason.js';
import type { UpstreamFacts } from '../upstream-facts.js';
import type { SeenChoice } from './chunk-scan.js';

/** Folds chunks into a summary. Every fault is final: the answer is not whole and will not be. */
export class AnswerMeter {
  /** Pieces of text, or tokens where log probabilities tell them. */
  tokens = 0;
  private usage: Usage | null = null;
  private readonly reasons: (FinishReason | undefined)[] = [];
  private finished = 0;
  private firstTokenAtMs: number | null = null;
  private lastTokenAtMs: number | null = null;
  private longestGapMs: number | null = null;
  private queueWaitMs: number | null = null;
  private measured = 0;
  private lowerNats = 0;
  private upperNats = 0;
  private nllNats = 0;

  constructor(private readonly choices: number) {}

  /** `nowMs`: null where nothing tells when the tokens were made. */
  choice(seen: SeenChoice, nowMs: number | null): EngineFault | null {
    const { index, listed, finishReason } = seen;
    if (index >= this.choices) return broken(`the upstream sent a choice ${index} that nobody asked for`).fault;
    if (seen.said || listed > 0) {
      if (this.reasons[index] !== undefined) return broken('the upstream went on after it had said that a choice was whole').fault;
      this.token(Math.max(1, listed), nowMs);
      if (seen.measured > 0) this.add(seen);
    }
    if (finishReason === null || this.reasons[index] !== undefined) return null;
    return this.finish(index, finishReason);
  }

  token(count: number, nowMs: number | null): void {
    this.tokens += count;
    if (nowMs === null) return;
    if (this.lastTokenAtMs !== null) this.longestGapMs = Math.max(this.longestGapMs ?? 0, nowMs - this.lastTokenAtMs);
    this.firstTokenAtMs ??= nowMs;
    this.lastTokenAtMs = nowMs;
  }

  /** `said`: in the upstream's words. */
  finish(index: number, said: string): EngineFault | null {
    const reason = finishReasonOf(said);
    if (reason === null) return broken(`the upstream gave the request up (${said})`).fault;
    this.reasons[index] = reason;
    this.finished += 1;
    return null;
  }

  count({ inputTokens, outputTokens, cachedTokens }: ChunkUsage): void {
    this.usage = { inputTokens, outputTokens, cachedTokens: cachedTokens ?? 0 };
  }

  waited(queueWaitMs: number): void {
    this.queueWaitMs = queueWaitMs;
  }

  /** What an answer lacks that has ended; null when it is whole. To tell a client that a cut answer is whole would be a lie. */
  missing(facts: Pick<UpstreamFacts, 'endMark' | 'usageInStreams'>, marked: boolean): EngineFault | null {
    if (this.finished < this.choices) return broken('the upstream ended its answer in the middle').fault;
    if (facts.endMark && !marked) return broken('the upstream ended its answer without its end mark').fault;
    if (facts.usageInStreams && this.usage === null) return broken('the upstream ended its answer without its usage').fault;
    return null;
  }

  summary(upstream: string | null): RelaySummary {
    const { usage, tokens, firstTokenAtMs, lastTokenAtMs, longestGapMs, queueWaitMs, measured } = this;
    const reasons = this.reasons.filter((reason) => reason !== undefined);
    return {
      usage,
      tokens,
      finishReason: reasons.find((reason) => reason === 'length') ?? reasons.find((reason) => reason !== 'stop') ?? reasons[0] ?? null,
      firstTokenAtMs,
      lastTokenAtMs,
      longestGapMs,
      uncertainty:
        measured === 0
          ? null
          : {
              tokens: measured,
              lowerNats: this.lowerNats / measured,
              upperNats: this.upperNats / measured,
              nllNats: this.nllNats / measured,
            },
      queueWaitMs,
      upstream,
    };
  }

  private add({ measured, lowerNats, upperNats, nllNats }: SeenChoice): void {
    this.measured += measured;
    this.lowerNats += lowerNats;
    this.upperNats += upperNats;
    this.nllNats += nllNats;
  }
}
