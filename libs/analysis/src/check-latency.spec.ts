import { describe, expect, it, vi } from 'vitest';
import { testedOptions } from '../../../test/support/judge-options.js';
import { aWindow } from '../../../test/support/observation.js';
import { normals, uniforms } from '../../../test/support/random.js';
import {
  addTo,
  BlockCutter,
  blockSignLogE,
  bucketOf,
  centreSign,
  comparisonsOf,
  type Epoch,
  emptyHistograms,
  fitScores,
  LatencyChecks,
  type LatencyInput,
  LatencySlices,
  latencyShares,
  logScale,
  MergedCounts,
  OverCounts,
  step,
  stepLogE,
  tiltLogE,
  type Window,
} from './index.js';

const second = 1_000;
// Thousands of answers a case: slow on a busy machine, and no less true.
vi.setConfig({ testTimeout: 60_000 });

interface Traffic {
  readonly arm: Window['key']['arm'];
  readonly perS: number;
  readonly forS: number;
  /** What the candidate's tail (one answer in a hundred) is multiplied by. */
  readonly tail?: number;
  readonly ratio?: { readonly ttft?: number; readonly interToken?: number; readonly total?: number };
  readonly epoch?: number | null;
}

/** Answers of one arm by second: lognormal around 40, 8 and 300 ms. */
function traffic(uniform: () => number, { arm, perS, forS, tail = 1, ratio = {}, epoch = arm ? 1 : null }: Traffic): Window[] {
  const normal = normals(uniform);
  return Array.from({ length: forS }, (_, at) => {
    const histograms = emptyHistograms();
    const n = Math.floor(perS) + (uniform() < perS % 1 ? 1 : 0);
    for (let one = 0; one < n; one += 1) {
      const slow = uniform() < 0.02 ? tail : 1;
      const value = (centre: number, times = 1) => bucketOf(centre * times * slow * Math.exp(0.4 * normal()));
      addTo(histograms.ttft, value(40, ratio.ttft));
      addTo(histograms.interToken, value(8, ratio.interToken));
      addTo(histograms.total, value(300, ratio.total));
    }
    return aWindow({ arm, epoch, secondAt: at * second }, { responses: n, units: n, lnTotalCount: n, histograms });
  });
}

const reference = traffic(uniforms(1), { arm: null, perS: 10, forS: 500 });
const scores = fitScores(reference, { minResponses: 500, minPerClass: 500 });

function looked(windows: readonly Window[], more: Partial<LatencyInput> & { readonly weight?: number } = {}) {
  const counts = new MergedCounts();
  counts.add(windows);
  const epochs: Epoch[] = [{ epoch: 1, weight: more.weight ?? 0.5, since: 0 }];
  const input: LatencyInput = {
    options: testedOptions().checks.latency,
    epochs,
    comparisons: comparisonsOf(epochs),
    scores,
    now: 10_000 * second,
    amberLogE: Math.log(20),
    ...more,
  };
  const [ttft, interToken, latency] = new LatencyChecks(counts).look(input);
  if (!ttft || !interToken || !latency) throw new Error('three checks');
  return { ttft, interToken, latency };
}

const compared = (candidate: Partial<Traffic>, seed = 3, forS = 1_200, perS = 5) => {
  const uniform = uniforms(seed);
  return [...traffic(uniform, { arm: 'stable', perS, forS }), ...traffic(uniform, { arm: 'candidate', perS, forS, ...candidate })];
};

describe('the latency checks', () => {
  it('look at first token, tokens and whole request apart', () => {
    const { ttft, interToken, latency } = looked(compared({ ratio: { ttft: 1.5 } }));
    expect(ttft.measured.logE).toBeGreaterThan(10);
    expect(ttft.measured).toMatchObject({ check: 'ttft', direction: 'block', measured: true, unit: 'ratio', marginUp: 0.1 });
    expect(ttft.measured.effect).toBeCloseTo(0.5, 1);
    for (const calm of [interToken, latency]) expect(calm.measured.logE).toBeLessThan(0.5);
  });

  it('find a tail that grew while the centre stayed, from the weight that has enough of it', () => {
    const windows = compared({ tail: 6 }, 4, 3_600);
    const judged = looked(windows).latency.measured;
    expect(judged).toMatchObject({ direction: 'p99', note: '120 blocks of 30 s judged, 60 of 60 s for the tails' });
    expect(judged.logE).toBeGreaterThan(3);
    const light = looked(windows, { weight: 0.2, comparisons: [{ epoch: 1, weight: 0.5, baseline: 'stable' }] }).latency.measured;
    expect(light.note).toBe('120 blocks of 30 s judged');
    expect(light.direction).not.toBe('p99');
  });

  it('see what nobody should wait for before the first block has closed', () => {
    const few = compared({ ratio: { total: 5 } }, 5, 20);
    const { measured } = looked(few, { now: 20 * second }).latency;
    expect(measured).toMatchObject({ direction: 'gross', note: '0 blocks of 30 s judged, 0 of 60 s for the tails' });
    expect(measured.logE).toBeGreaterThan(Math.log(100));
  });

  it('turn amber on single requests long before blocks decide, and not on an equal candidate', () => {
    const slower = looked(compared({ ratio: { total: 1.4 } }, 6, 50), { now: 50 * second }).latency.measured;
    expect(slower.amber).toBe(true);
    expect(slower.logE).toBeLessThan(Math.log(20));
    expect(looked(compared({}, 7)).latency.measured.amber).toBeUndefined();
  });

  it('prove an equal candidate with enough blocks, through its weakest latency', () => {
    const equal = looked(compared({}, 8));
    expect(equal.latency.proofLogE).toBeGreaterThan(Math.log(20));
    expect([equal.ttft.proofLogE, equal.interToken.proofLogE]).toEqual([null, null]);
    expect(looked(compared({ ratio: { ttft: 1.3 } }, 8)).latency.proofLogE).toBeLessThan(0);
    expect(looked(compared({}, 8, 560), { now: 600 * second }).latency.proofLogE).toBe(0);
    expect(looked(compared({ tail: 6 }, 9, 3_600)).latency.proofLogE).toBeLessThan(0);
  });

  it('compare the centre without a reference, and nothing without answers of one arm', () => {
    const bare = looked(compared({ ratio: { total: 1.5 } }), { scores: null });
    expect(bare.latency.measured.logE).toBeGreaterThan(10);
    expect(bare.latency.measured.amber).toBeUndefined();
    expect(bare.latency.proofLogE).toBeLessThan(0);
    const one = looked(traffic(uniforms(2), { arm: 'stable', perS: 5, forS: 100 }));
    expect(one.latency).toMatchObject({ measured: { measured: false, logE: 0, effect: null }, proofLogE: 0 });
  });

  it('judge by the thresholds of older rows: the P99 of the whole request', () => {
    if (!scores) throw new Error('no scores');
    const { latency: _, ...older } = scores;
    const windows = compared({ ratio: { ttft: 5, total: 5 } }, 5, 20);
    const { ttft, latency } = looked(windows, { scores: older, now: 20 * second });
    expect(latency.measured.direction).toBe('gross');
    expect(ttft.measured.logE).toBeCloseTo(0, 12);
  });

  it('give each test its part of the weight', () => {
    expect(Object.values(latencyShares).reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 12);
  });
});

