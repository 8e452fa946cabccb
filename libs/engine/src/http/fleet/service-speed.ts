// How long an upstream takes for a request, as measured, and when it will therefore have room: what the queue before it promises by.
import type { EngineLoad, Forecast, Prediction, Work } from '../../admission/index.js';
import { StepCostFit } from '../../admission/step-cost.js';
import { stepsUntilTurn } from '../../admission/wait-steps.js';

/** Believed before the first answer, and in its proportions where all requests are of one size. */
const prior = { stepMs: 200, sequenceMs: 1, promptTokenMs: 10 };
/** Predictions look at this many places at most: more are taken together. */
const places = 64;
/** Of an answer that already takes longer than expected. */
const leastLeft = 0.1;

/** Running requests that are taken together in a prediction. */
export function grainOf(slots: number): number {
  return Math.max(1, Math.ceil(slots / places));
}

/**
 * A request takes a fixed time and a time per token, at the concurrency at which the upstream works now: learned from whole answers by the fit
 * that the native engine uses for its steps, the last 200 counting most.
 */
export class ServiceSpeed implements Forecast {
  private readonly fit = new StepCostFit(prior);

  /** Tells what a whole answer took, from its grant to its end. */
  observe(tokens: number, ms: number): void {
    if (ms > 0) this.fit.observe({ prefillTokens: tokens, sequences: 0, ms });
  }

  /** One that was cancelled tells only that it would have taken longer. */
  observeAtLeast(tokens: number, ms: number): void {
    if (ms > this.requestMs(tokens)) this.observe(tokens, ms);
  }

  requestMs(tokens: number): number {
    const { stepMs, promptTokenMs } = this.fit.cost;
    return stepMs + promptTokenMs * tokens;
  }

  /** Of `grain` requests like one that runs since `ageMs`. */
  left(tokens: number, ageMs: number, grain: number): Work {
    const part = grain * Math.max(leastLeft, 1 - ageMs / this.requestMs(tokens));
    return { sequences: part, inputTokens: part * tokens, outputTokens: 0 };
  }

  waitMs(ahead: Work, load: EngineLoad): number {
    const grain = grainOf(load.slots);
    return stepsUntilTurn(
      { sequences: ahead.sequences / grain, steps: this.workMs(ahead) / grain },
      load.running.map((one) => this.workMs(one) / grain),
      Math.max(1, Math.ceil(load.slots / grain)),
    );
  }

  predict(ahead: Work, load: EngineLoad, own: Work): Prediction {
    const waitMs = this.waitMs(ahead, load);
    return { waitMs, finishMs: waitMs + this.workMs(own) / Math.max(1, own.sequences) };
  }

  private workMs({ sequences, inputTokens, outputTokens }: Work): number {
    const { stepMs, promptTokenMs } = this.fit.cost;
    return stepMs * sequences + promptTokenMs * (inputTokens + outputTokens);
  }
}
