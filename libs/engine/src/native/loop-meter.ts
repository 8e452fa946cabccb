// What the loop measures of itself: rates that forget with a half-life of five seconds, so that an idle engine does not look busy.

const halfLifeMs = 5_000;

/** A sum that decays; `perS` is the rate it stands for. */
class DecayingSum {
  private sum = 0;
  private atMs = 0;

  add(value: number, nowMs: number): void {
    this.sum = this.at(nowMs) + value;
    this.atMs = nowMs;
  }

  at(nowMs: number): number {
    return this.sum * 2 ** (-(nowMs - this.atMs) / halfLifeMs);
  }

  /** The steady rate per second whose decaying sum is this one. */
  perS(nowMs: number): number {
    return (this.at(nowMs) * Math.LN2 * 1000) / halfLifeMs;
  }
}

export class LoopMeter {
  private steps = 0;
  private readonly input = new DecayingSum();
  private readonly output = new DecayingSum();
  private readonly inBatch = new DecayingSum();
  private readonly possible = new DecayingSum();
  private readonly waits = new DecayingSum();
  private readonly starts = new DecayingSum();

  /** `inBatch` sequences had a token in the step, of `possible` that ran or waited for a place, at most the slots. */
  step(nowMs: number, counts: { inputTokens: number; outputTokens: number; inBatch: number; possible: number }): void {
    this.steps += 1;
    this.input.add(counts.inputTokens, nowMs);
    this.output.add(counts.outputTokens, nowMs);
    this.inBatch.add(counts.inBatch, nowMs);
    this.possible.add(counts.possible, nowMs);
  }

  started(nowMs: number, queueWaitMs: number): void {
    this.waits.add(queueWaitMs, nowMs);
    this.starts.add(1, nowMs);
  }

  read(nowMs: number): {
    queueWaitMs: number | null;
    occupancy: number | null;
    inputTokensPerS: number | null;
    outputTokensPerS: number | null;
  } {
    const starts = this.starts.at(nowMs);
    const possible = this.possible.at(nowMs);
    const measured = this.steps > 0;
    return {
      queueWaitMs: starts > 0.01 ? this.waits.at(nowMs) / starts : null,
      occupancy: possible > 0.01 ? this.inBatch.at(nowMs) / possible : null,
      inputTokensPerS: measured ? this.input.perS(nowMs) : null,
      outputTokensPerS: measured ? this.output.perS(nowMs) : null,
    };
  }
}
