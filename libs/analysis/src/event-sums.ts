// The two tests of rare events with their logarithms kept: a look is then multiplications and additions only. Equal to `eventRatioLogE` and `rateDifferenceLogE`.
import { betShares, type EpochEvents, type EpochRates, eventRatioLogE, eventRatios, rateDifferenceLogE } from './event-ratio.js';
import type { Sign } from './label.js';
import { logMeanExpOf } from './mixture.js';

/** ln of the e-value that the candidate's event rate exceeds `ratio` x the baseline's (sign +1) or lies below it (-1). */
export class EventRatioTest {
  /** By weight: increments of a candidate's event, then of a baseline's, by alternative. */
  private readonly increments = new Map<number, Float64Array>();

  private readonly sums: Float64Array;

  constructor(
    private readonly ratio: number,
    private readonly sign: Sign = 1,
    private readonly ratios: readonly number[] = eventRatios,
  ) {
    this.sums = new Float64Array(ratios.length);
  }

  logE(epochs: readonly EpochEvents[]): number {
    const { sums } = this;
    sums.fill(0);
    let events = 0;
    for (const { weight, stable, candidate } of epochs) {
      if (stable + candidate === 0 || weight <= 0 || weight >= 1) continue;
      events += stable + candidate;
      const increments = this.incrementsOf(weight);
      for (let at = 0; at < sums.length; at += 1) {
        sums[at] = (sums[at] ?? 0) + candidate * (increments[2 * at] ?? 0) + stable * (increments[2 * at + 1] ?? 0);
      }
    }
    return events === 0 ? 0 : logMeanExpOf(sums);
  }

  private incrementsOf(weight: number): Float64Array {
    let found = this.increments.get(weight);
    if (!found) {
      const one = (ratio: number, stable: number, candidate: number): number =>
        eventRatioLogE([{ weight, stable, candidate }], this.ratio, this.sign, [ratio]);
      found = Float64Array.from(this.ratios.flatMap((ratio) => [one(ratio, 0, 1), one(ratio, 1, 0)]));
      this.increments.set(weight, found);
    }
    return found;
  }
}

/** ln of the e-value against "the candidate has the event by `margin` of all requests more often, or more": the promotion proof. */
export class RateProof {
  /** By weight: increments of the candidate's event, its quiet answer, the baseline's event, its quiet answer, by bet. */
  private readonly increments = new Map<number, Float64Array>();

  private readonly sums = new Float64Array(betShares.length);

  constructor(private readonly margin: number) {}

  logE(epochs: readonly EpochRates[]): number {
    const { sums } = this;
    sums.fill(0);
    for (const { weight, stable, stableEvents, candidate, candidateEvents } of epochs) {
      if (stable + candidate === 0 || weight <= 0 || weight >= 1) continue;
      const increments = this.incrementsOf(weight);
      for (let at = 0; at < sums.length; at += 1) {
        const from = 4 * at;
        sums[at] =
          (sums[at] ?? 0) +
          candidateEvents * (increments[from] ?? 0) +
          (candidate - candidateEvents) * (increments[from + 1] ?? 0) +
          stableEvents * (increments[from + 2] ?? 0) +
          (stable - stableEvents) * (increments[from + 3] ?? 0);
      }
    }
    return logMeanExpOf(sums);
  }

  private incrementsOf(weight: number): Float64Array {
    let found = this.increments.get(weight);
    if (!found) {
      const one = (share: number, stable: number, stableEvents: number, candidate: number, candidateEvents: number): number =>
        rateDifferenceLogE([{ weight, stable, stableEvents, candidate, candidateEvents }], this.margin, -1, [share]);
      found = Float64Array.from(
        betShares.flatMap((share) => [one(share, 0, 0, 1, 1), one(share, 0, 0, 1, 0), one(share, 1, 1, 0, 0), one(share, 1, 0, 0, 0)]),
      );
      this.increments.set(weight, found);
    }
    return found;
  }
}
