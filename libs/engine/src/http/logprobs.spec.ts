import { describe, expect, it } from 'vitest';
import { type ListedToken, readLogprobs, uncertaintyOf } from './logprobs.js';

const half = Math.log(0.5);

describe('log probabilities', () => {
  it('of chats are read with their bytes, highest first, k at most', () => {
    const raw = {
      content: [
        {
          token: ' a',
          bytes: [32, 97],
          logprob: half,
          top_logprobs: [
            { token: ' b', bytes: null, logprob: -2 },
            { token: ' a', bytes: [32, 97], logprob: half },
            { token: ' c', logprob: -3 },
          ],
        },
      ],
    };
    expect(readLogprobs(raw, 2)).toEqual([
      {
        text: ' a',
        bytes: [32, 97],
        logprob: half,
        complete: true,
        top: [
          { text: ' a', bytes: [32, 97], logprob: half },
          { text: ' b', bytes: [32, 98], logprob: -2 },
        ],
      },
    ]);
    expect(readLogprobs(raw, 0)[0]?.top).toEqual([]);
  });

  it('of older completions are read from their maps, without the chosen token beyond the k likeliest', () => {
    const raw = {
      tokens: [' z', ' y'],
      token_logprobs: [-9, null],
      top_logprobs: [{ ' a': half, ' b': -1, ' z': -9 }, null],
      text_offset: [0, 2],
    };
    const [token, ...others] = readLogprobs(raw, 2);
    expect(others).toEqual([]);
    expect(token).toMatchObject({ text: ' z', logprob: -9, complete: true, top: [{ text: ' a' }, { text: ' b' }] });
  });

  it('of older completions say nothing of the rest where two tokens shared a text', () => {
    const raw = { tokens: ['�'], token_logprobs: [-1], top_logprobs: [{ '�': -1.2, ' b': -2 }] };
    const [token] = readLogprobs(raw, 3);
    expect(token?.complete).toBe(false);
    expect(uncertaintyOf(token as ListedToken, 1_000)).toMatchObject({ kind: 'bounds', k: 0, lowerNats: 0, restMass: 1, nllNats: 1 });
  });

  it('of impossible tokens are finite', () => {
    const raw = { content: [{ token: 'x', logprob: -3.4028234663852886e38, top_logprobs: [{ token: 'y', logprob: 0 }] }] };
    expect(readLogprobs(raw, 5)).toMatchObject([{ logprob: -9_999, top: [{ text: 'y', logprob: 0 }] }]);
  });

  it.each([null, undefined, 7, 'x', [], {}, { content: null }, { content: [null, 7, { token: 1 }] }, { tokens: [1], token_logprobs: 'x' }])(
    'that are none are none: %j',
    (raw) => {
      expect(readLogprobs(raw, 5)).toEqual([]);
    },
  );
});

describe('the uncertainty of a token', () => {
  const token = (logprob: number, ...top: number[]): ListedToken => ({
    text: 'x',
    bytes: [120],
    logprob,
    complete: true,
    top: top.map((one) => ({ text: 'y', bytes: [121], logprob: one })),
  });

  it('is bounds and the negative log-likelihood of what was said', () => {
    expect(uncertaintyOf(token(-2, half, Math.log(0.25)), 100)).toMatchObject({ kind: 'bounds', k: 2, nllNats: 2, restMass: 0.25 });
    expect(uncertaintyOf(token(0.001), 100)).toMatchObject({ nllNats: 0 });
  });

  it('is none where the numbers contradict themselves', () => {
    expect(uncertaintyOf(token(-1, half, half, half), 100)).toEqual({ kind: 'none' });
    expect(uncertaintyOf(token(3, half), 100)).toEqual({ kind: 'none' });
    expect(uncertaintyOf(token(Number.NaN, half), 100)).toEqual({ kind: 'none' });
  });
});
