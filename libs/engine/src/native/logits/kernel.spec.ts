import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assemble } from '../../../../../scripts/build-kernel.mjs';
import { LogitsKernel, noCut } from './kernel.js';
import { kernelBinary } from './kernel-binary.js';
import { seededUniform } from './sampler.js';

const kernels = new Map<number, LogitsKernel>();

/** A kernel that has measured the row; used again for rows of the same length, as an engine does. */
function measured(row: ArrayLike<number>): LogitsKernel {
  const kernel = kernels.get(row.length) ?? new LogitsKernel(row.length);
  kernels.set(row.length, kernel);
  kernel.row.set(row);
  kernel.measure();
  return kernel;
}

const measure = (row: ArrayLike<number>) => {
  const kernel = kernels.get(row.length) ?? new LogitsKernel(row.length);
  kernel.row.set(row);
  return { ...kernel.measure() };
};

/** The same in double precision, plainly. */
function plain(row: Float32Array): { top: number; lnZ: number; entropyNats: number; probabilities: Float64Array } {
  let top = 0;
  for (let i = 0; i < row.length; i += 1) if (at(row, i) > at(row, top)) top = i;
  let sum = 0;
  for (const logit of row) sum += Math.exp(logit - at(row, top));
  const lnZ = at(row, top) + Math.log(sum);
  const probabilities = Float64Array.from(row, (logit) => Math.exp(logit - lnZ));
  let entropyNats = 0;
  for (let i = 0; i < row.length; i += 1) if (at(probabilities, i) > 0) entropyNats -= at(probabilities, i) * (at(row, i) - lnZ);
  return { top, lnZ, entropyNats, probabilities };
}

const at = (values: ArrayLike<number>, index: number): number => values[index] ?? Number.NaN;

function normals(size: number, spread: number, centre = 0, seed = 1): Float32Array {
  const uniform = seededUniform(seed);
  return Float32Array.from({ length: size }, () => {
    return centre + spread * Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  });
}

/** Rows of any size with equal logits and banned tokens among them, at least one token possible. */
const rows = fc
  .record({
    size: fc.integer({ min: 1, max: 700 }),
    seed: fc.nat(),
    spread: fc.constantFrom(0, 0.1, 3, 30),
    grid: fc.constantFrom(0, 0.5),
    bannedShare: fc.constantFrom(0, 0.3, 0.99),
  })
  .map(({ size, seed, spread, grid, bannedShare }) => {
    const uniform = seededUniform(seed);
    const row = normals(size, spread, 0, seed).map((logit) => (grid > 0 ? Math.round(logit / grid) * grid + 0 : logit));
    const spared = Math.floor(uniform() * size);
    return row.map((logit, token) => (token !== spared && uniform() < bannedShare ? -Infinity : logit));
  });

it('the committed binary is what kernel.wat assembles to', async () => {
  expect((await assemble('libs/engine/src/native/logits/kernel')).toString('base64')).toBe(kernelBinary);
});

