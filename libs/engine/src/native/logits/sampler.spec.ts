import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Sampling } from '../../engine.js';
import { type Cuts, cutOf } from './cuts.js';
import { LogitsKernel, noCut } from './kernel.js';
import { rankKey } from './ranking.js';
import { Sampler, seededUniform } from './sampler.js';

const at = (values: ArrayLike<number>, index: number): number => values[index] ?? Number.NaN;
const sampling = (given: Partial<Sampling> = {}): Sampling => {
  return { temperature: 1, topP: 1, topK: 0, minP: 0, maxTokens: 100, stop: [], ...given };
};

const kernels = new Map<number, LogitsKernel>();
function measured(row: ArrayLike<number>): LogitsKernel {
  const kernel = kernels.get(row.length) ?? new LogitsKernel(row.length);
  kernels.set(row.length, kernel);
  kernel.row.set(row);
  kernel.measure();
  return kernel;
}

/** What the cuts keep of the tokens, in plain double precision: the whole list sorted, then cut. */
function kept(row: ArrayLike<number>, tokens: readonly number[], cuts: Cuts): number[] {
  let left = tokens.filter((token) => at(row, token) > -Infinity).sort((a, b) => at(row, b) - at(row, a) || a - b);
  const top = at(row, left[0] ?? -1);
  if (cuts.topK > 0) left = left.slice(0, cuts.topK);
  if (cuts.topP < 1) {
    const weights = left.map((token) => Math.exp(at(row, token) - top));
    const wanted = cuts.topP * weights.reduce((sum, weight) => sum + weight, 0);
    let reached = 0;
    const end = weights.findIndex((weight) => {
      reached += weight;
      return reached >= wanted;
    });
    if (end >= 0) left = left.slice(0, end + 1);
  }
  if (cuts.minP > 0) left = left.filter((token, place) => place === 0 || at(row, token) >= top + Math.log(cuts.minP));
  return left;
}

/** The tokens that a uniform number may draw, by ascending id: one, or two when it falls within 1e-5 of a border. */
function drawable(row: ArrayLike<number>, tokens: readonly number[], temperature: number, uniform: number): number[] {
  const ordered = [...tokens].sort((a, b) => a - b);
  const top = Math.max(...ordered.map((token) => at(row, token)));
  const weights = ordered.map((token) => Math.exp((at(row, token) - top) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let before = 0;
  return ordered.filter((_, place) => {
    const start = before / total;
    before += at(weights, place);
    return uniform > start - 1e-5 && uniform < before / total + 1e-5;
  });
}

const cases = fc
  .record({
    size: fc.oneof(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 40 })),
    seed: fc.nat(),
    spread: fc.constantFrom(0, 0.1, 1, 4, 15),
    grid: fc.constantFrom(0, 0, 0.25, 3),
    bannedShare: fc.constantFrom(0, 0, 0.5, 0.999),
    cuts: fc.record({
      topK: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 5000 })),
      topP: fc.oneof(fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true })),
      minP: fc.oneof(fc.constant(0), fc.double({ min: 1e-6, max: 1, noNaN: true })),
    }),
    temperature: fc.constantFrom(0.05, 0.7, 1, 1.8),
  })
  .map(({ size, seed, spread, grid, bannedShare, ...rest }) => {
    const uniform = seededUniform(seed);
    const spared = Math.floor(uniform() * size);
    const row = Float32Array.from({ length: size }, (_, token) => {
      const logit = spread * Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
      if (uniform() < bannedShare && token !== spared) return -Infinity;
      return (grid > 0 ? Math.round(logit / grid) * grid : logit) + 0;
    });
    return { row, tokens: Array.from(row.keys()), seed, ...rest };
  });

