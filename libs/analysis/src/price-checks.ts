// What each check of a plan costs at one weight and traffic: answers and time until it decides on an effect, and until it proves a healthy candidate.
import type { CheckName } from '#libs/base';
import { bandMargins, bandOf } from './bands.js';
import { latencyChecks, latencyShares } from './check-latency.js';
import { weightsOf } from './combination.js';
import { type FrozenScores, latencyThresholds, pooledClass } from './frozen-scores.js';
import type { CheckOptions } from './judgement.js';
import {
  blockSeconds,
  blocksNeeded,
  centreChance,
  eventResponses,
  normalBelow,
  rateProofResponses,
  shareAbove,
  stepResponses,
  tailChances,
  tiltResponses,
} from './price-formulas.js';
import type { TiltParameters } from './tilt.js';

/** One weight under today's traffic. */
export interface Setting {
  /** Of the candidate, 0 < w < 1. */
  readonly weight: number;
  /** Requests per second, both arms. */
  readonly perS: number;
}

/** Expected candidate answers and seconds; null: it is not expected ever. */
export type Cost = { readonly responses: number; readonly seconds: number } | null;

export interface PricedCheck {
  readonly check: CheckName;
  /** Its share of the rollout's alpha. */
  readonly weight: number;
  readonly unit: 'ratio' | 'points';
  /** Effects that are shown, and the farthest that is looked for. */
  readonly effects: readonly number[];
  readonly farthest: number;
  /** Rollback on a candidate that is off by `effect` (relative change, or difference of shares or scores). */
  decide(effect: number, setting: Setting): Cost;
  /** Promotion of a candidate that is as stable. Null where the check proves nothing. */
  readonly prove: ((setting: Setting) => Cost) | null;
  /** Latency alone: P95 and P99, from `tailsFromPct` on. */
  readonly proveTails?: (setting: Setting) => Cost;
}

export interface PricedPlan {
  readonly checks: CheckOptions;
  readonly alpha: number;
  readonly promotion: { readonly alpha: number };
  readonly scores: FrozenScores | null;
  /** Requests per second by prompt class. */
  readonly rates: Readonly<Record<string, number>>;
  /** Shares of stable's answers. */
  readonly errorShare: number;
  readonly refusalShare: number;
}

/** What is left of zero events in a short past: nobody's errors are none. */
const leastShare = 1e-4;