describe('the measure of a row', () => {
  const size = 128_256;
  it.each<[string, Float32Array]>([
    ['flat', new Float32Array(size).fill(0.3)],
    ['nearly flat', normals(size, 0.3)],
    ['wide', normals(size, 3)],
    ['peaked', normals(size, 10)],
    ['very negative', normals(size, 3, -1e4)],
    ['very large', normals(size, 3, 1e4)],
    ['absurdly large', normals(size, 1e30)],
    ['one-hot', new Float32Array(size).fill(-1e4).fill(0, 77_777, 77_778)],
    ['one likely token over a flat tail as heavy as itself', new Float32Array(size).fill(0).fill(11.7, 5, 6)],
    ['two thirds banned', normals(size, 1).map((logit, token) => (token % 3 === 0 ? logit : -Infinity))],
  ])('has the entropy of double precision within 1e-5 nats at 128k tokens: %s', (_, row) => {
    const found = measure(row);
    const exact = plain(row);
    expect(Math.abs(found.entropyNats - exact.entropyNats)).toBeLessThan(1e-5);
    expect(Math.abs(found.lnZ - exact.lnZ)).toBeLessThan(1e-5);
    expect(found).toMatchObject({ finite: true, top: exact.top, topLogit: at(row, exact.top) });
  });

  it('agrees with double precision on rows of any size, with ties and bans', () => {
    fc.assert(
      fc.property(rows, (row) => {
        const found = measure(row);
        const exact = plain(row);
        expect(Math.abs(found.entropyNats - exact.entropyNats)).toBeLessThan(1e-5);
        expect(Math.abs(found.lnZ - exact.lnZ)).toBeLessThan(1e-5);
        const sorted = row.slice().sort().reverse();
        expect(found).toMatchObject({
          finite: true,
          top: exact.top,
          topLogit: at(sorted, 0),
          marginNats: at(sorted, 0) - (sorted[1] ?? -Infinity),
        });
      }),
    );
  });

  it('takes the lowest of equal tokens, wherever they lie', () => {
    const row = new Float32Array(1000).fill(1);
    for (const token of [999, 700, 65, 64, 3]) {
      row[token] = 2;
      expect(measure(row)).toMatchObject({ top: token, marginNats: token === 999 ? 1 : 0 });
    }
  });

  it('knows a single token to be certain', () => {
    const found = measure([-7]);
    expect(found).toMatchObject({ top: 0, topLogit: -7, lnZ: -7, marginNats: Infinity, finite: true });
    expect(found.entropyNats).toBeCloseTo(0, 12);
  });

  it.each<[string, number]>([
    ['NaN', Number.NaN],
    ['+Infinity', Infinity],
  ])('is not finite with one %s anywhere', (_, broken) => {
    for (const token of [0, 3, 63, 64, 500, 998, 999]) {
      // Among low logits too: a block that the sums would skip is not skipped by the check.
      const row = new Float32Array(1000).fill(-500).fill(0, 200, 201);
      row[token] = broken;
      const found = measure(row);
      expect(found.finite).toBe(false);
      expect(found.entropyNats).toBeNaN();
    }
    expect(measure(new Float32Array(1000)).finite).toBe(true);
  });

  it('is not finite when every token is banned', () => {
    expect(measure(new Float32Array(70).fill(-Infinity)).finite).toBe(false);
  });

  it('forgets the row before it', () => {
    const kernel = measured(new Float32Array(200).fill(9));
    kernel.edit(3, 50);
    expect(measured(normals(200, 1)).peakLogit).toBe(measure(normals(200, 1)).topLogit);
  });

  it('that found only first place takes the other pass when it is asked for more, edited or not', () => {
    const row = normals(300, 2);
    const whole = measure(row);
    const kernel = measured(row);
    const nll = kernel.nllNats(4);
    for (const edits of [0, 3]) {
      kernel.row.set(row);
      kernel.firstPlace();
      expect(kernel.measured).toEqual({ ...whole, lnZ: Number.NaN, entropyNats: Number.NaN });
      for (let token = 0; token < edits; token += 1) kernel.edit(whole.top - token, -50);
      expect(kernel.nllNats(4)).toBe(nll);
      expect(kernel.measured).toEqual(whole);
    }
  });

  it('refuses a size that no vocabulary has', () => {
    for (const size of [0, -1, 1.5, 2 ** 21 + 1]) expect(() => new LogitsKernel(size)).toThrow(RangeError);
  });
});

it('e^x is right to 3e-7 of itself wherever it counts', () => {
  // The weight of [0, x] is 1 + e^x, each from a lane of its own and added in double precision.
  let worst = 0;
  for (let x = -16; x <= 0; x += 1 / 256 + 1e-5) {
    const row = Float32Array.of(0, x);
    worst = Math.max(worst, Math.abs((measured(row).weight(noCut) - 1) / Math.exp(at(row, 1)) - 1));
  }
  expect(worst).toBeLessThan(3e-7);
  expect(measured([0, 0]).weight(noCut)).toBe(2);
});

