// One question to a judge: its reply, or why there is none. Cancelled like a mirror when users wait.
import { EngineError, type GenerateRequest, type InferenceEngine } from '#libs/engine';
import type { Deadlines } from '../completions/deadlines.js';
import { scoreOf } from './question.js';

export const callOutcomes = [
  'scored',
  /** The judge replied something else than a grade. */
  'unreadable',
  /** The judge failed, had no room, or took too long. */
  'failed',
  /** Users waited at its engine, the table asked it no more, or the gateway stopped. */
  'cancelled',
] as const;
export type CallOutcome = (typeof callOutcomes)[number];

export interface CallEnd {
  readonly outcome: CallOutcome;
  /** In [0, 1]; null unless `scored`. */
  readonly score: number | null;
  /** Null where the engine did not tell. */
  readonly tokens: number | null;
}

const callMs = 60_000;
/** A reply that is longer is none. */
const mostReply = 256;

export class JudgementCall {
  private readonly abort = new AbortController();
  private cancelled = false;

  constructor(
    private readonly parts: { readonly engine: InferenceEngine; readonly request: GenerateRequest; readonly deadlines: Deadlines },
  ) {}

  cancel(): void {
    this.cancelled = true;
    this.abort.abort();
  }

  /** Once. Never rejects for what engines do. */
  async run(): Promise<CallEnd> {
    const { engine, request, deadlines } = this.parts;
    const watch = deadlines.watch({ totalMs: callMs, firstTokenMs: callMs }, () => this.abort.abort());
    let reply = '';
    try {
      for await (const event of engine.generate(request, this.abort.signal)) {
        if (event.type === 'token') reply += event.text;
        if (reply.length > mostReply) break;
        if (event.type !== 'end') continue;
        const score = scoreOf(reply);
        const tokens = event.usage.inputTokens + event.usage.outputTokens;
        return { outcome: score === null ? 'unreadable' : 'scored', score, tokens };
      }
      return { outcome: reply.length > mostReply ? 'unreadable' : 'failed', score: null, tokens: null };
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      return { outcome: this.cancelled ? 'cancelled' : 'failed', score: null, tokens: null };
    } finally {
      watch.done();
    }
  }
}
