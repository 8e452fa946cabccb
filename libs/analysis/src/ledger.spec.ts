import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { testedOptions } from '../../../test/support/judge-options.js';
import { aWindow } from '../../../test/support/observation.js';
import { normals, uniforms } from '../../../test/support/random.js';
import {
  addTo,
  bucketOf,
  type Epoch,
  type EpochHistograms,
  emptyHistograms,
  fitScores,
  type JudgeOptions,
  Ledger,
  logTilt,
  mergeInto,
  scaleBounds,
  twoSidedTiltLogE,
  type Window,
  type WindowMetric,
} from './index.js';

const normal = normals(uniforms(11));
const classes = ['chat', 'code', 'rare'] as const;
const arms = ['stable', 'candidate'] as const;

/** One window of `n` answers, spread by a log-sd of 0.3 around the class's own centre. */
function answers(arm: Window['key']['arm'], epoch: number | null, promptClass: string, second: number, n: number, ratio = 1): Window {
  const histograms = emptyHistograms();
  const centre = promptClass === 'chat' ? 0.5 : 1.2;
  const spread = () => Math.exp(0.3 * normal());
  for (let one = 0; one < n; one += 1) {
    addTo(histograms.entropy, bucketOf(centre * ratio * spread()));
    addTo(histograms.length, bucketOf(80 * centre * spread()));
    addTo(histograms.ttft, bucketOf(40 * spread()));
    addTo(histograms.interToken, bucketOf(8 * spread()));
    addTo(histograms.total, bucketOf(300 * centre * spread()));
    addTo(histograms.input, bucketOf(100 * centre * spread()));
  }
  return aWindow(
    { arm, epoch, promptClass, secondAt: second * 1_000, versionId: arm === 'candidate' ? 'v2' : 'v1' },
    { responses: n, units: n, errors: second % 7 === 0 ? 1 : 0, lnTotalCount: n, histograms },
  );
}

const reference = classes.flatMap((promptClass) =>
  Array.from({ length: promptClass === 'rare' ? 4 : 80 }, (_, second) => answers(null, null, promptClass, second, 10)),
);
const scores = fitScores(reference, { minResponses: 500, minPerClass: 500 });
const epochs: Epoch[] = [
  { epoch: 1, weight: 0.05, since: 0 },
  { epoch: 2, weight: 0.5, since: 100_000 },
];
const options: JudgeOptions = testedOptions({ epochs, currentEpoch: 2, scores, now: 400_000 });
const windows = epochs.flatMap(({ epoch }) =>
  arms.flatMap((arm) =>
    classes.flatMap((promptClass) =>
      Array.from({ length: 20 }, (_, second) => answers(arm, epoch, promptClass, epoch * 100 + second, arm === 'stable' ? 4 : 2, 1.1)),
    ),
  ),
);
const judged = (ledger: Ledger) => JSON.stringify(ledger.judge({ ...options, interval: true }));
const whole = new Ledger();
whole.add(windows);
const expected = judged(whole);

/** Windows of one key with each count in one of two parts. */
function split(window: Window, chance: () => boolean): Window[] {
  const parts = [emptyHistograms(), emptyHistograms()] as const;
  for (const metric of Object.keys(window.counts.histograms) as WindowMetric[]) {
    for (const [index, count] of window.counts.histograms[metric]) addTo(parts[chance() ? 1 : 0][metric], index, count);
  }
  const { histograms: _, ...counts } = window.counts;
  return [
    { key: window.key, counts: { ...counts, histograms: parts[0] } },
    { key: window.key, counts: { ...aWindow({}).counts, histograms: parts[1] } },
  ];
}

/** The same counts as the plain functions read them. */
function histogramsOf(metric: WindowMetric): EpochHistograms[] {
  return epochs.map(({ epoch, weight }) => ({
    weight,
    classes: new Map(
      classes.map((promptClass) => {
        const of = (arm: string) =>
          windows
            .filter(({ key }) => key.arm === arm && key.epoch === epoch && key.promptClass === promptClass)
            .reduce((merged, { counts }) => mergeInto(merged, counts.histograms[metric]), new Map<number, number>());
        return [promptClass, { stable: of('stable'), candidate: of('candidate') }] as const;
      }),
    ),
  }));
}

