// Rare events (errors, timeouts): rollback by the label of each event, promotion by a bounded bet on the difference of rates.
import type { Sign } from './label.js';
import { logMeanExp } from './mixture.js';

/** Alternatives: how many times more (or less) often than the margin the candidate errs. */
export const eventRatios: readonly number[] = [1.5, 2, 3, 5, 10, 30, 100, 1000];

export interface EpochEvents {
  readonly weight: number;
  readonly stable: number;
  readonly candidate: number;
}

/**
 * ln of the e-value that the candidate's event rate exceeds `ratio` x stable's (sign +1) or lies below it (-1). Counts of events only:
 * given an event, its label is Bernoulli with odds at most ratio x w/(1-w), whatever the base rate does over time.
 */
export function eventRatioLogE(epochs: readonly EpochEvents[], ratio = 1, sign: Sign = 1, ratios: readonly number[] = eventRatios): number {
  return logMeanExp(
    ratios.map((alternative) => {
      let sum = 0;
      for (const { weight, stable, candidate } of epochs) {
        if (weight <= 0 || weight >= 1) continue;
        const nullOdds = (ratio * weight) / (1 - weight);
        const odds = nullOdds * (sign > 0 ? alternative : 1 / alternative);
        sum += candidate * (Math.log(odds / (1 + odds)) - Math.log(nullOdds / (1 + nullOdds)));
        sum += stable * (Math.log(1 / (1 + odds)) - Math.log(1 / (1 + nullOdds)));
      }
      return sum;
    }),
  );
}

/** Shares of the largest safe bet. */
export const betShares: readonly number[] = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.6, 0.9];

export interface EpochRates {
  readonly weight: number;
  readonly stable: number;
  readonly stableEvents: number;
  readonly candidate: number;
  readonly candidateEvents: number;
}

/**
 * ln of the e-value of a bounded bet on p1 - p0 - margin > 0 (sign +1) or < 0 (sign -1), by inverse-probability weighting.
 * With sign -1 and margin d it is the promotion test: rejects "the candidate errs by d or more of all requests more often".
 */
export function rateDifferenceLogE(
  epochs: readonly EpochRates[],
  margin: number,
  sign: Sign = 1,
  shares: readonly number[] = betShares,
): number {
  return logMeanExp(
    shares.map((share) => {
      let sum = 0;
      for (const { weight, stable, stableEvents, candidate, candidateEvents } of epochs) {
        if (weight <= 0 || weight >= 1) continue;
        const quiet = sign * -margin;
        const candidateEvent = sign * (1 / weight - margin);
        const stableEvent = sign * (-1 / (1 - weight) - margin);
        const lambda = share / Math.max(1e-12, -Math.min(quiet, candidateEvent, stableEvent));
        sum += candidateEvents * Math.log1p(lambda * candidateEvent) + (candidate - candidateEvents) * Math.log1p(lambda * quiet);
        sum += stableEvents * Math.log1p(lambda * stableEvent) + (stable - stableEvents) * Math.log1p(lambda * quiet);
      }
      return sum;
    }),
  );
}
