import { describe, expect, it } from 'vitest';
import { testedOptions } from '../../../test/support/judge-options.js';
import { aWindow } from '../../../test/support/observation.js';
import { normals, uniforms } from '../../../test/support/random.js';
import {
  addTo,
  bucketOf,
  type CheckOptions,
  type Epoch,
  emptyHistograms,
  fitScores,
  type JudgeInput,
  judge,
  type Window,
  type WindowKey,
} from './index.js';

const second = 1_000;
const uniform = uniforms(3);
const normal = normals(uniform);

interface Traffic {
  readonly arm: WindowKey['arm'];
  readonly epoch?: number;
  readonly n: number;
  readonly entropyNats?: number;
  readonly tokens?: number;
  readonly totalMs?: number;
  readonly errors?: number;
  readonly promptClass?: string;
  readonly fromS?: number;
  readonly units?: number;
}

/** One window a second, ten answers each, spread around the given centres with a log-sd of 0.3. */
function traffic({
  arm,
  epoch = 1,
  n,
  entropyNats = 0.5,
  tokens = 40,
  totalMs = 300,
  errors = 0,
  promptClass = 'chat',
  fromS = 0,
  units,
}: Traffic): Window[] {
  const windows: Window[] = [];
  for (let done = 0; done < n; done += 10) {
    const size = Math.min(10, n - done);
    const failed = Math.min(size, Math.max(0, errors - done));
    const histograms = emptyHistograms();
    let lnTotalSum = 0;
    for (let one = failed; one < size; one += 1) {
      const total = totalMs * Math.exp(0.3 * normal());
      addTo(histograms.entropy, bucketOf(entropyNats * Math.exp(0.3 * normal())));
      addTo(histograms.length, bucketOf(tokens * Math.exp(0.3 * normal())));
      addTo(histograms.total, bucketOf(total));
      lnTotalSum += Math.log(total);
    }
    windows.push(
      aWindow(
        {
          arm,
          epoch: arm ? epoch : null,
          promptClass,
          secondAt: (fromS + done / 10) * second,
          versionId: arm === 'candidate' ? 'v2' : 'v1',
        },
        { responses: size, errors: failed, units: units ?? size, lnTotalCount: size - failed, lnTotalSum, histograms },
      ),
    );
  }
  return windows;
}

const reference = [
  ...traffic({ arm: null, n: 1_000 }),
  ...traffic({ arm: null, n: 1_000, promptClass: 'code', entropyNats: 1.2, tokens: 200 }),
];
const scores = fitScores(reference, { minResponses: 500, minPerClass: 500 });
const { shape, refusals, ...all } = testedOptions().checks;
/** Four checks: the others have a spec of their own. */
const checks: CheckOptions = {
  ...all,
  entropy: { ...all.entropy, weight: 0.25 },
  errors: { ...all.errors, weight: 0.25 },
  latency: { ...all.latency, settleS: 0 },
  shape: { ...shape, enabled: false },
  refusals: { ...refusals, enabled: false },
};
const half: Epoch[] = [{ epoch: 1, weight: 0.5, since: 0 }];

function input(windows: Window[], more: Partial<JudgeInput> = {}): JudgeInput {
  return {
    windows,
    epochs: half,
    currentEpoch: 1,
    scores,
    checks,
    promotion: { alpha: 0.05, gating: ['entropy', 'errors'] },
    guards: { minResponses: 8, minUnits: 3, minS: 5 },
    alpha: 0.01,
    now: 1_000 * second,
    ...more,
  };
}

const verdicts = (windows: Window[], more: Partial<JudgeInput> = {}) =>
  Object.fromEntries(
    judge(input(windows, more)).findings.map(({ check, verdict, direction }) => [
      check,
      direction && verdict === 'fail' ? `${verdict} ${direction}` : verdict,
    ]),
  );

// A coin shows both sides equally often: a spec with another share would be evidence by itself.
const stable = traffic({ arm: 'stable', n: 1_200 });
const someStable = traffic({ arm: 'stable', n: 400 });
const equal = traffic({ arm: 'candidate', n: 1_200 });

