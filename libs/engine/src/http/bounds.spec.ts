import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { entropyBounds } from './bounds.js';

/** Any shape from flat to one certain token, highest first. */
const distribution = fc.array(fc.double({ min: -30, max: 10, noNaN: true }), { minLength: 2, maxLength: 200 }).map((logits) => {
  const weights = logits.map(Math.exp);
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum).sort((a, b) => b - a);
});

const entropyOf = (probabilities: readonly number[]): number =>
  probabilities.reduce((nats, p) => (p > 0 ? nats - p * Math.log(p) : nats), 0);

describe('entropy bounds', () => {
  it('hold the true entropy of any distribution, whatever k', () => {
    fc.assert(
      fc.property(distribution, fc.nat(200), (probabilities, wish) => {
        const k = Math.min(wish, probabilities.length);
        const bounds = entropyBounds(probabilities.slice(0, k).map(Math.log), probabilities.length);
        const truth = entropyOf(probabilities);
        expect(bounds).not.toBeNull();
        expect(bounds?.lowerNats).toBeLessThanOrEqual(truth + 1e-9);
        expect(bounds?.upperNats).toBeGreaterThanOrEqual(truth - 1e-9);
        expect(bounds?.k).toBe(k);
      }),
      { numRuns: 2_000 },
    );
  });

  it('hold it as well when the vocabulary is thought larger than it is', () => {
    fc.assert(
      fc.property(distribution, fc.nat(20), fc.nat(1_000_000), (probabilities, wish, more) => {
        const k = Math.min(wish, probabilities.length);
        const bounds = entropyBounds(probabilities.slice(0, k).map(Math.log), probabilities.length + more);
        const truth = entropyOf(probabilities);
        expect(bounds?.lowerNats).toBeLessThanOrEqual(truth + 1e-9);
        expect(bounds?.upperNats).toBeGreaterThanOrEqual(truth - 1e-9);
      }),
    );
  });

  it('do not cross, and never widen with k', () => {
    fc.assert(
      fc.property(distribution, (probabilities) => {
        let width = Number.POSITIVE_INFINITY;
        for (let k = 0; k <= probabilities.length; k += 1) {
          const bounds = entropyBounds(probabilities.slice(0, k).map(Math.log), probabilities.length);
          const next = (bounds?.upperNats ?? Number.NaN) - (bounds?.lowerNats ?? Number.NaN);
          expect(next).toBeGreaterThanOrEqual(-1e-12);
          expect(bounds?.upperNats).toBeLessThanOrEqual(Math.log(probabilities.length) + 1e-9);
          if (k > 0) expect(next).toBeLessThanOrEqual(width + 1e-9);
          width = next;
        }
      }),
    );
  });

  it('are exactly the formulas', () => {
    const bounds = entropyBounds([Math.log(0.5), Math.log(0.25)], 12);
    const headNats = 0.5 * Math.log(2) + 0.25 * Math.log(4);
    expect(bounds?.restMass).toBeCloseTo(0.25, 15);
    expect(bounds?.lowerNats).toBeCloseTo(headNats - 0.25 * Math.log(0.25), 12);
    expect(bounds?.upperNats).toBeCloseTo(headNats - 0.25 * Math.log(0.025), 12);
  });

  it('are reached: the upper one by an even rest, the lower one by a rest in one token', () => {
    const even = [0.6, ...Array.from({ length: 40 }, () => 0.01)];
    expect(entropyBounds([Math.log(0.6)], 41)?.upperNats).toBeCloseTo(entropyOf(even), 12);
    expect(entropyBounds([Math.log(0.6)], 41)?.lowerNats).toBeCloseTo(entropyOf([0.6, 0.4]), 12);
  });

  it('are narrow for a peaked distribution', () => {
    const bounds = entropyBounds([0.99, 0.005, 0.003, 0.001, 0.0009].map(Math.log), 128_256);
    expect(bounds?.restMass).toBeCloseTo(0.0001, 9);
    expect((bounds?.upperNats ?? 1) - (bounds?.lowerNats ?? 0)).toBeLessThan(0.0015);
  });

  it('are one value when everything is listed, and when nothing is left', () => {
    const whole = entropyBounds([0.7, 0.2, 0.1].map(Math.log), 3);
    expect(whole).toMatchObject({ restMass: 0, lowerNats: whole?.upperNats });
    expect(entropyBounds([0], 32_000)).toEqual({ lowerNats: 0, upperNats: 0, restMass: 0, k: 1 });
  });

  it('say everything and nothing when no token is listed', () => {
    expect(entropyBounds([], 32_000)).toEqual({ lowerNats: 0, upperNats: Math.log(32_000), restMass: 1, k: 0 });
  });

  it('take masses slightly beyond 1 and impossible tokens as rounding', () => {
    expect(entropyBounds([Math.log(0.999), Math.log(0.004)], 100)).toMatchObject({ restMass: 0, k: 2 });
    expect(entropyBounds([1e-4], 100)).toMatchObject({ restMass: 0, upperNats: 0 });
    for (const impossible of [Number.NEGATIVE_INFINITY, -3.4028234663852886e38, -9_999]) {
      expect(entropyBounds([Math.log(0.999_999), impossible], 100)).toMatchObject({ restMass: 0, k: 2 });
    }
  });

  it.each([
    ['NaN', [Number.NaN, -1], 100],
    ['a probability above 1', [0.5], 100],
    ['a mass beyond 1', [Math.log(0.9), Math.log(0.9)], 100],
    ['a rest for which no token is left', [Math.log(0.5)], 1],
    ['a rest larger than the unlisted tokens can carry', [Math.log(0.5), Math.log(0.01)], 12],
  ])('refuse %s', (_, logprobs, vocabularySize) => {
    expect(entropyBounds(logprobs, vocabularySize)).toBeNull();
  });
});
