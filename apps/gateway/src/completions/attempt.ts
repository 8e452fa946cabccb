// One try at one version: tokens into the answer, what happened into a measurement. It decides nothing about retries.

import type { RequestOutcome } from '#libs/analysis';
import type { Clock } from '#libs/base';
import { EngineError, type EngineFault, type GenerateRequest, type InferenceEngine, type Usage } from '#libs/engine';
import type { Answer } from './answer.js';
import type { Deadlines, Limits } from './deadlines.js';
import { generateAll } from './fan-out.js';
import { type Measured, Measurement } from './measurement.js';

/** What a try left behind. */
export interface Attempt extends Measured {
  readonly outcome: RequestOutcome | 'refused';
  readonly fault: EngineFault | null;
  readonly usage: Usage | null;
  readonly queueWaitMs: number | null;
}

export interface AttemptInput {
  readonly engine: InferenceEngine;
  /** One for each prompt. */
  readonly requests: readonly GenerateRequest[];
  /** Answers over all requests. */
  readonly choices: number;
  readonly answer: Answer;
  readonly deadlines: Deadlines;
  readonly limits: Limits;
  /** Aborts when the client is gone. */
  readonly gone: AbortSignal;
  readonly clock: Clock;
  readonly startedAtMs: number;
}

/** Never rejects for what engines and clients do; each ending is an outcome. */
export async function attempt(input: AttemptInput): Promise<Attempt> {
  const { engine, requests, answer, gone, clock } = input;
  const abort = new AbortController();
  const leave = (): void => abort.abort();
  if (gone.aborted) abort.abort();
  gone.addEventListener('abort', leave, { once: true });
  const watch = input.deadlines.watch(abort, input.limits);
  const measurement = new Measurement(input.startedAtMs);
  const left = (outcome: Attempt['outcome'], rest: Partial<Attempt>): Attempt => ({
    outcome,
    fault: null,
    usage: null,
    queueWaitMs: null,
    ...measurement.read(),
    ...rest,
  });
  try {
    for await (const event of generateAll(engine, requests, abort.signal)) {
      watch.token();
      if (event.type === 'token') {
        measurement.token(event, clock.monotonicMs());
        await answer.token(event);
      } else if (event.type === 'finish') {
        measurement.finish(event.choice, event.finishReason);
        answer.finish(event.choice, event.finishReason);
      } else if (measurement.finished === input.choices) {
        answer.end(event.usage);
        return left('ok', { usage: event.usage, queueWaitMs: event.queueWaitMs });
      } else break;
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