describe('cuts', () => {
  it('keep what sorting the whole vocabulary would keep', () => {
    fc.assert(
      fc.property(cases, ({ row, tokens, cuts }) => {
        const cut = cutOf(measured(row), cuts);
        const found = tokens.filter((token) => at(row, token) > -Infinity && rankKey(at(row, token), token) >= cut).length;
        // Shares agree to 1e-6: the border may be off by the tokens within that.
        expect(found).toBeGreaterThanOrEqual(kept(row, tokens, { ...cuts, topP: cuts.topP - 1e-6 }).length);
        expect(found).toBeLessThanOrEqual(kept(row, tokens, { ...cuts, topP: cuts.topP + 1e-6 }).length);
      }),
      { numRuns: 100 },
    );
  });

  it('of equal tokens keep as many as are asked for, the lowest ids', () => {
    const kernel = measured(new Float32Array(4096).fill(2.5));
    const keptIds = (cut: number) => Array.from({ length: 4096 }, (_, token) => token).filter((token) => rankKey(2.5, token) >= cut);
    expect(keptIds(cutOf(kernel, { topK: 3, topP: 1, minP: 0 }))).toEqual([0, 1, 2]);
    expect(keptIds(cutOf(kernel, { topK: 2000, topP: 1, minP: 0 }))).toHaveLength(2000);
    expect(keptIds(cutOf(kernel, { topK: 0, topP: 0.5, minP: 0 }))).toHaveLength(2048);
    expect(keptIds(cutOf(kernel, { topK: 1000, topP: 0.5, minP: 1 }))).toHaveLength(500);
    expect(keptIds(cutOf(kernel, { topK: 0, topP: 0, minP: 1 }))).toEqual([0]);
  });

  it.each([
    ['nearly equal', (uniform: number) => uniform * 0.01],
    ['nearly equal, hundreds of them exactly', (uniform: number) => Math.round(uniform * 500) / 50_000],
  ])('cut 128k tokens that are %s as exactly as a few', (_, logit) => {
    const uniform = seededUniform(4);
    const row = Float32Array.from({ length: 128_256 }, () => logit(uniform()));
    const kernel = measured(row);
    const found = (cuts: Partial<Cuts>): number => {
      const cut = cutOf(kernel, { topK: 0, topP: 1, minP: 0, ...cuts });
      return row.reduce((count, value, token) => count + (rankKey(value, token) >= cut ? 1 : 0), 0);
    };
    for (const topK of [1, 40, 5_000, 100_000]) expect(found({ topK })).toBe(topK);
    const weights = row.slice().sort().reverse().map(Math.exp);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (const topP of [0.003, 0.5, 0.99]) {
      const count = found({ topP });
      const share = (size: number): number => weights.slice(0, size).reduce((sum, weight) => sum + weight, 0) / total;
      expect(share(count)).toBeGreaterThan(topP - 1e-6);
      expect(share(count - 1)).toBeLessThan(topP + 1e-6);
    }
  });

  it('that cut nothing are no cut', () => {
    expect(cutOf(measured([1, 2, 3]), { topK: 3, topP: 1, minP: 0 })).toBe(noCut);
    expect(cutOf(measured([1, 2, 3]), { topK: 0, topP: 1, minP: 0 })).toBe(noCut);
  });
});