describe('a step from counts', () => {
  it('is the step of the tilt process over the histograms', () => {
    const counts = new MergedCounts();
    const windows = compared({ ratio: { total: 1.2 } }, 10, 200);
    counts.add(windows);
    const edge = bucketOf(600);
    const shift = 5;
    const cells = counts.cells([{ epoch: 1, weight: 0.3, baseline: 'stable' }], 'total');
    const sums = new OverCounts([edge, edge + shift]).sum(cells, 0, 1);
    const histogram = (arm: 'stable' | 'candidate') => new Map([...(cells[0]?.[arm === 'stable' ? 'baseline' : 'candidate'] ?? [])]);
    const threshold = 1.01 ** edge / 0.99 ** edge;
    for (const sign of [1, -1] as const) {
      const plain = tiltLogE(
        [{ weight: 0.3, classes: new Map([['chat', { stable: histogram('stable'), candidate: histogram('candidate') }]]) }],
        () => step(threshold, 0.05),
        sign,
        (1.01 / 0.99) ** shift - 1,
        logScale,
      );
      expect(stepLogE(sums, 0.05, sign)).toBeCloseTo(plain, 9);
    }
  });
});

describe('equal versions with a queue each', () => {
  /** Bursts of one arm alone, ten seconds on average: everything takes three times as long. */
  function bursts(uniform: () => number): () => number {
    let left = 0;
    return () => {
      left = left > 0 ? left - 1 : uniform() < 0.01 ? Math.ceil(-10 * Math.log(1 - uniform())) : 0;
      return left > 0 ? 3 : 1;
    };
  }
  const arms = ['stable', 'candidate'] as const;
  const empty = aWindow({});
  const answer = (arm: (typeof arms)[number], secondAt: number, ms: number): Window => ({
    key: { ...empty.key, arm, secondAt },
    counts: { ...empty.counts, histograms: { ...empty.counts.histograms, total: new Map([[bucketOf(ms), 1]]) } },
  });

  it('are told apart in at most the promised share of runs, though answers come late and turn signs of settled blocks', () => {
    const [runs, alpha, lookS] = [60, 0.05, 15];
    let [alarms, turned] = [0, 0];
    for (let run = 0; run < runs; run += 1) {
      const uniform = uniforms(1_000 + run);
      const normal = normals(uniform);
      const slow = arms.map(() => bursts(uniform));
      const slices = new LatencySlices();
      const cutter = new BlockCutter(
        { metric: 'total', baseline: 'stable', blockMs: 30_000, settleMs: 10_000, edges: [], tests: [(block) => centreSign(block, 0)] },
        slices.watch(),
      );
      const due: Window[][] = [];
      let before: readonly number[] = [];
      for (let at = 0; at < 1_200; at += 1) {
        for (const [number, arm] of arms.entries()) {
          const factor = slow[number]?.() ?? 1;
          for (let one = 0; one < 2; one += 1) {
            // A median of ten seconds: with a settling time of ten, many come too late.
            const ms = 10_000 * factor * Math.exp(0.4 * normal());
            const look = Math.ceil((at + ms / second) / lookS);
            due[look] ??= [];
            due[look].push(answer(arm, at * second, ms));
          }
        }
        if (at % lookS > 0) continue;
        for (const window of due[at / lookS] ?? []) slices.add(window.key.arm ?? 'stable', window);
        const { blocks, signs } = cutter.cut(slices.all(), at * second);
        const now = blocks.map((block) => centreSign(block, 0));
        turned += before.filter((sign, number) => sign !== now[number]).length;
        before = now;
        if (!signs[0] || blockSignLogE(signs[0]) < Math.log(1 / alpha)) continue;
        alarms += 1;
        break;
      }
    }
    expect(turned).toBeGreaterThan(runs);
    // Three standard errors of so many runs.
    expect(alarms / runs).toBeLessThanOrEqual(alpha + 3 * Math.sqrt((alpha * (1 - alpha)) / runs));
  });
});
