import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeHistograms, emptyHistograms, encodeHistograms, type Histogram, HistogramFormatError } from './index.js';

const histogram: fc.Arbitrary<Histogram> = fc
  .uniqueArray(fc.tuple(fc.integer({ min: -2_000, max: 2_000 }), fc.oneof(fc.integer({ min: 0, max: 300 }), fc.maxSafeNat())), {
    selector: ([index]) => index,
    maxLength: 30,
  })
  .map((cells) => new Map(cells));
const every = fc.record({
  entropy: histogram,
  length: histogram,
  ttft: histogram,
  interToken: histogram,
  total: histogram,
  input: histogram,
  cost: histogram,
  quality: histogram,
  nll: histogram,
});

describe('histograms as bytes', () => {
  it('come back as they were', () => {
    fc.assert(
      fc.property(every, (all) => {
        expect(decodeHistograms(encodeHistograms(all))).toEqual(all);
      }),
    );
    expect(decodeHistograms(encodeHistograms(emptyHistograms()))).toEqual(emptyHistograms());
  });

  it('do not depend on the order in which counts came', () => {
    fc.assert(
      fc.property(every, (all) => {
        const reversed = Object.fromEntries(
          Object.entries(all).map(([metric, one]) => [metric, new Map([...one].reverse())]),
        ) as typeof all;
        expect(encodeHistograms(reversed)).toEqual(encodeHistograms(all));
      }),
    );
  });

  it('are refused when cut anywhere but between two histograms', () => {
    const all = {
      ...emptyHistograms(),
      entropy: new Map([
        [-7, 3],
        [400, 1_000_000],
      ]),
      total: new Map([[12, 1]]),
    };
    const bytes = encodeHistograms(all);
    const [whole, first] = [bytes.length, encodeHistograms({ ...emptyHistograms(), entropy: all.entropy }).length];
    for (let length = 0; length < whole; length += 1) {
      if (length === 1 || length === first) continue;
      expect(() => decodeHistograms(bytes.subarray(0, length)), `${length} bytes`).toThrow(HistogramFormatError);
    }
  });

  it('are never something that was not written: any other bytes are refused', () => {
    fc.assert(
      fc.property(every, fc.nat(), fc.integer({ min: 1, max: 255 }), (all, where, flip) => {
        const bytes = Uint8Array.from(encodeHistograms(all));
        const at = where % bytes.length;
        bytes[at] = (bytes[at] ?? 0) ^ flip;
        let read: ReturnType<typeof decodeHistograms>;
        try {
          read = decodeHistograms(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(HistogramFormatError);
          return;
        }
        expect(encodeHistograms(read)).toEqual(bytes);
      }),
      { numRuns: 2_000 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (noise) => {
        const bytes = Uint8Array.from([1, ...noise]);
        try {
          expect(encodeHistograms(decodeHistograms(bytes))).toEqual(bytes);
        } catch (error) {
          if (!(error instanceof HistogramFormatError)) throw error;
        }
      }),
      { numRuns: 5_000 },
    );
  });

  it('of another format are refused by their number', () => {
    expect(() => decodeHistograms(Uint8Array.of(2))).toThrow(/unknown histogram format 2/);
    expect(() => decodeHistograms(new Uint8Array())).toThrow(HistogramFormatError);
  });
});
