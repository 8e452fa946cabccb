import { describe, expect, it } from 'vitest';
import { endStates } from './end-state.js';
import { LogHistogram } from './log-histogram.js';
import { RequestBook } from './request-book.js';

const version = (id: string) => ({ id, model: 'support', label: id, digest: '', spec: {} });

describe('a request book', () => {
  it('has every request that began in one count, however many versions came and went', () => {
    const book = new RequestBook();
    for (let i = 0; i < 1_000; i += 1) {
      book.begin();
      book.end({ version: i % 7 === 0 ? null : version(`v${i % 400}`), state: endStates[i % endStates.length] ?? 'ok' });
    }
    book.begin();
    const { begun, inFlight, withoutVersion, versions, olderVersions } = book.read();
    const all = [withoutVersion, olderVersions, ...Object.values(versions).map(({ counts }) => counts)];
    const ended = all.flatMap((counts) => Object.values(counts)).reduce((sum, count) => sum + count, 0);
    expect([begun, inFlight, ended]).toEqual([1_001, 1, 1_000]);
    expect(Object.keys(versions).length).toBeLessThanOrEqual(256);
  });
});

describe('a histogram of durations', () => {
  it('tells quantiles within one percent, at every scale', () => {
    for (const scale of [0.001, 1, 500]) {
      const histogram = new LogHistogram();
      for (let i = 1; i <= 1_000; i += 1) histogram.add(i * scale);
      const { count, p50, p99 } = histogram.quantiles();
      expect(count).toBe(1_000);
      expect(Math.abs((p50 ?? 0) / (500 * scale) - 1)).toBeLessThan(0.011);
      expect(Math.abs((p99 ?? 0) / (990 * scale) - 1)).toBeLessThan(0.011);
    }
  });

  it('is empty before the first, and takes what is beyond its ends', () => {
    const histogram = new LogHistogram();
    expect(histogram.quantiles()).toEqual({ count: 0, p50: null, p99: null, p999: null });
    for (const odd of [-1, 0, Number.NaN, Number.POSITIVE_INFINITY]) histogram.add(odd);
    expect(histogram.quantiles().count).toBe(3);
  });
});
