// How many answers or blocks each test is expected to take: medians, by formulas that were held against simulations of the tests themselves.
import { blockBets, leastPerArm } from './block-sign.js';
import { betShares, eventRatios } from './event-ratio.js';
import { labelIncrement } from './label.js';
import { step, type TailShare } from './step.js';

/** What the mixture over the grid costs, in nats of evidence: of a tilt (one direction, both at once for a proof), of steps and events. */
const mixtureNats = { tilt: 1.5, bothProofs: 2.5, events: 0.4, step: 1.2, rates: 0.7, blocks: 1 };

/** Candidate answers until a tilt reaches `logNeeded`: 2 (ln(1/alpha) + 1.5) sd^2 / (D^2 (1 - w)), at least what one label can tell. */
export function tiltResponses(
  {
    logNeeded,
    distance,
    sd,
    weight,
  }: { readonly logNeeded: number; readonly distance: number; readonly sd: number; readonly weight: number },
  sides: 'one' | 'both' = 'one',
): number {
  if (distance <= 0) return Number.POSITIVE_INFINITY;
  const cost = sides === 'one' ? mixtureNats.tilt : mixtureNats.bothProofs;
  const normal = (2 * (logNeeded + cost) * sd ** 2) / (distance ** 2 * (1 - weight));
  return Math.max(normal, logNeeded / Math.log(1 / weight), 1);
}

export interface Rates {
  readonly logNeeded: number;
  /** Share of answers with the event, stable then candidate. */
  readonly stable: number;
  readonly candidate: number;
  readonly weight: number;
}

/** Candidate answers until the event ratio test reaches `logNeeded` against "at most `ratio` times stable's rate". Infinite when it drifts downwards. */
export function eventResponses({ logNeeded, stable, candidate, weight }: Rates, ratio: number): number {
  const nullOdds = (ratio * weight) / (1 - weight);
  return fastest(
    eventRatios.map((alternative) => {
      const odds = nullOdds * alternative;
      const growth =
        candidate * Math.log(((odds / (1 + odds)) * (1 + nullOdds)) / nullOdds) +
        ((stable * (1 - weight)) / weight) * Math.log((1 + nullOdds) / (1 + odds));
      return (logNeeded + mixtureNats.events) / growth;
    }),
  );
}

/** Candidate answers until the step test reaches `logNeeded`; rates are shares above each arm's threshold. */
export function stepResponses({ logNeeded, stable, candidate, weight }: Rates, tailShare: TailShare): number {
  const score = step(1, tailShare);
  return fastest(
    score.grid(1).map((rho) => {
      const [under, over] = [score.logR(1, rho, -1), score.logR(1, rho, 1)];
      const mean = (arm: 0 | 1, share: number): number =>
        share * labelIncrement(arm, weight, over) + (1 - share) * labelIncrement(arm, weight, under);
      const growth = mean(1, candidate) + ((1 - weight) / weight) * mean(0, stable);
      return (logNeeded + mixtureNats.step) / growth;
    }),
  );
}

/** Candidate answers until a candidate with stable's own rate is proven to have less than stable's plus `margin`. */
export function rateProofResponses({ logNeeded, stable, candidate, weight }: Rates, margin: number): number {
  const [event, other] = [margin - 1 / weight, margin + 1 / (1 - weight)];
  return fastest(
    betShares.map((share) => {
      const bet = share / -event;
      const growth =
        weight * (candidate * Math.log1p(bet * event) + (1 - candidate) * Math.log1p(bet * margin)) +
        (1 - weight) * (stable * Math.log1p(bet * other) + (1 - stable) * Math.log1p(bet * margin));
      return (weight * (logNeeded + mixtureNats.rates)) / growth;
    }),
  );
}

/** Blocks until their signs reach `logNeeded`, when each has the wanted sign with chance `won` and the other with chance `lost`. */
export function blocksNeeded(logNeeded: number, won: number, lost: number): number {
  return fastest(blockBets.map((bet) => (logNeeded + mixtureNats.blocks) / (won * Math.log1p(bet) + lost * Math.log1p(-bet))));
}

/** Seconds between the ends of two blocks: whole lengths until each arm is likely to have its 5 answers. */
export function blockSeconds(blockS: number, weight: number, perS: number): number {
  const rarest = Math.min(weight, 1 - weight) * perS;
  return rarest > 0 ? blockS * Math.max(1, Math.ceil(leastPerArm / (rarest * blockS))) : Number.POSITIVE_INFINITY;
}

/** Chance that a block's mean ln of the candidate lies above stable's: `distance` beyond the margin, `sd` of single answers. */
export function centreChance({
  distance,
  sd,
  candidates,
  stables,
}: {
  distance: number;
  sd: number;
  candidates: number;
  stables: number;
}): number {
  return normalBelow(distance / (sd * Math.sqrt(1 / candidates + 1 / stables)));
}

/** Chances that the candidate's share above its edge is the larger, or the smaller, in a block. */
export function tailChances(
  candidates: number,
  candidateShare: number,
  stables: number,
  stableShare: number,
): { readonly larger: number; readonly smaller: number } {
  const [mine, other] = [poisson(candidates * candidateShare), poisson(stables * stableShare)];
  let [larger, smaller] = [0, 0];
  mine.forEach((chance, count) => {
    other.forEach((otherChance, otherCount) => {
      const difference = count * stables - otherCount * candidates;
      if (difference > 0) larger += chance * otherChance;
      if (difference < 0) smaller += chance * otherChance;
    });
  });
  return { larger, smaller };
}

/** Share of a lognormal above the threshold of its (1 - `share`) quantile times `margin`, when all is multiplied by `ratio`. */
export function shareAbove(
  share: number,
  { sd, ratio, margin }: { readonly sd: number; readonly ratio: number; readonly margin: number },
): number {
  return 1 - normalBelow(normalQuantile(1 - share) + (Math.log(margin) - Math.log(ratio)) / sd);
}

/** Chances of 0, 1, 2 ... events; beyond eight standard deviations there is nothing. */
function poisson(mean: number): number[] {
  const most = Math.ceil(mean + 8 * Math.sqrt(mean) + 8);
  const chances: number[] = [];
  let logChance = -mean;
  for (let count = 0; count <= most; count += 1) {
    chances.push(Math.exp(logChance));
    logChance += Math.log(mean) - Math.log(count + 1);
  }
  return chances;
}

/** The least of what is positive and finite; infinite when nothing is. */
function fastest(all: readonly number[]): number {
  return Math.min(Number.POSITIVE_INFINITY, ...all.filter((one) => one > 0 && Number.isFinite(one)));
}

/** Standard normal distribution (Abramowitz & Stegun 26.2.17, error below 1e-7). */
export function normalBelow(z: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(z));
  const series = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  const above = (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * series;
  return z >= 0 ? 1 - above : above;
}

function normalQuantile(p: number): number {
  let [low, high] = [-10, 10];
  while (high - low > 1e-9) {
    const middle = (low + high) / 2;
    if (normalBelow(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
