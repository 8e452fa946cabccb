import { describe, expect, it, vi } from 'vitest';
import type { CheckName } from '#libs/base';
import { testedOptions } from '../../../test/support/judge-options.js';
import { aWindow } from '../../../test/support/observation.js';
import { normals, uniforms } from '../../../test/support/random.js';
import {
  addTo,
  bucketOf,
  emptyHistograms,
  fitScores,
  type Judgement,
  Ledger,
  type PriceInput,
  pricePlan,
  type Window,
  type WindowMetric,
} from './index.js';

vi.setConfig({ testTimeout: 60_000 });

const second = 1_000;
const errorShare = 0.005;

interface Candidate {
  readonly entropy?: number;
  readonly latency?: number;
  readonly errors?: number;
  /** What is measured beside failures; all unless given. */
  readonly metrics?: readonly WindowMetric[];
}

const centres = { entropy: [0.5, 0.45], length: [80, 0.6], ttft: [100, 0.5], interToken: [10, 0.5], total: [2_000, 0.5] } as const;
type Drawn = keyof typeof centres;

/** One second of answers of one arm: lognormal, half a percent errors. */
function answers(
  uniform: () => number,
  arm: Window['key']['arm'],
  at: number,
  n: number,
  { entropy = 1, latency = 1, errors = errorShare, metrics = Object.keys(centres) as Drawn[] }: Candidate,
): Window {
  const normal = normals(uniform);
  const histograms = emptyHistograms();
  let failed = 0;
  for (let one = 0; one < n; one += 1) {
    if (uniform() < errors) {
      failed += 1;
      continue;
    }
    for (const metric of Object.keys(centres) as Drawn[]) {
      if (!metrics.includes(metric)) continue;
      const [centre, sd] = centres[metric];
      const times = metric === 'entropy' ? entropy : metric === 'length' ? 1 : latency;
      addTo(histograms[metric], bucketOf(centre * times * Math.exp(sd * normal())));
    }
  }
  return aWindow(
    { arm, epoch: arm ? 1 : null, secondAt: at * second },
    { responses: n, units: n, errors: failed, lnTotalCount: n - failed, lnTotalSum: 1, histograms },
  );
}

const past = uniforms(1);
const scores = fitScores(
  Array.from({ length: 300 }, (_, at) => answers(past, null, at, 10, {})),
  { minResponses: 500, minPerClass: 500 },
);
const { checks, promotion, alpha } = testedOptions();
const step = { minS: 300, minResponses: 50, deadlineS: 86_400 };

function input(more: Partial<PriceInput> = {}): PriceInput {
  return {
    steps: [1, 5, 25, 50].map((weightPct) => ({ ...step, weightPct })),
    checks,
    alpha,
    promotion,
    reference: { minResponses: 500 },
    scores,
    rates: { chat: 10 },
    errorShare,
    refusalShare: 0.002,
    ...more,
  };
}

interface Simulated {
  readonly weightPct: number;
  readonly candidate: Candidate;
  readonly reached: (judgement: Judgement) => boolean;
  readonly runs: number;
  readonly everyS?: number;
}

/** Median seconds, over runs, until the judgement of the product says what was asked, at ten requests a second. */
function simulated({ weightPct, candidate, reached, runs, everyS = 1 }: Simulated): number {
  const gated = testedOptions({
    epochs: [{ epoch: 1, weight: weightPct / 100, since: 0 }],
    scores,
    promotion: { ...promotion, gating: ['entropy', 'errors', 'latency'] },
  });
  const times = Array.from({ length: runs }, (_, run) => {
    const uniform = uniforms(weightPct * 1_000 + run);
    const ledger = new Ledger();
    for (let at = 0; at < 6_000; at += 1) {
      let n = 0;
      for (let one = 0; one < 10; one += 1) if (uniform() < weightPct / 100) n += 1;
      const { metrics } = candidate;
      ledger.add([answers(uniform, 'stable', at, 10 - n, metrics ? { metrics } : {}), answers(uniform, 'candidate', at, n, candidate)]);
      if (at % everyS === 0 && reached(ledger.judge({ ...gated, now: at * second }))) return at;
    }
    return Number.POSITIVE_INFINITY;
  });
  return times.sort((a, b) => a - b)[(runs - 1) / 2] ?? Number.NaN;
}

const rolledBack = ({ combined }: Judgement): boolean => combined.logE >= combined.threshold;
const proven =
  (check: string) =>
  (judgement: Judgement): boolean =>
    judgement.promotion.some((proof) => proof.check === check && proof.proven);