describe('a ledger', () => {
  it('says the same, byte for byte, whatever the order and split in which windows came, with looks in between', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 40 }), (seed, size) => {
        const uniform = uniforms(seed);
        const order = windows
          .flatMap((window) => split(window, () => uniform() < 0.5))
          .map((window) => ({ window, at: uniform() }))
          .sort((a, b) => a.at - b.at)
          .map(({ window }) => window);
        const ledger = new Ledger();
        for (let from = 0; from < order.length; from += size) {
          ledger.add(order.slice(from, from + size));
          if (uniform() < 0.1) ledger.judge(options);
        }
        expect(judged(ledger)).toBe(expected);
      }),
      { numRuns: 12, seed: 3 },
    );
  });

  it('gives the e-values of the plain functions over the merged histograms', () => {
    const { findings } = whole.judge(options);
    for (const check of ['entropy', 'length'] as const) {
      const fits = scores?.[check];
      const scoreOf = (promptClass: string) =>
        logTilt(fits?.[promptClass] ?? fits?.['*'] ?? { mean: 0, sd: 1, normalisers: { up: [], down: [] } });
      const { up, down } = options.checks[check];
      const plain = twoSidedTiltLogE(histogramsOf(check), scoreOf, up, down);
      expect(findings.find((finding) => finding.check === check)?.logE).toBeCloseTo(plain, 9);
    }
  });

  it('gives the interval of the plain inversion within two tenths of a percent, when asked', () => {
    const fits = scores?.entropy;
    const plain = scaleBounds(
      histogramsOf('entropy'),
      (promptClass) => logTilt(fits?.[promptClass] ?? fits?.['*'] ?? { mean: 0, sd: 1, normalisers: { up: [], down: [] } }),
      0.05,
      -0.99,
      20,
      1e-4,
    );
    const entropyOf = (interval: boolean) => whole.judge({ ...options, interval }).findings.find(({ check }) => check === 'entropy');
    expect(Math.abs((entropyOf(true)?.lower ?? Number.NaN) - plain.lower)).toBeLessThan(2e-3);
    expect(Math.abs((entropyOf(true)?.upper ?? Number.NaN) - plain.upper)).toBeLessThan(2e-3);
    expect(entropyOf(false)).toMatchObject({ lower: null, upper: null });
  });

  it('judges by the options of the look, not by those of the one before', () => {
    const wide = { ...options, checks: { ...options.checks, entropy: { ...options.checks.entropy, up: 0.5, down: 0.4 } } };
    const fresh = new Ledger();
    fresh.add(windows);
    const first = JSON.stringify(fresh.judge(wide));
    expect(JSON.stringify(whole.judge(wide))).toBe(first);
    expect(judged(whole)).toBe(expected);
  });

  it('remembers when the candidate first answered', () => {
    expect(new Ledger().firstCandidateAt).toBeNull();
    expect(whole.firstCandidateAt).toBe(100_000);
  });

  it('with a control arm compares the candidate with it alone', () => {
    const control = windows.map((window) =>
      window.key.arm === 'stable' ? { ...window, key: { ...window.key, arm: 'control' as const } } : window,
    );
    const bad = windows
      .filter(({ key }) => key.arm === 'stable')
      .map((window) => ({ ...window, counts: { ...window.counts, errors: window.counts.responses } }));
    const ledger = new Ledger();
    ledger.add([...control, ...bad]);
    // Candidate and control at 4.5% and 85.5% of all: 5% among the two.
    const drawn = [
      { epoch: 1, weight: 0.045, controlWeight: 0.855, since: 0 },
      { epoch: 2, weight: 0.3, controlWeight: 0.3, since: 100_000 },
    ];
    const other = ledger.judge({ ...options, epochs: drawn });
    const own = whole.judge(options);
    for (const [at, finding] of other.findings.entries()) expect(finding.logE).toBeCloseTo(own.findings[at]?.logE ?? Number.NaN, 9);
  });
});

describe('slices of latency', () => {
  it('hold all answers by second, and the tail above what was asked for', () => {
    const from = bucketOf(400);
    const ledger = new Ledger({ sliceMs: 10_000, tailFrom: { total: from } });
    ledger.add(windows);
    const slices = ledger.seconds(2);
    expect(slices.map(({ at }) => at)).toEqual([200_000, 210_000]);
    const all = windows.filter(({ key }) => key.epoch === 2 && key.arm === 'candidate');
    const n = all.reduce((sum, { counts }) => sum + counts.responses, 0);
    expect(slices.reduce((sum, { arms: of }) => sum + of.candidate.total.n, 0)).toBe(n);
    const tail = slices.flatMap(({ arms: of }) => [...of.candidate.total.tail]);
    expect(tail.every(([index]) => index >= from)).toBe(true);
    expect(tail.length).toBeGreaterThan(0);
    expect(slices.every(({ arms: of }) => of.control.total.n === 0 && of.control.total.tail.size === 0)).toBe(true);
  });
});
