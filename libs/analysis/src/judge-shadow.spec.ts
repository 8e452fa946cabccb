import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { normals, uniforms } from '../../../test/support/random.js';
import {
  addTo,
  binomialLogE,
  bucketOf,
  emptyPairedCounts,
  judgeShadow,
  type PairedMetric,
  type PairedWindow,
  type ShadowOptions,
} from './index.js';

vi.setConfig({ testTimeout: 60_000 });

const options: ShadowOptions = {
  checks: {
    entropy: { enabled: true, weight: 0.2, up: 0.1, down: 0.1, expect: 'evaluated' },
    length: { enabled: true, weight: 0.1, up: 0.33, down: 0.25, expect: 'evaluated' },
    shape: { enabled: true, weight: 0.05, ratio: 2 },
    errors: { enabled: true, weight: 0.2 },
  },
  alpha: 0.01,
};
const asStable: ShadowOptions = {
  ...options,
  checks: {
    ...options.checks,
    entropy: { ...options.checks.entropy, expect: 'stable' },
    length: { ...options.checks.length, expect: 'stable' },
  },
};

interface Mirrored {
  readonly pairs?: number;
  readonly ratio?: Partial<Record<PairedMetric, number>>;
  readonly loops?: readonly [stable: number, candidate: number];
  readonly failures?: number;
  readonly promptClass?: string;
  readonly forced?: boolean;
  /** Chance of a loop of each version, and of a failure, by prompt. */
  readonly chances?: readonly [loopStable: number, loopCandidate: number, failure: number];
}

/** One window a second with ten pairs each: ratios lognormal around what was asked. */
function mirrored(
  { pairs = 200, ratio = {}, loops = [0, 0], failures = 0, promptClass = 'chat', forced = true, chances = [0, 0, 0] }: Mirrored,
  uniform = uniforms(1),
): PairedWindow[] {
  const normal = normals(uniform);
  const windows: PairedWindow[] = [];
  for (let done = 0; done < pairs; done += 10) {
    const counts = emptyPairedCounts();
    counts.pairs = Math.min(10, pairs - done);
    if (done === 0) {
      [counts.loopsStable, counts.loopsCandidate] = loops;
      counts.failures = failures;
    }
    const sds: Record<PairedMetric, number> = { forcedNll: 0.1, forcedEntropy: 0.14, entropy: 0.4, length: 0.4 };
    for (let one = 0; one < counts.pairs; one += 1) {
      if (uniform() < chances[0]) counts.loopsStable += 1;
      if (uniform() < chances[1]) counts.loopsCandidate += 1;
      if (uniform() < chances[2]) counts.failures += 1;
      for (const metric of Object.keys(sds) as PairedMetric[]) {
        if (metric.startsWith('forced') && !forced) continue;
        addTo(counts.ratios[metric], bucketOf((ratio[metric] ?? 1) * Math.exp(sds[metric] * normal())));
      }
    }
    if (forced) counts.forced = counts.pairs;
    windows.push({ rolloutId: 'r1', promptClass, secondAt: done * 100, counts });
  }
  return windows;
}
const own = (judgement: ReturnType<typeof judgeShadow>) =>
  Object.fromEntries(judgement.findings.map(({ check, verdict }) => [check, verdict]));