describe('the price of a plan', () => {
  const alone = (weightPct: number, check: CheckName, effect = 1) =>
    pricePlan(input({ steps: [{ ...step, weightPct }], effects: { [check]: [effect] } })).checks.find((one) => one.check === check);

  it.each<[CheckName, number, number, Candidate, number, number]>([
    ['entropy', 0.3, 25, { entropy: 1.3, metrics: ['entropy'] }, 41, 1],
    ['entropy', -0.3, 50, { entropy: 0.7, metrics: ['entropy'] }, 41, 1],
    ['errors', 0.05, 25, { errors: errorShare + 0.05, metrics: [] }, 61, 2],
    ['latency', 0.5, 50, { latency: 1.5, metrics: ['total'] }, 9, 15],
  ])('of %s off by %s at %i% is what the judgement takes', (check, effect, weightPct, candidate, runs, everyS) => {
    const seconds = alone(weightPct, check, effect)?.rollback[0]?.steps[0]?.seconds ?? Number.NaN;
    const median = simulated({ weightPct, candidate, reached: rolledBack, runs, everyS });
    expect(Math.abs(Math.log(seconds / median))).toBeLessThan(Math.log(1.25));
  });

  it.each<[CheckName, number, Candidate, number, number]>([
    ['entropy', 25, { metrics: ['entropy'] }, 41, 2],
    ['errors', 25, { metrics: [] }, 31, 5],
    ['latency', 50, { metrics: ['total'] }, 9, 30],
  ])('of proving %s at %i% is what the judgement takes', (check, weightPct, candidate, runs, everyS) => {
    const seconds = alone(weightPct, check)?.proof?.[0]?.seconds ?? Number.NaN;
    const median = simulated({ weightPct, candidate, reached: proven(check), runs, everyS });
    expect(Math.abs(Math.log(seconds / median))).toBeLessThan(Math.log(1.25));
  });

  it('goes through the steps: what was proven in one is proven in the next', () => {
    const price = pricePlan(input());
    expect(price.problems).toEqual([]);
    const [first, ...rest] = price.steps;
    expect(first?.expectedS).toBeGreaterThan(2_000);
    expect(rest.map(({ expectedS }) => expectedS)).toEqual([300, 300, 300]);
    expect(price.total?.seconds).toBeCloseTo((first?.expectedS ?? 0) + 900, 6);
    expect(price.steps[0]).toMatchObject({ candidatePerS: 0.1, untilDeadline: 8_640 });
    const entropy = price.checks.find(({ check }) => check === 'entropy');
    // Fewer seconds and more candidate answers with more weight.
    const costs = entropy?.proof?.map((cost) => cost ?? { seconds: 0, responses: 0 }) ?? [];
    for (const [at, cost] of costs.slice(1).entries()) {
      expect(cost.seconds).toBeLessThan(costs[at]?.seconds ?? 0);
      expect(cost.responses).toBeGreaterThan(costs[at]?.responses ?? 0);
    }
  });

  it('names the least effect that each step can decide on, in the direction of harm', () => {
    const { checks: priced } = pricePlan(input());
    for (const { check, detectable } of priced) {
      for (const effect of detectable) expect(check === 'quality' ? -(effect ?? 0) : effect).toBeGreaterThan(0);
    }
    const entropy = priced.find(({ check }) => check === 'entropy')?.detectable ?? [];
    expect(entropy.every((effect) => (effect ?? 0) > 0.1 && (effect ?? 1) < 0.2)).toBe(true);
    const rare = pricePlan(input({ rates: { chat: 0.1 } })).checks.find(({ check }) => check === 'entropy')?.detectable ?? [];
    expect(rare[0]).toBeGreaterThan(entropy[0] ?? 1);
  });

  const codes = (more: Partial<PriceInput>) =>
    pricePlan(input(more)).problems.map(({ code, check, step: at }) => [code, check, at].join(' '));
  const steps = (weightPcts: readonly number[], deadlineS = 86_400) => weightPcts.map((weightPct) => ({ ...step, weightPct, deadlineS }));

  it('says what a plan cannot do, with a remedy', () => {
    expect(codes({ rates: {} })).toEqual(['no-traffic  ']);
    expect(codes({ scores: null })).toEqual(['reference-thin  ']);
    expect(codes({ steps: steps([1, 5]) })).toEqual(['tails-never latency ']);
    expect(codes({ steps: steps([5, 50], 300) })).toContain('proof-late entropy 0');
    const hurried = codes({ steps: steps([5, 50], 200) });
    expect(hurried).toContain('blocks-few latency ');
    expect(codes({ rates: { chat: 0.0002 } })).toContain('blind entropy ');
    expect(codes({ checks: { ...checks, latency: { ...checks.latency, settleS: 2 } } })).toEqual(['settle-short latency ']);
    for (const { message, remedy } of pricePlan(input({ steps: steps([5, 50], 200) })).problems) {
      expect(message).not.toMatch(/NaN|Infinity|undefined/);
      expect(remedy).toMatch(/^[A-Z].*\.$/);
    }
  });

  it('never ends where a proof is late, and says nothing of a step without stable', () => {
    expect(pricePlan(input({ steps: steps([5, 50], 200) })).total).toBeNull();
    const last = pricePlan(input({ steps: [...steps([50]), { ...step, weightPct: 100 }] }));
    expect(last.steps[1]).toMatchObject({ candidatePerS: 0, expectedS: 300 });
    expect(last.checks.every(({ detectable, rollback }) => detectable[1] === null && rollback.every((one) => one.steps[1] === null))).toBe(
      true,
    );
  });
});
