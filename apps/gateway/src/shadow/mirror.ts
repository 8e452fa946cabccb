// One mirrored request: the candidate generates, its figures are kept, its words are dropped token by token.
import type { Clock } from '#libs/base';
import { EngineError, type EngineFaultCode, type GenerateRequest, type InferenceEngine, type Usage } from '#libs/engine';
import type { Deadlines, Limits, Watched } from '../completions/deadlines.js';
import { generateAll } from '../completions/fan-out.js';
import { Measurement } from '../completions/measurement.js';
import { type ForcedFigures, type Reading, readBoth, type UnreadReason } from './forced.js';
import type { AnswerFigures, CancelReason, MirrorOutcome } from './report.js';

export interface MirrorParts {
  readonly engine: InferenceEngine;
  readonly requests: readonly GenerateRequest[];
  /** Answers over all requests. */
  readonly choices: number;
  /** Stable's answer, for both to read before the candidate writes its own; a reason why not; null: nobody asked for it. */
  readonly reading: Reading | UnreadReason | null;
  readonly deadlines: Deadlines;
  readonly limits: Limits;
  readonly clock: Clock;
}

interface Ending {
  readonly outcome: MirrorOutcome;
  /** Code of a fault, or why it was cancelled. */
  readonly reason: string | null;
  readonly cancelledFor: CancelReason | null;
}

export interface MirrorEnd extends Ending {
  readonly forced: ForcedFigures | UnreadReason | null;
  readonly figures: AnswerFigures;
}

/** Of one pass over a prompt and its answer; what takes longer waits behind users. */
const readingMs = 30_000;

const whole: Ending = { outcome: 'ok', reason: null, cancelledFor: null };

export class Mirror {
  private readonly abort = new AbortController();
  private cancelledFor: CancelReason | null = null;
  private reading: MirrorParts['reading'];

  /** `readDone`: told when nothing of stable's answer is needed any more. */
  constructor(
    private readonly parts: MirrorParts,
    private readonly readDone: (() => void) | null = null,
  ) {
    this.reading = parts.reading;
  }

  /** The engine is told within this turn of the event loop. */
  cancel(reason: CancelReason): void {
    this.cancelledFor ??= reason;
    this.abort.abort();
  }

  /** Once. Never rejects for what engines do; each ending is an outcome. */
  async run(): Promise<MirrorEnd> {
    // First, so that stable's words are kept no longer than need be, and what is read is not lost with what is written.
    const forced = await this.read();
    this.readDone?.();
    return { ...(await this.write()), forced };
  }

  private async read(): Promise<ForcedFigures | UnreadReason | null> {
    const { reading } = this;
    this.reading = null;
    if (reading === null || typeof reading === 'string') return reading;
    const late = new AbortController();
    const watch = this.parts.deadlines.watch({ totalMs: readingMs, firstTokenMs: readingMs }, () => late.abort());
    try {
      return (await readBoth(reading, AbortSignal.any([this.abort.signal, late.signal]))) ?? 'tokenizer';
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      return this.cancelledFor === null ? 'failed' : 'cancelled';
    } finally {
      watch.done();
    }
  }

  private async write(): Promise<Omit<MirrorEnd, 'forced'>> {
    const { engine, requests, choices, deadlines, limits, clock } = this.parts;
    const startedAtMs = clock.monotonicMs();
    const measurement = new Measurement(startedAtMs);
    const watch = deadlines.watch(limits, () => this.abort.abort());
    const end = (how: Ending, usage: Usage | null): Omit<MirrorEnd, 'forced'> => {
      const measured = measurement.read();
      const inputTokens = usage?.inputTokens ?? null;
      const outputTokens = usage?.outputTokens ?? measured.tokens;
      return { ...how, figures: { ...measured, inputTokens, outputTokens, totalMs: clock.monotonicMs() - startedAtMs } };
    };
    try {
      for await (const event of generateAll(engine, requests, this.abort.signal)) {
        watch.token();
        if (event.type === 'token') measurement.token(event, clock.monotonicMs());
        else if (event.type === 'finish') measurement.finish(event.choice, event.finishReason);
        else if (measurement.finished === choices) return end(whole, event.usage);
        else break;
      }
      return end(this.failure('engine.crashed', watch), null);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      return end(this.failure(error.fault.code, watch), null);
    } finally {
      watch.done();
    }
  }

  private failure(code: EngineFaultCode, watch: Watched): Ending {
    const { cancelledFor } = this;
    if (cancelledFor !== null) return { outcome: 'cancelled', reason: cancelledFor, cancelledFor };
    if (watch.expired !== null || code === 'engine.timeout') {
      return { outcome: 'timeout', reason: watch.expired ?? code, cancelledFor };
    }
    return { outcome: code === 'engine.overloaded' ? 'refused' : 'failed', reason: code, cancelledFor };
  }
}
