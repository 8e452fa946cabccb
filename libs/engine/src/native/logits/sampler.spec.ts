import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Sampling } from '../../engine.js';
import { LogitsKernel } from './kernel.js';
import { Sampler, seededUniform } from './sampler.js';

const plain: Sampling = { temperature: 1, topP: 1, topK: 0, minP: 0, maxTokens: 1, stop: [] };

function kernelOf(row: ArrayLike<number>): LogitsKernel {
  const kernel = new LogitsKernel(row.length);
  kernel.row.set(row);
  kernel.measure();
  return kernel;
}

const anyRow = fc
  .tuple(fc.integer({ min: 1, max: 3_000 }), fc.nat(), fc.double({ min: 0.05, max: 8, noNaN: true }))
  .map(([size, seed, spread]) => {
    const uniform = seededUniform(seed);
    return Float32Array.from({ length: size }, () => Math.round((uniform() + uniform() + uniform() - 1.5) * spread * 512) / 512);
  });

const anyCuts = fc.record({
  temperature: fc.double({ min: 0.1, max: 2, noNaN: true }),
  topK: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 200 })),
  topP: fc.oneof(fc.constant(1), fc.double({ min: 0.01, max: 0.999, noNaN: true })),
  minP: fc.oneof(fc.constant(0), fc.double({ min: 0.001, max: 1, noNaN: true })),
});

/** Tokens that stay, by sorting and adding up in float64; tokens that tie with the last one stay too. */
function kept(
  row: Float32Array,
  { topK, topP, minP }: Pick<Sampling, 'topK' | 'topP' | 'minP'>,
): { sure: Set<number>; allowed: Set<number> } {
  const order = Array.from(row.keys()).sort((a, b) => (row[b] ?? 0) - (row[a] ?? 0));
  const max = row[order[0] ?? 0] ?? 0;
  const least = topK > 0 && topK < row.length ? (row[order[topK - 1] ?? 0] ?? 0) : Number.NEGATIVE_INFINITY;
  const among = order.filter((token) => (row[token] ?? 0) >= least);
  const total = among.reduce((sum, token) => sum + Math.exp((row[token] ?? 0) - max), 0);
  const cut = (share: number): number => {
    let mass = 0;
    for (const token of among) {
      mass += Math.exp((row[token] ?? 0) - max);
      if (mass >= share * total) return row[token] ?? 0;
    }
    return Number.NEGATIVE_INFINITY;
  };
  const floor = minP > 0 ? max + Math.log(minP) : Number.NEGATIVE_INFINITY;
  const within = (share: number, slack: number): Set<number> => {
    const lowest = Math.max(least, share >= 1 ? least : cut(share), floor + slack);
    return new Set(among.filter((token) => (row[token] ?? 0) >= Math.min(lowest, max)));
  };
  // Sums in float32 may move the boundary by one token where the mass is met to the last digit.
  return { sure: within(topP - (topP < 1 ? 1e-5 : 0), 1e-5), allowed: within(topP + (topP < 1 ? 1e-5 : 0), -1e-5) };
}