describe('a draw', () => {
  it('is the one of double precision for the same random number', () => {
    fc.assert(
      fc.property(cases, ({ row, tokens, cuts, temperature, seed }) => {
        const kernel = measured(row);
        const sampler = new Sampler(sampling({ ...cuts, temperature }), seededUniform(seed));
        const uniform = seededUniform(seed);
        // Of the two sets that a border within 1e-6 allows, the kernel's own.
        const cut = cutOf(kernel, cuts);
        const own = tokens.filter((token) => at(row, token) > -Infinity && rankKey(at(row, token), token) >= cut);
        for (let i = 0; i < 5; i += 1) expect(drawable(row, own, temperature, uniform())).toContain(sampler.next(kernel));
      }),
      { numRuns: 100 },
    );
  });

  it('comes as often as its probability says', () => {
    const row = Float32Array.from({ length: 50 }, (_, token) => Math.sin(token * 1.7) * 2);
    for (const given of [{ temperature: 0.7 }, { temperature: 1 }, { temperature: 1.5, topK: 30 }, { topP: 0.8 }, { minP: 0.1 }]) {
      const sampler = new Sampler(sampling(given), seededUniform(42));
      const kernel = measured(row);
      const counts = new Int32Array(50);
      const draws = 20_000;
      for (let i = 0; i < draws; i += 1) {
        const token = sampler.next(kernel);
        counts[token] = at(counts, token) + 1;
      }
      const possible = kept(row, Array.from(row.keys()), sampling(given));
      const { temperature } = sampling(given);
      const total = possible.reduce((sum, token) => sum + Math.exp(at(row, token) / temperature), 0);
      let chiSquare = 0;
      for (const token of possible) {
        const expected = (draws * Math.exp(at(row, token) / temperature)) / total;
        chiSquare += (at(counts, token) - expected) ** 2 / expected;
      }
      expect(counts.reduce((sum, count, token) => sum + (possible.includes(token) ? 0 : count), 0)).toBe(0);
      // The 99.9% quantile of chi-square is below df + 3.3 sqrt(2 df) + 4 for these df.
      const df = possible.length - 1;
      expect(chiSquare).toBeLessThan(df + 3.3 * Math.sqrt(2 * df) + 4);
    }
  });

  it('at temperature 0 is the largest logit after bias and penalties, the lowest of equals', () => {
    const greedy = (given: Partial<Sampling>) => new Sampler(sampling({ temperature: 0, topP: 0.1, ...given }), seededUniform(1));
    const row = [1, 5, 5, 4];
    expect(greedy({}).next(measured(row))).toBe(1);
    expect(greedy({ logitBias: [[1, -1]] }).next(measured(row))).toBe(2);
    expect(greedy({ logitBias: [[3, 1]] }).next(measured(row))).toBe(1);
    expect(greedy({ logitBias: [[3, 1.5]] }).next(measured(row))).toBe(3);
  });

  it('with the same seed gives the same tokens, whatever other answers draw in between', () => {
    const row = (step: number) => Float32Array.from({ length: 3000 }, (_, token) => Math.sin(token * step) * 3);
    const given = sampling({ temperature: 0.9, topP: 0.9, frequencyPenalty: 0.4, repeatPenalty: 1.2 });
    const answer = (seed: number, others: number): number[] => {
      const sampler = new Sampler(given, seededUniform(seed));
      const strangers = Array.from({ length: others }, (_, i) => new Sampler(sampling({ logitBias: [[i, 20]] }), seededUniform(i)));
      return Array.from({ length: 40 }, (_, step) => {
        const kernel = measured(row(step + 1));
        for (const stranger of strangers) stranger.accept(stranger.next(kernel));
        const token = sampler.next(kernel);
        sampler.accept(token);
        return token;
      });
    };
    expect(answer(5, 7)).toEqual(answer(5, 0));
    expect(answer(5, 0)).not.toEqual(answer(6, 0));
  });

  it("is the model's own choice when bias has banned every token", () => {
    const given = {
      logitBias: [
        [0, -100],
        [1, -100],
      ] as const,
      topP: 0.5,
      topK: 1,
      minP: 0.1,
    };
    expect(new Sampler(sampling(given), seededUniform(1)).next(measured([1, 2]))).toBe(1);
    expect(new Sampler(sampling({ ...given, temperature: 0 }), seededUniform(1)).next(measured([1, 2]))).toBe(1);
  });

  it('never is a token that bias bans, however likely', () => {
    const banned = { logitBias: [[0, -100]] as const };
    expect(new Sampler(sampling(banned), seededUniform(1)).next(measured([1e6, -1e6]))).toBe(1);
    expect(new Sampler(sampling({ ...banned, temperature: 0 }), seededUniform(1)).next(measured([1e6, -1e6]))).toBe(1);
  });

  it('from a row that another answer has edited is the same as from the raw row', () => {
    const row = [1, 3, 2.5];
    const biased = () => new Sampler(sampling({ temperature: 0, logitBias: [[0, 1.2]] }), seededUniform(1));
    const kernel = measured(row);
    // Two choices of one request: were the second's bias added to the first's, token 0 would come first.
    expect([biased().next(kernel), biased().next(kernel)]).toEqual([1, 1]);
    const first = biased();
    first.next(kernel);
    first.nextAmong(kernel, Int32Array.of(2));
    expect(biased().next(kernel)).toBe(1);
  });

  it('refuses a biased token outside the vocabulary', () => {
    expect(() => new Sampler(sampling({ logitBias: [[2, 1]] }), seededUniform(1)).next(measured([1, 2]))).toThrow(RangeError);
  });
});