/** Enabled checks that the reference lets measure, in the order of the plan. */
export function pricedChecks(plan: PricedPlan): PricedCheck[] {
  const { checks, scores } = plan;
  const on = (check: keyof CheckOptions): boolean => (checks as Partial<CheckOptions>)[check]?.enabled === true;
  const asked: CheckName[] = [
    ...(['entropy', 'length', 'shape', 'errors', 'refusals', 'cost', 'quality'] as const).filter(on),
    ...(on('latency') ? (Object.keys(latencyChecks) as (keyof typeof latencyChecks)[]) : []),
  ];
  const weights = weightsOf(checks, asked, scores);
  const needed = (check: CheckName, share = 1): number => Math.log(1 / (plan.alpha * (weights[check] ?? 0) * share));
  const proofNeeded = Math.log(1 / plan.promotion.alpha);
  const priced: PricedCheck[] = [];
  for (const check of ['entropy', 'length'] as const) {
    const sd = on(check) && scores ? withinSd(scores[check], plan.rates) : null;
    if (sd === null) continue;
    const { up, down, expect } = checks[check];
    const band = expect === 'stable' ? null : bandOf(scores?.bands?.[check] ?? null, pooledClass);
    const held = bandMargins(band, { up, down });
    const distance = (effect: number): number =>
      effect > 0 ? Math.log1p(effect) - Math.log1p(held.up) : Math.log1p(-held.down) - Math.log1p(effect);
    priced.push({
      check,
      weight: weights[check] ?? 0,
      unit: 'ratio',
      effects: check === 'entropy' ? [0.2, -0.3, -0.9] : [1, -0.5],
      farthest: 20,
      decide: (effect, at) =>
        byResponses(tiltResponses({ logNeeded: needed(check), distance: distance(effect), sd, weight: at.weight }), at),
      prove: (at) =>
        byResponses(
          tiltResponses(
            { logNeeded: proofNeeded, distance: Math.min(Math.log1p(held.up), -Math.log1p(-held.down)), sd, weight: at.weight },
            'both',
          ),
          at,
        ),
    });
  }
  if (on('errors')) priced.push(eventPrice('errors', plan.errorShare, checks.errors));
  if (on('refusals')) priced.push(eventPrice('refusals', plan.refusalShare, checks.refusals));
  // Outside P1 to P99 lie two answers of a hundred of stable's, one on each side: each side is a test of its own.
  if (on('shape') && scores?.shape && Object.keys(scores.shape).length > 0)
    priced.push({ ...eventPrice('shape', 0.01, checks.shape, 1 / 3), prove: null });
  const costSd = on('cost') && scores?.cost ? withinSd(scores.cost, plan.rates) : null;
  if (costSd !== null) {
    const { up } = checks.cost;
    priced.push({
      check: 'cost',
      weight: weights.cost ?? 0,
      unit: 'ratio',
      effects: [1],
      farthest: 20,
      decide: (effect, at) =>
        byResponses(
          tiltResponses({ logNeeded: needed('cost'), distance: Math.log1p(effect) - Math.log1p(up), sd: costSd, weight: at.weight }),
          at,
        ),
      prove: null,
    });
  }
  if (on('quality')) {
    const { down, sampleStable, sampleCandidate } = checks.quality;
    const sd = scores?.quality ? (withinSd(scores.quality, plan.rates) ?? unknownQualitySd) : unknownQualitySd;
    // Only samples are scored, at another ratio of the arms.
    const scored = (logNeeded: number, distance: number, at: Setting): Cost => {
      const sampled = at.weight * sampleCandidate + (1 - at.weight) * sampleStable;
      if (sampled === 0 || sampleCandidate === 0) return null;
      const weight = (at.weight * sampleCandidate) / sampled;
      return byResponses(tiltResponses({ logNeeded, distance, sd, weight }) / sampleCandidate, at);
    };
    priced.push({
      check: 'quality',
      weight: weights.quality ?? 0,
      unit: 'points',
      effects: [-0.05, -0.1],
      farthest: -1,
      decide: (effect, at) => scored(needed('quality'), -effect - down, at),
      prove: (at) => scored(proofNeeded, down, at),
    });
  }
  if (on('latency')) for (const check of Object.keys(latencyChecks) as (keyof typeof latencyChecks)[]) priced.push(...latencyPrice(check));
  return priced;

  function eventPrice(
    check: 'errors' | 'refusals' | 'shape',
    stableShare: number,
    options: { readonly ratio: number; readonly proofMargin?: number },
    share = 1,
  ): PricedCheck {
    const stable = Math.max(leastShare, stableShare);
    const { ratio, proofMargin } = options;
    return {
      check,
      weight: weights[check] ?? 0,
      unit: 'points',
      effects: [0.02, 0.05, 0.2],
      farthest: 1 - stable,
      decide: (effect, at) =>
        byResponses(
          eventResponses({ logNeeded: needed(check, share), stable, candidate: Math.min(1, stable + effect), weight: at.weight }, ratio),
          at,
        ),
      prove:
        proofMargin === undefined
          ? null
          : (at) =>
              byResponses(rateProofResponses({ logNeeded: proofNeeded, stable, candidate: stable, weight: at.weight }, proofMargin), at),
    };
  }

  function latencyPrice(check: keyof typeof latencyChecks): PricedCheck[] {
    const thresholds = scores ? latencyThresholds(scores, latencyChecks[check]) : null;
    if (!thresholds?.p50Ms || !thresholds.p95Ms) return [];
    const { margin, gross, proofMargin, proofBlocks, blockS, settleS } = checks.latency;
    const sd = Math.max(0.05, Math.log(thresholds.p95Ms / thresholds.p50Ms) / 1.645);
    const inBlock = ({ weight, perS }: Setting, seconds: number) => ({
      candidates: weight * perS * seconds,
      stables: (1 - weight) * perS * seconds,
    });
    const byBlocks = (blocks: number, seconds: number, at: Setting): Cost =>
      Number.isFinite(blocks * seconds)
        ? { responses: blocks * seconds * at.weight * at.perS, seconds: Math.ceil(blocks) * seconds + settleS }
        : null;
    const tails = (share: number, ratio: number, by: number, at: Setting, seconds: number): { larger: number; smaller: number } => {
      const { candidates, stables } = inBlock(at, seconds);
      return tailChances(candidates, shareAbove(share, { sd, ratio, margin: 1 + by }), stables, share);
    };
    return [
      {
        check,
        weight: weights[check] ?? 0,
        unit: 'ratio',
        effects: [0.5, 1],
        farthest: 20,
        decide: (effect, at) => {
          const seconds = blockSeconds(blockS, at.weight, at.perS);
          const won = centreChance({ distance: Math.log1p(effect) - Math.log1p(margin), sd, ...inBlock(at, seconds) });
          const blocks = byBlocks(blocksNeeded(needed(check, latencyShares.block), won, 1 - won), seconds, at);
          const single = byResponses(
            stepResponses(
              {
                logNeeded: needed(check, latencyShares.gross),
                stable: 0.01,
                candidate: shareAbove(0.01, { sd, ratio: 1 + effect, margin: 1 + gross }),
                weight: at.weight,
              },
              0.01,
            ),
            at,
          );
          return sooner(blocks, single);
        },
        prove: (at) => {
          const seconds = blockSeconds(blockS, at.weight, at.perS);
          const won = centreChance({ distance: Math.log1p(proofMargin), sd, ...inBlock(at, seconds) });
          return byBlocks(Math.max(proofBlocks, blocksNeeded(proofNeeded, won, 1 - won)), seconds, at);
        },
        proveTails: (at) => {
          const seconds = blockSeconds(2 * blockS, at.weight, at.perS);
          const needs = [0.05, 0.01].map((share) => {
            const { larger, smaller } = tails(share, 1, proofMargin, at, seconds);
            return blocksNeeded(proofNeeded, smaller, larger);
          });
          return byBlocks(Math.max(...needs), seconds, at);
        },
      },
    ];
  }
}