describe('the shadow', () => {
  it('passes an equal version, and says what the live steps may expect', () => {
    const judged = judgeShadow(mirrored({}), options);
    expect(judged).toMatchObject({
      verdict: 'pass',
      pairs: 200,
      forced: 200,
      note: '200 pairs: no loops, failures or shifts beyond what is expected',
    });
    expect(own(judged)).toEqual({ entropy: 'pass', length: 'pass', shape: 'pass', errors: 'pass' });
    const band = judged.bands.entropy?.['*'];
    expect(band).toMatchObject({ pairs: 200, source: 'shadow' });
    expect(band?.lower).toBeLessThan(1);
    expect(band?.upper).toBeGreaterThan(1);
  });

  it('passes an honest upgrade that is 30% more certain, and fails the same of a version that should be as stable', () => {
    const upgrade = mirrored({ ratio: { entropy: 0.7, forcedEntropy: 0.7, length: 0.8 } });
    const judged = judgeShadow(upgrade, options);
    expect(judged.verdict).toBe('pass');
    expect(judged.bands.entropy?.['*']?.ratio).toBeCloseTo(0.7, 1);
    const held = judgeShadow(upgrade, asStable);
    expect(held.verdict).toBe('fail');
    expect(own(held)['entropy']).toBe('fail');
    expect(held.findings[0]).toMatchObject({ direction: 'forced down', marginDown: -0.1 });
    expect(held.note).toMatch(/^entropy over stable's text -3\d% on 200 mirrored prompts$/);
  });

  it.each<[string, Mirrored, string, RegExp]>([
    ['collapses', { ratio: { entropy: 0.1 }, forced: false }, 'entropy', /^entropy -90% on 200 mirrored prompts$/],
    ['loops', { loops: [1, 30] }, 'shape', /^30 of 200 candidate answers looped, 1 of stable$/],
    ['never stops', { ratio: { length: 8 } }, 'length', /^length \+\d+% on 200/],
    ['fails', { failures: 60 }, 'errors', /^60 of 260 mirrors failed where stable answered$/],
  ])('fails a version that %s, and says so', (_what, more, check, note) => {
    const judged = judgeShadow(mirrored(more), options);
    expect(judged.verdict).toBe('fail');
    expect(own(judged)[check]).toBe('fail');
    expect(judged.note).toMatch(note);
    expect(judged.combined.share[check as 'entropy']).toBeGreaterThan(0.9);
  });

  it('finds a collapse in a few prompts, long before there are enough to pass', () => {
    expect(judgeShadow(mirrored({ pairs: 30, ratio: { entropy: 0.1, forcedEntropy: 0.1 } }), options).verdict).toBe('fail');
  });

  it('finds one class of four that collapsed', () => {
    const windows = ['a', 'b', 'c'].flatMap((promptClass) => mirrored({ promptClass }));
    const judged = judgeShadow([...windows, ...mirrored({ promptClass: 'd', ratio: { entropy: 0.2 } })], options);
    expect(judged.verdict).toBe('fail');
    expect(judged.findings[0]?.classes?.[0]?.promptClass).toBe('d');
  });

  it('waits for enough pairs, and looks at nothing without any', () => {
    expect(judgeShadow(mirrored({ pairs: 149 }), options)).toMatchObject({
      verdict: 'inconclusive',
      note: '149 of 150 pairs so far',
      bands: {},
    });
    expect(judgeShadow(mirrored({ pairs: 40 }), { ...options, minPairs: 40 }).verdict).toBe('pass');
    const nothing = judgeShadow([], options);
    expect(nothing).toMatchObject({ verdict: 'unmeasured', pairs: 0, note: 'no mirrored prompt was answered yet' });
    expect(new Set(Object.values(own(nothing)))).toEqual(new Set(['unmeasured']));
    expect(nothing.combined.logE).toBeCloseTo(0, 12);
  });

  it('leaves it to a person when what was measured may lie beyond what is expected', () => {
    const judged = judgeShadow(mirrored({ pairs: 160, ratio: { length: 2 } }), options);
    expect(judged.verdict).toBe('inconclusive');
    expect(judged.note).toMatch(/^length of class chat on mirrored prompts moved by \+\d+%/);
    const surprised = judgeShadow(mirrored({ ratio: { forcedNll: 6 } }), options);
    expect(surprised).toMatchObject({
      verdict: 'inconclusive',
      note: expect.stringMatching(/^the candidate finds stable's text \d\.\d times as surprising/),
    });
  });

  it('asks only what the plan asks', () => {
    const off = { ...options.checks.entropy, enabled: false };
    const judged = judgeShadow(mirrored({ ratio: { entropy: 0.1, forcedEntropy: 0.1 } }), {
      ...options,
      checks: { ...options.checks, entropy: off },
    });
    expect(judged.verdict).toBe('pass');
    expect(judged.findings.map(({ check }) => check)).toEqual(['length', 'shape', 'errors']);
  });

  it('is the same byte for byte in any order and split of windows, and JSON', () => {
    const windows = [...mirrored({ ratio: { entropy: 3 } }), ...mirrored({ promptClass: 'code' }, uniforms(2))];
    const expected = JSON.stringify(judgeShadow(windows, options));
    fc.assert(
      fc.property(fc.shuffledSubarray(windows, { minLength: windows.length }), (order) => {
        expect(JSON.stringify(judgeShadow(order, options))).toBe(expected);
      }),
      { numRuns: 15, seed: 4 },
    );
    const sure = judgeShadow(mirrored({ pairs: 3_000, ratio: { entropy: 0.001 }, failures: 2_000 }), options);
    expect(JSON.parse(JSON.stringify(sure))).toEqual(sure);
  });

  it('fails versions that are within the margins in at most the promised share of runs, looking after every ten pairs', () => {
    const [runs, alpha] = [150, 0.05];
    let failed = 0;
    for (let run = 0; run < runs; run += 1) {
      // At the margins' edge, where it is likeliest; as many loops and failures as are tolerated.
      const windows = mirrored(
        { pairs: 300, ratio: { entropy: 1.1, forcedEntropy: 1.1, length: 0.75 }, chances: [0.02, 0.04, 0.045] },
        uniforms(100 + run),
      );
      for (let seen = 1; seen <= windows.length; seen += 1) {
        if (judgeShadow(windows.slice(0, seen), { ...asStable, alpha }).combined.logE < Math.log(1 / alpha)) continue;
        failed += 1;
        break;
      }
    }
    expect(failed / runs).toBeLessThanOrEqual(alpha);
  });
});

describe('a share of events against a bound', () => {
  it('is a fair bet when the share is the bound', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.001, max: 0.9, noNaN: true }),
        fc.integer({ min: 0, max: 20 }),
        fc.integer({ min: 0, max: 50 }),
        (share, events, more) => {
          const e = (add: number) => binomialLogE(events + add, events + more + 1, share);
          const before = binomialLogE(events, events + more, share);
          expect(share * Math.exp(e(1) - before) + (1 - share) * Math.exp(e(0) - before)).toBeCloseTo(1, 9);
        },
      ),
    );
  });
});
