import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TokenScore } from '#libs/engine';
import { bestOf, figuresOf, likelihoodOf } from './figures.js';

const scored = (nllNats: number | null, more: Partial<TokenScore> = {}): TokenScore => ({
  token: 1,
  text: 'x',
  nllNats,
  entropyNats: nllNats,
  rank: nllNats === null ? null : 0,
  ...more,
});

describe('the figures of a sequence', () => {
  it('know nothing of a text without a scored token, rather than call it perfect', () => {
    expect(figuresOf({ tokens: [scored(null)] }, 'x')).toEqual({
      nll_total: 0,
      tokens: 0,
      bytes: 1,
      perplexity: null,
      bits_per_byte: null,
      entropy_mean: null,
      entropy_max: null,
      greedy: false,
    });
  });

  it('count bytes by the text as given, by the tokens without one, and not at all where tokens are no text', () => {
    const tokens = [scored(1, { text: 'ä' }), scored(1, { text: '\u{fffd}' })];
    expect(figuresOf({ tokens }, 'ä🍕').bytes).toBe(6);
    expect(figuresOf({ tokens: [scored(1, { text: 'ä' })] }, null).bytes).toBe(2);
    expect(figuresOf({ tokens }, null)).toMatchObject({ bytes: null, bits_per_byte: null });
  });

  it('agree with one another: perplexity and bits per byte tell the same total', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 30, noNaN: true }), { minLength: 1, maxLength: 50 }), (nll) => {
        const figures = figuresOf({ tokens: nll.map((one) => scored(one)) }, null);
        expect(Math.log(figures.perplexity ?? 0) * figures.tokens).toBeCloseTo(figures.nll_total, 6);
        expect((figures.bits_per_byte ?? 0) * Math.LN2 * (figures.bytes ?? 0)).toBeCloseTo(figures.nll_total, 6);
        expect(likelihoodOf(figures).log_likelihood).toBe(-figures.nll_total);
      }),
    );
  });
});

describe('the best continuation', () => {
  const of = (log_likelihood: number, log_likelihood_per_byte: number | null) => ({
    log_likelihood,
    log_likelihood_per_token: log_likelihood,
    log_likelihood_per_byte,
  });

  it('may be another one raw than by bytes, and is the first of equals', () => {
    expect(bestOf([of(-3, -0.1), of(-2, -0.5), of(-2, -0.1)])).toEqual({ raw: 1, byte_normalised: 0 });
  });

  it('is not told by bytes where one has no known length', () => {
    expect(bestOf([of(-3, -0.1), of(-2, null)])).toEqual({ raw: 1, byte_normalised: null });
  });
});
