import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assemble } from '../../../../../scripts/build-kernel.mjs';
import { LogitsKernel } from './kernel.js';
import { kernelBinary } from './kernel-binary.js';
import { seededUniform } from './sampler.js';

/** The same figures in float64, term by term. */
function reference(row: Float32Array): { top: number; lnZ: number; entropyNats: number; marginNats: number } {
  let top = 0;
  for (let token = 1; token < row.length; token += 1) if ((row[token] ?? 0) > (row[top] ?? 0)) top = token;
  const max = row[top] ?? 0;
  let sum = 0;
  let weighted = 0;
  let second = Number.NEGATIVE_INFINITY;
  for (const [token, logit] of row.entries()) {
    const e = Math.exp(logit - max);
    sum += e;
    if (e > 0) weighted += e * (logit - max);
    if (token !== top && logit > second) second = logit;
  }
  return { top, lnZ: Math.log(sum) + max, entropyNats: Math.log(sum) - weighted / sum, marginNats: max - second };
}

function measured(row: Float32Array): LogitsKernel {
  const kernel = new LogitsKernel(row.length);
  kernel.row.set(row);
  kernel.measure();
  return kernel;
}

function rowOf(size: number, logit: (token: number, uniform: () => number) => number, seed = 1): Float32Array {
  const uniform = seededUniform(seed);
  return Float32Array.from({ length: size }, (_, token) => logit(token, uniform));
}

const normal = (uniform: () => number): number => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());

const anyRow = fc
  .tuple(
    fc.integer({ min: 2, max: 5_000 }),
    fc.nat(),
    fc.double({ min: 0.01, max: 20, noNaN: true }),
    fc.integer({ min: -10_000, max: 10_000 }),
    fc.double({ min: 0, max: 0.9, noNaN: true }),
  )
  .map(([size, seed, spread, offset, banned]) =>
    rowOf(
      size,
      (token, uniform) =>
        token > 1 && uniform() < banned ? Number.NEGATIVE_INFINITY : Math.round(normal(uniform) * spread * 64) / 64 + offset,
      seed,
    ),
  );

describe('the kernel', () => {
  it('is what the text beside it assembles to', async () => {
    expect((await assemble()).toString('base64')).toBe(kernelBinary);
  });

  it.each([
    ['flat', rowOf(128_256, () => 0.5)],
    ['noisy', rowOf(128_256, (_, uniform) => normal(uniform))],
    ['peaked', rowOf(128_256, (token, uniform) => (token === 77_777 ? 25 : normal(uniform)))],
    ['one-hot', rowOf(32_000, (token) => (token === 31_999 ? 0 : Number.NEGATIVE_INFINITY))],
    ['far below zero', rowOf(32_000, (_, uniform) => normal(uniform) * 3 - 10_000)],
    ['far above zero', rowOf(32_000, (_, uniform) => normal(uniform) * 3 + 10_000)],
    ['wide', rowOf(32_000, (_, uniform) => normal(uniform) * 40)],
    ['of one token', rowOf(1, () => 3)],
    ['of two equals', rowOf(2, () => 3)],
    ['no multiple of anything', rowOf(4_099, (_, uniform) => normal(uniform))],
  ])('measures a row that is %s as float64 does, to 1e-5 nats', (_, row) => {
    const { measured: found } = measured(row);
    const exact = reference(row);
    expect(found.finite).toBe(true);
    expect(found.top).toBe(exact.top);
    expect(Math.abs(found.entropyNats - exact.entropyNats)).toBeLessThan(1e-5);
    expect(Math.abs(found.lnZ - exact.lnZ)).toBeLessThan(1e-5 * Math.max(1, Math.abs(exact.lnZ) / 1_000));
    expect(found.marginNats).toBe(exact.marginNats);
  });

  it('measures any row as float64 does', () => {
    fc.assert(
      fc.property(anyRow, (row) => {
        const { measured: found } = measured(row);
        const exact = reference(row);
        expect(found.top).toBe(exact.top);
        expect(Math.abs(found.entropyNats - exact.entropyNats)).toBeLessThan(1e-5);
        expect(found.entropyNats).toBeLessThanOrEqual(Math.log(row.length) + 1e-5);
        expect(found.marginNats).toBe(exact.marginNats);
      }),
      { numRuns: 300 },
    );
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])('says that a row with %s is not finite, wherever it is', (bad) => {
    for (const at of [0, 5, 999]) {
      const row = rowOf(1_000, (_, uniform) => uniform());
      row[at] = bad;
      expect(measured(row).measured.finite).toBe(false);
    }
    expect(measured(rowOf(10, () => Number.NEGATIVE_INFINITY)).measured.finite).toBe(false);
  });

  it('forgets the row before: a kernel that is used again says the same as a new one', () => {
    const kernel = measured(rowOf(1_000, (_, uniform) => normal(uniform) + 50));
    kernel.edit().fill(3);
    kernel.edited();
    const row = rowOf(1_000, (_, uniform) => normal(uniform), 2);
    kernel.row.set(row);
    kernel.measure();
    expect(kernel.measured).toEqual(measured(row).measured);
    expect(kernel.likeliest).toBe(kernel.measured.top);
  });

  it('ranks and lists the most likely tokens as sorting would, whatever the ties', () => {
    fc.assert(
      fc.property(anyRow, fc.integer({ min: 0, max: 20 }), fc.nat(), (row, count, pick) => {
        const kernel = measured(row);
        const order = Array.from(row.keys()).sort((a, b) => (row[b] ?? 0) - (row[a] ?? 0) || a - b);
        const listed = count === 0 ? [] : kernel.mostLikely(count);
        const finite = order.filter((token) => row[token] !== Number.NEGATIVE_INFINITY);
        expect(listed.map(({ token }) => token).slice(0, finite.length)).toEqual(finite.slice(0, Math.min(count, row.length)));
        const token = pick % row.length;
        expect(kernel.rank(token)).toBe(row.filter((logit) => logit > (row[token] ?? 0)).length);
        expect(kernel.logprob(token)).toBeCloseTo((row[token] ?? 0) - reference(row).lnZ, 3);
      }),
      { numRuns: 200 },
    );
  });

  it('keeps figures and log probabilities of the raw row while an edited copy is sampled', () => {
    const row = rowOf(500, (_, uniform) => normal(uniform));
    const kernel = measured(row);
    const before = { ...kernel.measured, logprob: kernel.logprob(3) };
    kernel.edit()[3] = 100;
    kernel.edited();
    expect(kernel.likeliest).toBe(3);
    expect({ ...kernel.measured, logprob: kernel.logprob(3) }).toEqual(before);
  });

  it('gives the exact divergence of two rows', () => {
    const [p, q] = [rowOf(4_099, (_, uniform) => normal(uniform) * 3), rowOf(4_099, (_, uniform) => normal(uniform) * 3, 2)];
    const [left, right] = [measured(p), measured(q)];
    const logprobs = new Float32Array(p.length);
    left.writeLogprobs(logprobs);
    let exact = 0;
    for (const [token, logprob] of logprobs.entries()) exact += Math.exp(logprob) * (logprob - ((q[token] ?? 0) - reference(q).lnZ));
    expect(Math.abs(right.klFrom(logprobs) - exact)).toBeLessThan(1e-5);
    expect(left.klFrom(logprobs)).toBeLessThan(1e-6);
  });
});