describe('the verdicts', () => {
  it('on an equal candidate prove what gates and alarm about nothing', () => {
    const judged = judge(input([...stable, ...equal]));
    expect(verdicts([...stable, ...equal])).toEqual({
      entropy: 'pass',
      errors: 'pass',
      ttft: 'unmeasured',
      interToken: 'unmeasured',
      latency: 'inconclusive',
      length: 'inconclusive',
    });
    expect(judged.promotion.map(({ check, proven }) => [check, proven])).toEqual([
      ['entropy', true],
      ['errors', true],
    ]);
    expect(judged.combined.logE).toBeLessThan(0.5);
  });

  it.each<[string, Partial<Traffic>, string, string]>([
    ['less certain', { entropyNats: 0.7 }, 'entropy', 'fail up'],
    ['too certain', { entropyNats: 0.3 }, 'entropy', 'fail down'],
    ['long-winded', { tokens: 90 }, 'length', 'fail up'],
    ['curt', { tokens: 15 }, 'length', 'fail down'],
    ['failing', { errors: 40 }, 'errors', 'fail events'],
    ['slow', { totalMs: 1_500 }, 'latency', 'fail gross'],
  ])('on a candidate that is %s name that and nothing else', (_what, more, check, verdict) => {
    const found = verdicts([...someStable, ...traffic({ arm: 'candidate', n: 400, ...more })]);
    expect(found[check]).toBe(verdict);
    expect(Object.values(found).filter((one) => one?.startsWith('fail'))).toHaveLength(1);
  });

  it('on a candidate that is a little slower come from blocks, given time', () => {
    expect(verdicts([...traffic({ arm: 'stable', n: 4_000 }), ...traffic({ arm: 'candidate', n: 4_000, totalMs: 390 })])['latency']).toBe(
      'fail block',
    );
  });

  it('find one class that moved, and say which', () => {
    const windows = [
      ...traffic({ arm: 'stable', n: 200 }),
      ...traffic({ arm: 'candidate', n: 200 }),
      ...traffic({ arm: 'stable', n: 400, promptClass: 'code', entropyNats: 1.2, tokens: 200 }),
      ...traffic({ arm: 'candidate', n: 400, promptClass: 'code', entropyNats: 2, tokens: 200 }),
    ];
    const entropy = judge(input(windows)).findings.find(({ check }) => check === 'entropy');
    expect(entropy).toMatchObject({ verdict: 'fail', direction: 'up' });
    expect(entropy?.classes?.map(({ promptClass }) => promptClass)).toEqual(['code', 'chat']);
  });

  it('are unmeasured, not good, without a reference or without answers of an arm', () => {
    expect(verdicts([...stable, ...equal], { scores: null })).toMatchObject({ entropy: 'unmeasured', length: 'unmeasured' });
    expect(new Set(Object.values(verdicts(stable)))).toEqual(new Set(['unmeasured']));
    const nothing = judge(input([]));
    expect(nothing.findings.every(({ verdict }) => verdict === 'unmeasured')).toBe(true);
    expect(nothing.combined.logE).toBeCloseTo(0, 12);
    expect(nothing.promotion.every(({ proven }) => !proven)).toBe(true);
  });

  it('leave out a check that the plan switched off, and give its weight to the others', () => {
    const without = { ...checks, entropy: { ...checks.entropy, enabled: false } };
    const judged = judge(input([...stable, ...traffic({ arm: 'candidate', n: 400, entropyNats: 2 })], { checks: without }));
    expect(judged.findings.map(({ check }) => check)).toEqual(['length', 'errors', 'ttft', 'interToken', 'latency']);
    expect(judged.promotion.map(({ check }) => check)).toEqual(['errors']);
    expect(Object.values(judged.combined.share).reduce((sum, one) => sum + (one ?? 0), 0)).toBeCloseTo(1, 9);
  });
});

describe('the interval', () => {
  it('holds the truth, and the effect lies within it', () => {
    const entropy = judge(input([...stable, ...traffic({ arm: 'candidate', n: 1_200, entropyNats: 0.6 })])).findings[0];
    const { effect, lower, upper } = entropy ?? {};
    expect(lower).toBeLessThan(0.2);
    expect(upper).toBeGreaterThan(0.2);
    expect(effect).toBeGreaterThan(lower ?? Number.NaN);
    expect(effect).toBeLessThan(upper ?? Number.NaN);
  });

  it('is not moved by a different mix of prompts in the arms', () => {
    const windows = [
      ...stable,
      ...traffic({ arm: 'stable', n: 100, promptClass: 'code', entropyNats: 1.2 }),
      ...traffic({ arm: 'candidate', n: 100 }),
      ...traffic({ arm: 'candidate', n: 1_200, promptClass: 'code', entropyNats: 1.2 }),
    ];
    expect(Math.abs(judge(input(windows)).findings[0]?.effect ?? 1)).toBeLessThan(0.1);
  });
});

