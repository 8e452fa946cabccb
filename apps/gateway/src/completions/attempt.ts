// One try at one version: tokens into the answer, what happened into a measurement. It decides nothing about retries.

import type { RequestOutcome } from '#libs/analysis';
import type { Clock } from '#libs/base';
import { EngineError, type EngineFault, type GenerateRequest, type InferenceEngine, type Usage } from '#libs/engine';
import { type FinishReason, type OpenAiError, openAiError } from '#libs/openai';
import type { Answer } from './answer.js';
import type { Deadlines } from './deadlines.js';

/** What a try left behind. Times in milliseconds since the request was assigned, entropy and NLL in nats. */
export interface Attempt {
  readonly outcome: RequestOutcome | 'refused';
  readonly fault: EngineFault | null;
  readonly finishReason: FinishReason | null;
  readonly usage: Usage | null;
  readonly queueWaitMs: number | null;
  readonly ttftMs: number | null;
  readonly interTokenMs: number | null;
  readonly tokens: number;
  readonly entropyMeanNats: number | null;
  readonly entropyMaxNats: number | null;
  readonly nllMeanNats: number | null;
}

export interface AttemptInput {
  readonly engine: InferenceEngine;
  readonly request: GenerateRequest;
  readonly answer: Answer;
  readonly deadlines: Deadlines;
  /** Aborts when the client is gone. */
  readonly gone: AbortSignal;
  readonly clock: Clock;
  readonly startedAtMs: number;
}

/** Never rejects for what engines and clients do; each ending is an outcome. */
export async function attempt({ engine, request, answer, deadlines, gone, clock, startedAtMs }: AttemptInput): Promise<Attempt> {
  const abort = new AbortController();
  const leave = (): void => abort.abort();
  if (gone.aborted) abort.abort();
  gone.addEventListener('abort', leave, { once: true });
  const watch = deadlines.watch(abort);
  let firstAtMs: number | null = null;
  let lastAtMs = startedAtMs;
  let tokens = 0;
  let measured = 0;
  let entropySum = 0;
  let entropyMax = 0;
  let nllSum = 0;
  let finishReason: FinishReason | null = null;
  const left = (outcome: Attempt['outcome'], rest: Partial<Attempt>): Attempt => ({
    outcome,
    fault: null,
    finishReason: null,
    usage: null,
    queueWaitMs: null,
    ttftMs: firstAtMs === null ? null : firstAtMs - startedAtMs,
    interTokenMs: firstAtMs !== null && tokens > 1 ? (lastAtMs - firstAtMs) / (tokens - 1) : null,
    tokens,
    entropyMeanNats: measured > 0 ? entropySum / measured : null,
    entropyMaxNats: measured > 0 ? entropyMax : null,
    nllMeanNats: measured > 0 ? nllSum / measured : null,
    ...rest,
  });
  try {
    for await (const event of engine.generate(request, abort.signal)) {
      watch.token();
      if (event.type === 'finish') {
        finishReason = event.finishReason;
        continue;
      }
      if (event.type === 'end') {
        answer.end(finishReason ?? 'stop', event.usage);
        return left('ok', { finishReason, usage: event.usage, queueWaitMs: event.queueWaitMs });
      }
      lastAtMs = clock.monotonicMs();
      firstAtMs ??= lastAtMs;
      tokens += 1;
      if (event.uncertainty.kind === 'exact') {
        measured += 1;
        entropySum += event.uncertainty.entropyNats;
        entropyMax = Math.max(entropyMax, event.uncertainty.entropyNats);
        nllSum += event.uncertainty.nllNats;
      }
      if (event.text !== '') await answer.text(event.text);
    }
    const fault: EngineFault = { code: 'engine.crashed', message: 'the engine stopped in the middle of its answer', retryable: true };
    return left('error', { fault });
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    const { fault } = error;
    if (gone.aborted) return left('clientGone', { fault });
    if (watch.expired || fault.code === 'engine.timeout') {
      return left('timeout', { fault: { code: 'engine.timeout', message: 'the version did not answer in time', retryable: true } });
    }
    return left(outcomeOf(fault), { fault });
  } finally {
    watch.done();
    gone.removeEventListener('abort', leave);
  }
}

/** Whose failure it is: `shed` is load, `refused` is the request's own fault; neither is held against the version. */
function outcomeOf(fault: EngineFault): Attempt['outcome'] {
  switch (fault.code) {
    case 'engine.overloaded':
      return 'shed';
    case 'engine.bad-request':
    case 'engine.context-overflow':
      return 'refused';
    default:
      return 'error';
  }
}

/** A fault as clients see it. Reasons of engines stay in our log: they may name files. */
export function clientError(fault: EngineFault): OpenAiError {
  switch (fault.code) {
    case 'engine.overloaded':
      return openAiError('overloaded', 'The model has more requests than it can take. Try again in a moment.', { retryAfterS: 1 });
    case 'engine.context-overflow':
      return openAiError('context_length_exceeded', `${fault.message}. Send a shorter conversation or ask for fewer tokens.`, {
        param: 'messages',
      });
    case 'engine.bad-request':
      return openAiError('invalid_value', `The model refused the request: ${fault.message}.`);
    case 'engine.timeout':
      return openAiError('timeout', 'The model did not answer in time.');
    case 'engine.not-loaded':
    case 'engine.load-failed':
      return openAiError('model_not_ready', 'The model is not ready. Try again in a moment.', { retryAfterS: 2 });
    default:
      return openAiError('engine_failed', 'The model failed while it answered. Try again.');
  }
}