describe('a sampler', () => {
  it('draws only tokens that top-k, top-p and min-p leave, and every one of them can come', () => {
    fc.assert(
      fc.property(anyRow, anyCuts, fc.double({ min: 0, max: 0.999_999, noNaN: true }), (row, cuts, uniform) => {
        const { allowed } = kept(row, cuts);
        expect(allowed).toContain(new Sampler({ ...plain, ...cuts }, () => uniform).next(kernelOf(row)));
      }),
      { numRuns: 1_000 },
    );
    const row = Float32Array.from([0, 1, 2, 3, 2.5, -4]);
    const uniform = seededUniform(1);
    const seen = new Set(Array.from({ length: 2_000 }, () => new Sampler({ ...plain, topK: 4 }, uniform).next(kernelOf(row))));
    expect([...seen].sort()).toEqual([1, 2, 3, 4]);
  });

  it('cuts exactly where sorting would: the k-th largest logit, and the last token that the mass needs', () => {
    fc.assert(
      fc.property(anyRow, anyCuts, (row, { topK, topP }) => {
        const kernel = kernelOf(row);
        const sorted = Array.from(row).sort((a, b) => b - a);
        const least = topK > 0 && topK < row.length ? kernel.leastOf(topK) : Number.NEGATIVE_INFINITY;
        if (topK > 0 && topK < row.length) expect(least).toBe(sorted[topK - 1]);
        const { sure, allowed } = kept(row, { topK, topP, minP: 0 });
        const cut = kernel.leastOfMass(topP, least);
        const left = new Set(Array.from(row.keys()).filter((token) => (row[token] ?? 0) >= cut));
        expect(left.size).toBeGreaterThanOrEqual(sure.size);
        expect(left.size).toBeLessThanOrEqual(allowed.size);
      }),
      { numRuns: 300 },
    );
  });

  it('cuts a vocabulary of 128k nearly equal tokens as exactly as a small one', () => {
    const uniform = seededUniform(4);
    const row = Float32Array.from({ length: 128_256 }, () => uniform() * 0.01);
    const kernel = kernelOf(row);
    const sorted = Float32Array.from(row).sort().reverse();
    for (const count of [1, 40, 5_000, 100_000]) expect(kernel.leastOf(count)).toBe(sorted[count - 1]);
    const cut = kernel.leastOfMass(0.5, Number.NEGATIVE_INFINITY);
    const share = row.filter((logit) => logit >= cut).length / row.length;
    expect(share).toBeGreaterThan(0.49);
    expect(share).toBeLessThan(0.51);
  });

  it.each([
    [1, 5_000],
    [0.5, 5_000],
    [1.7, 5_000],
  ])('draws with the probabilities of temperature %s', (temperature, draws) => {
    const row = Float32Array.from({ length: 600 }, (_, token) => (token < 6 ? token / 2 : -30));
    const uniform = seededUniform(99);
    const counts = new Array<number>(6).fill(0);
    const kernel = kernelOf(row);
    for (let i = 0; i < draws; i += 1) {
      const token = new Sampler({ ...plain, temperature }, uniform).next(kernel);
      counts[token] = (counts[token] ?? 0) + 1;
    }
    const weights = counts.map((_, token) => Math.exp(token / 2 / temperature));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const chiSquare = counts.reduce((sum, count, token) => {
      const expected = (draws * (weights[token] ?? 0)) / total;
      return sum + (count - expected) ** 2 / expected;
    }, 0);
    // 5 degrees of freedom, 0.1%.
    expect(chiSquare).toBeLessThan(20.5);
  });

  it('takes the most likely token at temperature 0, the lowest id of equals', () => {
    expect(new Sampler({ ...plain, temperature: 0 }, () => 0.99).next(kernelOf([1, 5, 5, 2]))).toBe(1);
  });

  it('subtracts the frequency penalty per occurrence and the presence penalty once, in the answer only', () => {
    const sampling = { ...plain, temperature: 0, frequencyPenalty: 1, presencePenalty: 0.5 };
    const row = [4, 2.2, 0];
    const sampler = new Sampler(sampling, () => 0);
    sampler.prime([0, 0, 0, 0]);
    const next = (): number => {
      const token = sampler.next(kernelOf(row));
      sampler.accept(token);
      return token;
    };
    // 4, then 4 - 1.5 = 2.5, then 4 - 2.5 = 1.5 < 2.2, then 2.2 - 1.5 = 0.7 < 1.5
    expect([next(), next(), next(), next()]).toEqual([0, 0, 1, 0]);
  });

  it('divides positive and multiplies negative logits by the repeat penalty, prompt included', () => {
    const sampler = new Sampler({ ...plain, temperature: 0, repeatPenalty: 2 }, () => 0);
    sampler.prime([0]);
    expect(sampler.next(kernelOf([3, 1.6, -9]))).toBe(1);
    const other = new Sampler({ ...plain, temperature: 0, repeatPenalty: 2 }, () => 0);
    other.prime([1]);
    expect(other.next(kernelOf([-1.5, -1]))).toBe(0);
  });

  it('adds biases, bans at -100, and falls back to the model where everything is banned', () => {
    const biased = (logitBias: readonly (readonly [number, number])[]): number =>
      new Sampler({ ...plain, temperature: 0, logitBias }, () => 0).next(kernelOf([1, 2, 3]));
    expect(biased([[0, 5]])).toBe(0);
    expect(biased([[2, -100]])).toBe(1);
    expect(
      biased([
        [0, -100],
        [1, -100],
        [2, -100],
      ]),
    ).toBe(2);
  });

  it('chooses among allowed tokens only, by their own likelihoods', () => {
    const kernel = kernelOf([1, 2, 3, 4]);
    const sampler = new Sampler({ ...plain, temperature: 0 }, () => 0);
    expect(sampler.next(kernel)).toBe(3);
    expect(sampler.nextAmong(kernel, Int32Array.of(0, 2))).toBe(2);
    const lively = new Sampler(plain, seededUniform(5));
    const seen = new Set(Array.from({ length: 200 }, () => lively.nextAmong(kernelOf([1, 2, 3, 4]), Int32Array.of(0, 2))));
    expect([...seen].sort()).toEqual([0, 2]);
  });

  it('says the same with the same seed', () => {
    const text = (seed: number): number[] => {
      const sampler = new Sampler({ ...plain, topP: 0.9 }, seededUniform(seed));
      return Array.from({ length: 50 }, (_, step) =>
        sampler.next(kernelOf(Float32Array.from({ length: 900 }, (__, token) => Math.sin(token * step)))),
      );
    };
    expect(text(3)).toEqual(text(3));
    expect(text(3)).not.toEqual(text(4));
  });
});