/** A guess where no answer was ever scored. */
const unknownQualitySd = 0.25;

function byResponses(responses: number, { weight, perS }: Setting): Cost {
  const seconds = responses / (weight * perS);
  return Number.isFinite(seconds) ? { responses, seconds } : null;
}

function sooner(a: Cost, b: Cost): Cost {
  if (!a || !b) return a ?? b;
  return a.seconds <= b.seconds ? a : b;
}

/** Spread within classes as the test meets it: answers of each class weigh 1 / sd^2. Null without a fit. */
function withinSd(fits: Readonly<Record<string, TiltParameters>>, rates: Readonly<Record<string, number>>): number | null {
  const pool = fits[pooledClass];
  if (!pool) return null;
  let [all, precision] = [0, 0];
  for (const [promptClass, rate] of Object.entries(rates)) {
    const sd = (Object.hasOwn(fits, promptClass) ? fits[promptClass] : pool)?.sd ?? pool.sd;
    all += rate;
    precision += rate / sd ** 2;
  }
  return all > 0 ? Math.sqrt(all / precision) : pool.sd;
}

/** For the note on settling: share of answers that take longer than this, by the middle and P95 of a lognormal. */
export function shareSlowerThan(ms: number, { p50Ms, p95Ms }: { readonly p50Ms: number; readonly p95Ms: number }): number {
  const sd = Math.max(0.05, Math.log(p95Ms / p50Ms) / 1.645);
  return 1 - normalBelow(Math.log(ms / p50Ms) / sd);
}
