import { describe, expect, it } from 'vitest';
import { normals, uniforms } from '../../../test/support/random.js';
import { bandMargins, bandOf, bucketOf, fitBands, histogramOf, judgeBands, type PairedSample, pairedSamples } from './index.js';

const normal = normals(uniforms(5));
const pairs = (n: number, ratio: number, sd = 0.3): PairedSample[] =>
  Array.from({ length: n }, () => ({ lnRatio: Math.log(ratio) + sd * normal() }));
const shadow = { source: 'shadow' } as const;

describe('a band', () => {
  it('holds the true ratio in about 95 of 100 measurements', () => {
    let held = 0;
    for (let run = 0; run < 400; run += 1) {
      const band = fitBands(new Map([['chat', pairs(150, 0.7)]]), shadow)['chat'];
      if (band && band.lower <= 0.7 && band.upper >= 0.7) held += 1;
    }
    expect(held / 400).toBeGreaterThan(0.92);
    expect(held / 400).toBeLessThan(0.98);
  });

  it('holds it where prompts come in clusters, too: twenty variants of one prompt are not twenty prompts', () => {
    let held = { robust: 0, naive: 0 };
    for (let run = 0; run < 300; run += 1) {
      const clustered = Array.from({ length: 20 }, (_, cluster) => {
        const own = 0.3 * normal();
        return pairs(20, 1, 0.1).map(({ lnRatio }) => ({ lnRatio: lnRatio + own, cluster: `c${cluster}` }));
      }).flat();
      const holds = (samples: PairedSample[]) => {
        const band = fitBands(new Map([['chat', samples]]), { source: 'gate' })['chat'];
        return band !== undefined && band.lower <= 1 && band.upper >= 1 ? 1 : 0;
      };
      held = { robust: held.robust + holds(clustered), naive: held.naive + holds(clustered.map(({ lnRatio }) => ({ lnRatio }))) };
    }
    expect(held.robust / 300).toBeGreaterThan(0.91);
    expect(held.naive / 300).toBeLessThan(0.6);
  });

  it('is not made of too few pairs, nor of too few clusters', () => {
    expect(fitBands(new Map([['chat', pairs(149, 0.7)]]), shadow)).toEqual({});
    expect(fitBands(new Map([['chat', pairs(99, 0.7)]]), { source: 'gate' })).toEqual({});
    expect(Object.keys(fitBands(new Map([['chat', pairs(100, 0.7)]]), { source: 'gate' }))).toEqual(['chat', '*']);
    const nine = pairs(300, 0.7).map((sample, at) => ({ ...sample, cluster: String(at % 9) }));
    expect(fitBands(new Map([['chat', nine]]), { source: 'gate' })).toEqual({});
  });

  it('is one for each class with enough pairs, and one of the thin classes or of all for the rest', () => {
    const bands = fitBands(
      new Map([
        ['chat', pairs(200, 0.7)],
        ['code', pairs(200, 1.2)],
        ['rare', pairs(10, 3)],
      ]),
      { source: 'gate', casesDigest: 'sha256:1' },
    );
    expect(Object.keys(bands)).toEqual(['chat', 'code', '*']);
    expect(bands['chat']?.ratio).toBeCloseTo(0.7, 1);
    expect(bandOf(bands, 'rare')).toMatchObject({ pairs: 410, source: 'gate', casesDigest: 'sha256:1' });
    expect(bandOf(bands, 'code')?.pairs).toBe(200);
    expect(bandOf(null, 'code')).toBeNull();
  });

  it('reads the buckets of mirrored prompts', () => {
    const samples = pairedSamples(histogramOf([0.7, 0.7, 1.2]));
    expect(samples.map(({ count }) => count)).toEqual([2, 1]);
    expect(samples[0]?.lnRatio).toBeCloseTo(Math.log(0.7), 1);
    expect(pairedSamples(new Map([[bucketOf(1), 3]]))[0]?.count).toBe(3);
  });
});

describe('margins', () => {
  const band = (lower: number, upper: number) => ({ lower, upper, ratio: 1, pairs: 200, source: 'gate', casesDigest: null }) as const;

  it('always contain "no change": a candidate like stable is never outside', () => {
    expect(bandMargins(band(0.65, 0.75), { up: 0.1, down: 0.1 })).toEqual({
      up: expect.closeTo(0.1, 12),
      down: expect.closeTo(1 - 0.9 * 0.65, 12),
      amberUp: expect.closeTo(1.1 * 0.75 - 1, 12),
      amberDown: expect.closeTo(1 - 0.9 * 0.65, 12),
    });
    expect(bandMargins(band(1.2, 1.3), { up: 0.1, down: 0.1 })).toMatchObject({
      up: expect.closeTo(0.43, 12),
      down: expect.closeTo(0.1, 12),
    });
  });

  it('without a band are those of the plan', () => {
    expect(bandMargins(null, { up: 0.1, down: 0.2 })).toEqual({ up: 0.1, down: 0.2, amberUp: 0.1, amberDown: 0.2 });
  });
});

describe('a shift that was not expected', () => {
  it('is inconclusive, and said in words', () => {
    const moved = fitBands(new Map([['*', pairs(600, 0.37, 0.35)]]), { source: 'gate' });
    expect(judgeBands({ entropy: moved })).toEqual({
      verdict: 'inconclusive',
      note: expect.stringMatching(/^entropy on the test set moved by -6[234]% \(-6[456]% \.\. -6[012]%\)$/),
    });
    expect(judgeBands({ entropy: moved }, { lower: 0.3, upper: 2 }).verdict).toBe('pass');
    expect(judgeBands({ length: fitBands(new Map([['chat', pairs(200, 0.8)]]), shadow) }).verdict).toBe('pass');
    expect(judgeBands({}).verdict).toBe('unmeasured');
  });
});