describe('penalties', () => {
  const edited = (sampler: Sampler, row: readonly number[]): number[] => {
    const kernel = measured(row);
    sampler.next(kernel);
    return Array.from(kernel.row);
  };

  it('for frequency and presence count the tokens of the answer, as OpenAI defines them', () => {
    const sampler = new Sampler(sampling({ frequencyPenalty: 0.5, presencePenalty: 0.25 }), seededUniform(1));
    sampler.prime([3, 3, 3]);
    for (const token of [1, 2, 1, 1]) sampler.accept(token);
    // mu[j] - c[j] * frequency - (c[j] > 0) * presence
    expect(edited(sampler, [4, 4, 4, 4])).toEqual([4, 4 - 3 * 0.5 - 0.25, 4 - 0.5 - 0.25, 4]);
  });

  it('may be negative, and then favour what was said', () => {
    const sampler = new Sampler(sampling({ frequencyPenalty: -1, presencePenalty: -0.5 }), seededUniform(1));
    sampler.accept(0);
    expect(edited(sampler, [1, 1])).toEqual([2.5, 1]);
  });

  it('for repeats weigh once on each of the last 64 tokens of prompt and answer', () => {
    const sampler = new Sampler(sampling({ repeatPenalty: 2 }), seededUniform(1));
    sampler.prime([5, 0, 0, 1]);
    expect(edited(sampler, [4, -4, 4, 4, 4, 0])).toEqual([2, -8, 4, 4, 4, 0]);
    for (let i = 0; i < 62; i += 1) sampler.accept(3);
    // Of the prompt the last two are left.
    expect(edited(sampler, [4, -4, 4, 4, 4, 0])).toEqual([2, -8, 4, 2, 4, 0]);
    sampler.accept(2);
    expect(edited(sampler, [4, -4, 4, 4, 4, 4])).toEqual([4, -8, 2, 2, 4, 4]);
    sampler.prime(new Array(200).fill(4));
    expect(edited(sampler, [4, -4, 4, 4, 4, 4])).toEqual([4, -4, 4, 4, 2, 4]);
  });

  it('come after bias, repeats before frequency and presence', () => {
    const sampler = new Sampler(sampling({ logitBias: [[0, 3]], repeatPenalty: 2, frequencyPenalty: 1 }), seededUniform(1));
    sampler.accept(0);
    expect(edited(sampler, [1, 0])).toEqual([(1 + 3) / 2 - 1, 0]);
  });
});

describe('a draw among the tokens that a grammar allows', () => {
  it('cuts and draws as if there were no others', () => {
    fc.assert(
      fc.property(cases, ({ row, tokens, cuts, temperature, seed }) => {
        const allowed = tokens.filter((token) => (token * 7919) % 3 === 0);
        const token = new Sampler(sampling({ ...cuts, temperature }), seededUniform(seed)).nextAmong(
          measured(row),
          Int32Array.from(allowed),
        );
        const uniform = seededUniform(seed)();
        // The border of top-p is exact but for rounding.
        const lists = [-1e-9, 1e-9].map((slack) => kept(row, allowed, { ...cuts, topP: cuts.topP + slack }));
        if (lists.some((list) => list.length > 0))
          expect(lists.flatMap((list) => drawable(row, list, temperature, uniform))).toContain(token);
      }),
      { numRuns: 100 },
    );
  });

  it('takes the most likely at temperature 0, and the edits of the refused draw', () => {
    const sampler = new Sampler(sampling({ temperature: 0, logitBias: [[2, -10]] }), seededUniform(1));
    const kernel = measured([9, 5, 6, 5]);
    expect(sampler.next(kernel)).toBe(0);
    expect(sampler.nextAmong(kernel, Int32Array.from([1, 2, 3]))).toBe(1);
  });

  it('goes by the raw row when bias has banned all of them, and takes the first when nothing else is left', () => {
    const sampler = new Sampler(
      sampling({
        temperature: 0,
        logitBias: [
          [1, -100],
          [2, -100],
        ],
      }),
      seededUniform(1),
    );
    const kernel = measured([9, 5, 6, -Infinity, -Infinity]);
    expect(sampler.next(kernel)).toBe(0);
    expect(sampler.nextAmong(kernel, Int32Array.of(1, 2))).toBe(2);
    expect(sampler.nextAmong(kernel, Int32Array.of(3, 4))).toBe(3);
  });
});
