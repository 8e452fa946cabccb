import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bucketOf, decodeRatios, encodeRatios, HistogramFormatError, type MirroredPrompt, PairedBook } from './index.js';

const pair: MirroredPrompt = {
  rolloutId: 'r1',
  promptClass: 'chat',
  assignedAt: 1_500,
  outcome: 'pair',
  entropy: { stable: 0.5, candidate: 0.6 },
  length: { stable: 20, candidate: 10 },
  loopedStable: false,
  loopedCandidate: true,
  forced: { nll: { stable: 1, candidate: 1.1 }, entropy: { stable: 0.5, candidate: 0.45 } },
};
const drained = (...prompts: Partial<MirroredPrompt>[]) => {
  const book = new PairedBook();
  for (const one of prompts) book.add({ ...pair, ...one });
  return book.drain();
};

describe('a book of mirrored prompts', () => {
  it('keeps of a pair the ratios of the candidate to stable, in the second of stable', () => {
    expect(drained({})).toEqual([
      {
        rolloutId: 'r1',
        promptClass: 'chat',
        secondAt: 1_000,
        counts: {
          pairs: 1,
          forced: 1,
          failures: 0,
          loopsStable: 0,
          loopsCandidate: 1,
          ratios: {
            forcedNll: new Map([[bucketOf(1.1), 1]]),
            forcedEntropy: new Map([[bucketOf(0.9), 1]]),
            entropy: new Map([[bucketOf(1.2), 1]]),
            length: new Map([[bucketOf(0.5), 1]]),
          },
        },
      },
    ]);
  });

  it('counts a failure as that, keeps what was read before it, and remembers nothing of what was taken back', () => {
    const [window] = drained({ outcome: 'failure' }, { outcome: 'failure', forced: null }, { outcome: 'none', forced: null });
    expect(window?.counts).toMatchObject({ pairs: 0, failures: 2, forced: 1, loopsCandidate: 0 });
    expect(window?.counts.ratios.length.size).toBe(0);
    expect(drained({ outcome: 'none', forced: null })).toEqual([]);
  });

  it('finds two answers without entropy alike, an answer without a token half as long as one of one, and drops what is no number', () => {
    const [window] = drained({ entropy: { stable: 0, candidate: 0 }, length: { stable: 1, candidate: 0 } });
    expect([...(window?.counts.ratios.entropy.keys() ?? [])]).toEqual([bucketOf(1)]);
    expect([...(window?.counts.ratios.length.keys() ?? [])]).toEqual([bucketOf(0.5)]);
    const [odd] = drained({ entropy: { stable: 1, candidate: Number.NaN }, forced: { nll: null, entropy: null } });
    expect(odd?.counts).toMatchObject({ pairs: 1, forced: 1 });
    expect([odd?.counts.ratios.entropy.size, odd?.counts.ratios.forcedNll.size]).toEqual([0, 0]);
  });

  it('knows 32 classes, whatever clients send, and forgets what it handed over', () => {
    const book = new PairedBook();
    for (let n = 0; n < 100; n += 1) book.add({ ...pair, promptClass: `c${n}` });
    expect(book.drain()).toHaveLength(32);
    expect(book.drain()).toEqual([]);
  });

  it('is stored and read again as it was, and nothing else is read', () => {
    const ratio = fc.integer({ min: -900, max: 900 });
    const histogram = fc.array(fc.tuple(ratio, fc.integer({ min: 1, max: 1_000 }))).map((entries) => new Map(entries));
    fc.assert(
      fc.property(fc.record({ forcedNll: histogram, forcedEntropy: histogram, entropy: histogram, length: histogram }), (ratios) => {
        expect(decodeRatios(encodeRatios(ratios))).toEqual(ratios);
      }),
    );
    expect(() => decodeRatios(Uint8Array.from([1, 9, 1, 0, 1]))).toThrow(HistogramFormatError);
  });
});
