// How fast an engine is, as measured, and when it will therefore be done.
import type { EngineLoad, Work } from './ask.js';
import { type StepCost, StepCostFit, type StepSample } from './step-cost.js';
import { stepsUntilTurn } from './wait-steps.js';

export interface SpeedOptions {
  /** Believed before the first step and, in its proportions, where the steps cannot tell costs apart. */
  readonly prior?: StepCost;
  /** Prompt tokens of a step that has some, before the first one. Default 256. */
  readonly priorChunkTokens?: number;
}

/** A 1-3 B parameter model on a few CPU cores: wrong elsewhere until the first steps, in whose light the scale is corrected at once. */
const smallCpu: StepCost = { stepMs: 30, sequenceMs: 3, promptTokenMs: 3 };

/** Steps after which an old one counts 1/e. */
const memory = 200;

/** What the queue asks of whoever measures. */
export interface Forecast {
  /** Until an ask behind `ahead` gets a slot. */
  waitMs(ahead: Work, load: EngineLoad): number;
  /** When an ask behind `ahead` begins and ends. Never sooner for more work ahead. */
  predict(ahead: Work, load: EngineLoad, own: Work): Prediction;
}

export interface Prediction {
  /** Until the first token is evaluated. */
  readonly waitMs: number;
  /** Until the last token is there. */
  readonly finishMs: number;
}

export class SpeedEstimate implements Forecast {
  private readonly fit: StepCostFit;
  private chunkTokens: number;
  private prefillPerStep = 0;

  constructor(options: SpeedOptions = {}) {
    this.fit = new StepCostFit(options.prior ?? smallCpu);
    this.chunkTokens = options.priorChunkTokens ?? 256;
  }

  /** Tells what one decode step held and took. Empty steps and clocks that ran backwards are ignored. */
  observe(step: StepSample): void {
    if (!(step.ms > 0) || step.prefillTokens + step.sequences <= 0) return;
    this.fit.observe(step);
    this.prefillPerStep += (step.prefillTokens - this.prefillPerStep) / memory;
    if (step.prefillTokens > 0) this.chunkTokens += (step.prefillTokens - this.chunkTokens) / 20;
  }

  /** Of prompts alone. */
  get prefillTokensPerS(): number {
    return (1000 * this.chunkTokens) / this.stepMs(0, this.chunkTokens);
  }

  /** Of that many sequences together, without prompts between. */
  decodeTokensPerS(sequences: number): number {
    return (1000 * sequences) / this.stepMs(sequences, 0);
  }

  /** Until an ask behind `ahead` gets a slot. */
  waitMs(ahead: Work, load: EngineLoad): number {
    return this.predict(ahead, load, { sequences: 1, inputTokens: 0, outputTokens: 0 }).waitMs;
  }

  /**
   * When an ask behind `ahead` begins and ends if only what is known comes before it. Once the engine is full it is taken to stay so: the
   * slots are refilled with prompts at the rate of the last steps. Never sooner for more work ahead. `own.outputTokens` is over all of its sequences.
   */
  predict(ahead: Work, load: EngineLoad, own: Work): Prediction {
    const { running } = load;
    const slots = Math.max(1, load.slots);
    const { stepMs, sequenceMs, promptTokenMs } = this.fit.cost;
    const turn = stepsUntilTurn(
      { sequences: ahead.sequences + own.sequences - 1, steps: this.steps(ahead) },
      running.map((one) => this.steps(one)),
      slots,
    );
    const together = Math.min(slots, running.length + ahead.sequences + own.sequences);
    const promptsFirst = running.reduce((sum, one) => sum + one.inputTokens, ahead.inputTokens);
    const outputFirst = running.reduce((sum, one) => sum + one.outputTokens, ahead.outputTokens);
    const waitSteps = turn === 0 ? 0 : Math.max(turn, promptsFirst / this.chunkTokens);
    // Long prompts leave few sequences to decode: no more tokens than there are.
    const waitMs =
      waitSteps * stepMs + Math.min(waitSteps * together, outputFirst) * sequenceMs + (turn === 0 ? 0 : promptsFirst * promptTokenMs);

    const outputSteps = own.outputTokens / own.sequences;
    const othersPrompts = slots > 1 ? (this.prefillPerStep * (together - 1)) / (slots - 1) : 0;
    const ownMs =
      (own.inputTokens / this.chunkTokens) * (stepMs + (together - 1) * sequenceMs) +
      own.inputTokens * promptTokenMs +
      outputSteps * (stepMs + together * sequenceMs + othersPrompts * promptTokenMs);
    return { waitMs, finishMs: waitMs + ownMs + (turn === 0 ? promptsFirst * promptTokenMs : 0) };
  }

  private stepMs(sequences: number, prefillTokens: number): number {
    const { stepMs, sequenceMs, promptTokenMs } = this.fit.cost;
    return stepMs + sequences * sequenceMs + prefillTokens * promptTokenMs;
  }

  /** In slots: a sequence evaluates its prompt chunk by chunk and then a token per step. */
  private steps(work: Work): number {
    return work.inputTokens / this.chunkTokens + work.outputTokens;
  }
}
