import { describe, expect, it } from 'vitest';
import { anObservation } from '../../../test/support/observation.js';
import { bucketOf, countOf, type Observation, overflowClass, type Window, WindowBook } from './index.js';

function book(...observations: Partial<Observation>[]): Window[] {
  const windows = new WindowBook();
  for (const one of observations) windows.add(anObservation(one));
  return windows.drain();
}
const countsOf = (...observations: Partial<Observation>[]) => {
  const [window, ...others] = book(...observations);
  expect(others).toEqual([]);
  return window?.counts;
};

describe('an observation', () => {
  it('goes into the window of its assignment second, whenever it finished', () => {
    const windows = book({ assignedAt: 1_000 }, { assignedAt: 1_999 }, { assignedAt: 2_000 });
    expect(windows.map(({ key, counts }) => [key.secondAt, counts.responses])).toEqual([
      [1_000, 2],
      [2_000, 1],
    ]);
  });

  it('is kept apart by version, rollout, epoch, arm and class', () => {
    const apart: Partial<Observation>[] = [
      {},
      { versionId: 'v9' },
      { rolloutId: 'r9' },
      { epoch: 9 },
      { arm: 'candidate' },
      { promptClass: 'code' },
      { model: 'other' },
    ];
    expect(book(...apart)).toHaveLength(apart.length);
  });

  it('adds each of its measures to its histogram', () => {
    const counts = countsOf({ entropyMeanNats: 0.3, outputTokens: 20, ttftMs: 40, interTokenMs: 5, totalMs: 250 });
    expect(counts?.histograms).toEqual({
      entropy: new Map([[bucketOf(0.3), 1]]),
      length: new Map([[bucketOf(20), 1]]),
      ttft: new Map([[bucketOf(40), 1]]),
      interToken: new Map([[bucketOf(5), 1]]),
      total: new Map([[bucketOf(250), 1]]),
      input: new Map([[bucketOf(12), 1]]),
      cost: new Map(),
      quality: new Map(),
      nll: new Map([[bucketOf(0.2), 1]]),
    });
    expect(counts).toMatchObject({ responses: 1, errors: 0, lnTotalCount: 1, lnTotalSum: Math.log(250) });
  });

  it('without a token is the shortest answer, not an invisible one', () => {
    const [empty, short] = [
      countsOf({ outputTokens: 0, entropyMeanNats: null })?.histograms.length,
      countsOf({ outputTokens: 1 })?.histograms.length,
    ];
    expect(countOf(empty ?? new Map())).toBe(1);
    expect(Math.max(...(empty?.keys() ?? []))).toBeLessThan(Math.min(...(short?.keys() ?? [])));
  });

  it('that failed counts as a response and an event, and measures nothing', () => {
    for (const [outcome, errors, timeouts] of [
      ['error', 1, 0],
      ['timeout', 0, 1],
    ] as const) {
      const counts = countsOf({ outcome });
      expect(counts).toMatchObject({ responses: 1, errors, timeouts, lnTotalCount: 0 });
      expect(Object.values(counts?.histograms ?? {}).every((one) => one.size === 0)).toBe(true);
    }
  });

  it('that the client or the load ended is held against no version', () => {
    expect(countsOf({ outcome: 'clientGone' })).toMatchObject({ responses: 0, errors: 0, clientGone: 1 });
    expect(countsOf({ outcome: 'shed' })).toMatchObject({ responses: 0, errors: 0, clientGone: 0 });
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])('with a value of %d is counted, never dropped', (value) => {
    const counts = countsOf({ entropyMeanNats: value });
    expect(counts).toMatchObject({ responses: 1, nonFinite: 1 });
    expect(counts?.histograms.entropy.size).toBe(0);
    expect(counts?.histograms.total.size).toBe(1);
  });

  it('with several broken values is one event: there are never more events than responses', () => {
    expect(countsOf({ entropyMeanNats: Number.NaN, ttftMs: Number.NaN, interTokenMs: Number.NaN, totalMs: Number.NaN })).toMatchObject({
      responses: 1,
      nonFinite: 1,
      lnTotalCount: 0,
    });
  });

  it('that was counted unfinished adds only its values when it ends, in whatever way', () => {
    const windows = new WindowBook();
    const { model, versionId, rolloutId, epoch, arm, promptClass, unit, assignedAt } = anObservation({ unit: 'slow' });
    windows.unfinished({ model, versionId, rolloutId, epoch, arm, promptClass, unit, assignedAt });
    windows.add(anObservation());
    expect(windows.drain()[0]?.counts).toMatchObject({ responses: 2, unfinished: 1, units: 2, lnTotalCount: 1 });
    for (const outcome of ['ok', 'error', 'timeout'] as const) {
      windows.add(anObservation({ unit: 'slow', outcome, countedUnfinished: true }));
      const counts = windows.drain()[0]?.counts;
      expect(counts).toMatchObject({
        responses: 0,
        unfinished: 0,
        errors: 0,
        timeouts: 0,
        units: 0,
        lnTotalCount: outcome === 'ok' ? 1 : 0,
      });
    }
  });

  it('of a cold replica counts with everything but its times', () => {
    const counts = countsOf({ cold: true, costMicros: 40 });
    expect(counts).toMatchObject({ responses: 1, units: 1, lnTotalCount: 0, lnTotalSum: 0 });
    const sizes = Object.entries(counts?.histograms ?? {}).filter(([, one]) => one.size > 0);
    expect(sizes.map(([metric]) => metric).sort()).toEqual(['cost', 'entropy', 'input', 'length', 'nll']);
  });

  it('counts its unit once a window', () => {
    expect(countsOf({ unit: 'a' }, { unit: 'a' }, { unit: 'b' })).toMatchObject({ responses: 3, units: 2 });
  });
});

describe('a book', () => {
  it('forgets what it handed over: a late answer comes again with only itself', () => {
    const windows = new WindowBook();
    windows.add(anObservation());
    windows.add(anObservation());
    expect(windows.drain()[0]?.counts.responses).toBe(2);
    windows.add(anObservation());
    expect(windows.drain()[0]?.counts.responses).toBe(1);
    expect(windows.drain()).toEqual([]);
  });

  it('knows 32 classes a model at most, whatever clients send', () => {
    const windows = new WindowBook();
    for (let one = 0; one < 1_000; one += 1)
      for (const model of ['a', 'b']) windows.add(anObservation({ model, promptClass: `class-${one}` }));
    const drained = windows.drain();
    for (const model of ['a', 'b']) {
      const classes = drained.filter(({ key }) => key.model === model);
      expect(classes).toHaveLength(32);
      expect(classes.find(({ key }) => key.promptClass === overflowClass)?.counts.responses).toBe(969);
    }
  });
});