describe('no verdict', () => {
  const awful = (n: number, more: Partial<Traffic> = {}) => [...stable, ...traffic({ arm: 'candidate', n, errors: n, ...more })];
  const alarmed = (windows: Window[], more: Partial<JudgeInput> = {}) => {
    const { findings, combined } = judge(input(windows, more));
    const alarm = combined.logE >= combined.threshold;
    expect(findings.some(({ verdict }) => verdict === 'fail')).toBe(alarm);
    return alarm;
  };
  const certain: Partial<JudgeInput> = { epochs: [{ epoch: 1, weight: 0.01, since: 0 }] };

  it('before eight answers of the candidate, however bad', () => {
    expect(alarmed(awful(7), certain)).toBe(false);
    expect(alarmed(awful(8), certain)).toBe(true);
  });

  it('on the answers to fewer than three units', () => {
    expect(alarmed(awful(10, { units: 2 }), certain)).toBe(false);
    expect(alarmed(awful(10, { units: 3 }), certain)).toBe(true);
  });

  it('within the first five seconds of traffic', () => {
    expect(alarmed(awful(10), { ...certain, now: 4_999 })).toBe(false);
    expect(alarmed(awful(10), { ...certain, now: 5_000 })).toBe(true);
  });

  it('from epochs in which no coin was drawn', () => {
    const drawn: Epoch[] = [{ epoch: 1, weight: 0.5, since: 0 }];
    for (const weight of [0, 1]) {
      const epochs = [...drawn, { epoch: 2, weight, since: 50 * second }];
      const silent = [
        ...traffic({ arm: 'candidate', epoch: 2, n: 200, errors: 50, entropyNats: 3 }),
        ...traffic({ arm: 'stable', epoch: 2, n: 20 }),
      ];
      const [without, within] = [
        judge(input([...stable, ...equal], { epochs: drawn })),
        judge(input([...stable, ...equal, ...silent], { epochs })),
      ];
      expect(within.findings).toEqual(without.findings);
      expect(within.combined).toEqual(without.combined);
      expect(within.promotion).toEqual(without.promotion);
      expect(alarmed(silent, { epochs: [{ epoch: 2, weight, since: 0 }] })).toBe(false);
    }
  });
});

describe('the same evidence', () => {
  it('gives the same judgement in any order, and however it was split into flushes', () => {
    const all = [...stable, ...traffic({ arm: 'candidate', n: 300, entropyNats: 0.6 })];
    const near = (windows: Window[]) =>
      JSON.stringify(judge(input(windows)), (_key, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(9)) : value));
    const split = all.flatMap((window): Window[] => {
      const { key, counts } = window;
      const rest = { ...emptyHistograms(), entropy: counts.histograms.entropy };
      return [
        { key, counts: { ...counts, histograms: { ...counts.histograms, entropy: new Map() } } },
        { key, counts: { ...aWindow({}).counts, histograms: rest } },
      ];
    });
    expect(near(all.toReversed())).toBe(near(all));
    expect(near(split)).toBe(near(all));
  });

  it('is JSON: no infinity, however certain', () => {
    const judged = judge(input([...stable, ...traffic({ arm: 'candidate', n: 1_200, entropyNats: 50, errors: 600, totalMs: 60_000 })]));
    expect(JSON.parse(JSON.stringify(judged))).toEqual(judged);
  });
});

describe('a change of weight', () => {
  it('is no evidence by itself: slower times with more traffic on the candidate are not a slower candidate', () => {
    const epochs: Epoch[] = [
      { epoch: 1, weight: 0.05, since: 0 },
      { epoch: 2, weight: 0.5, since: 15 * second },
    ];
    // Everything is three times slower from second 15 on, in the middle of what would be the first block.
    const windows = [
      ...traffic({ arm: 'stable', epoch: 1, n: 150, totalMs: 100 }),
      ...traffic({ arm: 'candidate', epoch: 1, n: 10, totalMs: 100 }),
      ...traffic({ arm: 'stable', epoch: 2, n: 150, totalMs: 300, fromS: 15 }),
      ...traffic({ arm: 'candidate', epoch: 2, n: 150, totalMs: 300, fromS: 15 }),
    ];
    const latency = judge(input(windows, { epochs, currentEpoch: 2 })).findings.find(({ check }) => check === 'latency');
    expect(latency).toMatchObject({ verdict: 'inconclusive', note: '2 blocks of 30 s judged, 1 of 60 s for the tails' });
  });

  it('counts the step by the current epoch and the rollout by all', () => {
    const epochs: Epoch[] = [...half, { epoch: 2, weight: 0.5, since: 60 * second }];
    const { counts } = judge(
      input([...stable, ...equal, ...traffic({ arm: 'candidate', epoch: 2, n: 30, fromS: 200 })], { epochs, currentEpoch: 2 }),
    );
    expect(counts).toEqual({
      stable: 1_200,
      candidate: 1_230,
      candidateUnits: 1_230,
      stepCandidate: 30,
      stepStable: 0,
      lastStableAt: 119 * second,
      lastCandidateAt: 202 * second,
    });
  });

  it('known to the gateway but not yet here is left for the next look', () => {
    expect(judge(input([...stable, ...equal, ...traffic({ arm: 'candidate', epoch: 9, n: 50, errors: 50 })])).findings).toEqual(
      judge(input([...stable, ...equal])).findings,
    );
  });
});
