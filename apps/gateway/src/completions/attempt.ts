// One try at one version: tokens into the answer, what happened into a measurement. It decides nothing about retries.

import type { RequestOutcome } from '#libs/analysis';
import type { Clock } from '#libs/base';
import { EngineError, type EngineFault, type GenerateRequest, type InferenceEngine, type Usage } from '#libs/engine';
import type { EndState } from '../observe/end-state.js';
import type { Client } from '../relay/client.js';
import type { Answer } from './answer.js';
import type { Deadlines, Limits } from './deadlines.js';
import { failureOf } from './failure.js';
import { generateAll } from './fan-out.js';
import { type Measured, Measurement } from './measurement.js';

/** What a try left behind. */
export interface Attempt extends Measured {
  /** In which the request is if nobody tries again. */
  readonly state: EndState;
  readonly outcome: RequestOutcome | 'refused';
  readonly fault: EngineFault | null;
  readonly usage: Usage | null;
  readonly queueWaitMs: number | null;
  /** When it was the version's turn, and when that had said its last: what lies outside is the gateway's own time. Monotonic. */
  readonly turnAtMs: number;
  readonly overAtMs: number;
}

export interface AttemptInput {
  readonly engine: InferenceEngine;
  /** One for each prompt. */
  readonly requests: readonly GenerateRequest[];
  /** Answers over all requests. */
  readonly choices: number;
  readonly answer: Answer;
  readonly client: Client;
  readonly deadlines: Deadlines;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly startedAtMs: number;
}

/** Never rejects for what engines and clients do; each ending is a state. */
export async function attempt(input: AttemptInput): Promise<Attempt> {
  const { engine, requests, answer, client, clock } = input;
  const abort = new AbortController();
  client.whenLeft(() => abort.abort());
  const watch = input.deadlines.watch(input.limits, () => abort.abort());
  const measurement = new Measurement(input.startedAtMs);
  const turnAtMs = clock.monotonicMs();
  const failed = (fault: EngineFault): Attempt => ({
    usage: null,
    queueWaitMs: null,
    turnAtMs,
    overAtMs: clock.monotonicMs(),
    ...measurement.read(),
    ...failureOf({ fault, left: client.left, expired: watch.expired, begun: client.begun, reached: true }),
  });
  try {
    for await (const event of generateAll(engine, requests, abort.signal)) {
      if (event.type === 'token') {
        measurement.token(event, clock.monotonicMs());
        // While the client does not read, the version owes no token.
        watch.pause();
        await answer.token(event);
        watch.token();
      } else if (event.type === 'finish') {
        watch.token();
        measurement.finish(event.choice, event.finishReason);
        answer.finish(event.choice, event.finishReason);
      } else if (measurement.finished === input.choices) {
        const overAtMs = clock.monotonicMs();
        answer.end(event.usage);
        const { usage, queueWaitMs } = event;
        return { state: 'ok', outcome: 'ok', fault: null, ...measurement.read(), usage, queueWaitMs, turnAtMs, overAtMs };
      } else break;
    }
    return failed({ code: 'engine.crashed', message: 'the engine stopped in the middle of its answer', retryable: true });
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    return failed(error.fault);
  } finally {
    watch.done();
    client.whenLeft(null);
  }
}
