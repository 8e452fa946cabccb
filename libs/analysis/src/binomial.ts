// A share of events of one arm alone against a fixed bound: the likelihood ratio of larger shares, averaged.
import { logMeanExp } from './mixture.js';

/** Alternatives: how many times the bound's odds the share's are. */
export const oddsRatios: readonly number[] = [1.5, 2, 3, 5, 10, 30, 100];

/**
 * ln of the e-value that events come more often than `share` of all, whatever `share` 0 < share < 1 is: the mean over odds ratios of
 * PROD p_R(x) / share(x). At most 1 in expectation while each outcome's chance given those before it is at most `share`.
 */
export function binomialLogE(events: number, all: number, share: number): number {
  const odds = share / (1 - share);
  return logMeanExp(
    oddsRatios.map((ratio) => {
      const chance = (ratio * odds) / (1 + ratio * odds);
      return events * Math.log(chance / share) + (all - events) * Math.log((1 - chance) / (1 - share));
    }),
  );
}