describe('single tokens of a row', () => {
  it('have the NLL, log probability and rank of double precision', () => {
    fc.assert(
      fc.property(rows, fc.nat(), (row, pick) => {
        const kernel = measured(row);
        const token = pick % row.length;
        const logprob = at(row, token) - plain(row).lnZ;
        if (logprob === -Infinity) expect(kernel.nllNats(token)).toBe(Infinity);
        else expect(Math.abs(kernel.nllNats(token) + logprob)).toBeLessThan(1e-5);
        expect(kernel.logprob(token)).toBe(0 - kernel.nllNats(token));
        expect(kernel.rank(token)).toBe(row.filter((logit) => logit > at(row, token)).length);
      }),
    );
  });

  it('are listed by likelihood, the lower id first among equals', () => {
    fc.assert(
      fc.property(rows, fc.integer({ min: 0, max: 20 }), (row, count) => {
        const kernel = measured(row);
        const possible = Array.from(row.keys()).filter((token) => at(row, token) > -Infinity);
        const expected = possible.sort((a, b) => at(row, b) - at(row, a) || a - b).slice(0, count);
        expect(kernel.mostLikely(count)).toEqual(expected.map((token) => ({ token, logprob: kernel.logprob(token) })));
      }),
    );
  });

  it('are listed by likelihood when thousands equal the last of them', () => {
    const row = new Float32Array(5000).fill(1);
    for (const token of [4000, 4500, 4999]) row[token] = 2;
    const listed = measured(row).mostLikely(5);
    expect(listed.map(({ token }) => token)).toEqual([4000, 4500, 4999, 0, 1]);
  });

  it('are found above a threshold, in order of id, without banned ones', () => {
    fc.assert(
      fc.property(rows, fc.double({ min: -5, max: 5, noNaN: true }), (row, threshold) => {
        const kernel = measured(row);
        const floor = Math.fround(threshold);
        const found = Array.from(kernel.ids.slice(0, kernel.collectAbove(floor)));
        expect(found).toEqual(Array.from(row.keys()).filter((token) => at(row, token) >= floor));
        expect(kernel.collectAbove(-Infinity)).toBe(row.filter((logit) => logit > -Infinity).length);
      }),
    );
  });
});

describe('edits for sampling', () => {
  it('leave what is said about the raw row as it was', () => {
    const row = normals(900, 2);
    const kernel = measured(row);
    const said = () => {
      const logprobs = new Float32Array(900);
      kernel.writeLogprobs(logprobs);
      const tokens = Array.from(row.keys(), (token) => [kernel.nllNats(token), kernel.rank(token)]);
      return { tokens, logprobs, likely: kernel.mostLikely(20), measured: { ...kernel.measured } };
    };
    const before = said();
    const { top } = kernel.measured;
    kernel.edit(top, -100);
    kernel.edit(top, -200);
    kernel.edit(11, 40);
    kernel.edit(13, -Infinity);
    expect(said()).toEqual(before);
    expect(kernel.klFrom(before.logprobs)).toBe(0);
    // While sampling sees them.
    expect(kernel.peakToken).toBe(11);
    expect(kernel.collectAbove(30)).toBe(1);
    expect(kernel.countAbove(-1000)).toBe(899);
    kernel.undoEdits();
    expect(kernel.row).toEqual(row);
    expect(kernel.peakToken).toBe(top);
    expect(said()).toEqual(before);
  });

  it('refuse a token outside the vocabulary', () => {
    const kernel = measured([1, 2, 3]);
    expect(() => kernel.edit(3, 1)).toThrow('token 3 is not in a vocabulary of 3');
    expect(() => kernel.edit(-1, 1)).toThrow(RangeError);
    expect(() => kernel.nllNats(3)).toThrow(RangeError);
  });
});

describe('divergence of two rows', () => {
  it('is KL in nats within 1e-5 of double precision', () => {
    for (const [own, reference] of [
      [normals(32_000, 3, 0, 1), normals(32_000, 3, 0, 2)],
      [normals(32_000, 3, -1e4, 1), normals(32_000, 3, 1e4, 2)],
      [normals(5000, 8, 0, 1), normals(5000, 0.1, 0, 2)],
      [normals(4097, 2, 0, 1), normals(4097, 2, 0, 1).map((logit, token) => (token % 2 === 0 ? logit : -Infinity))],
    ] as const) {
      const logprobs = new Float32Array(reference.length);
      measured(reference).writeLogprobs(logprobs);
      const [p, q] = [plain(reference).probabilities, plain(own)];
      let exact = 0;
      for (let token = 0; token < own.length; token += 1) {
        if (at(p, token) > 0) exact += at(p, token) * (Math.log(at(p, token)) - (at(own, token) - q.lnZ));
      }
      expect(Math.abs(measured(own).klFrom(logprobs) - exact)).toBeLessThan(1e-5 * Math.max(1, exact));
    }
  });

  it('is zero for the same row, whatever was added to all its logits, and infinite where a possible token is banned', () => {
    const row = normals(500, 3).map((logit) => Math.round(logit * 256) / 256);
    const logprobs = new Float32Array(500);
    measured(row).writeLogprobs(logprobs);
    expect(measured(row.map((logit) => logit + 64)).klFrom(logprobs)).toBe(0);
    expect(measured(row.map((logit, token) => (token === 9 ? -Infinity : logit))).klFrom(logprobs)).toBe(Infinity);
  });

  it('refuses the log probabilities of another vocabulary', () => {
    expect(() => measured([1, 2]).klFrom(new Float32Array(3))).toThrow('the reference has 3 log probabilities, the vocabulary 2');
  });
});
