import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EvidenceResource, FindingResource } from '#libs/contract';
import { axisRange, chartSummary, marginText, pointText, toSeries } from './chart-data.js';

const blank: FindingResource = {
  check: 'entropy',
  verdict: 'inconclusive',
  logE: 0,
  effect: null,
  lower: null,
  upper: null,
  marginUp: 0.1,
  marginDown: -0.1,
  unit: 'ratio',
  nStable: 0,
  nCandidate: 0,
};

function look(at: number, finding: Partial<FindingResource>): EvidenceResource {
  return {
    at,
    epoch: 1,
    arms: { stable: { state: 'ready' }, candidate: { state: 'ready' } },
    gateways: { live: 1, applied: 1 },
    gate: null,
    reference: { responses: 500, fitted: true },
    findings: [{ ...blank, ...finding }],
    combined: { logE: 0, threshold: 4.6, share: {} },
    promotion: [],
    counts: { stable: 0, candidate: 0, candidateUnits: 0, stepCandidate: 0, stepStable: 0, lastStableAt: null, lastCandidateAt: null },
    command: null,
  };
}

describe('the columns of the chart', () => {
  it('leave out the wait before the first measurement, but for one look', () => {
    const series = toSeries([look(1, {}), look(2, {}), look(3, { effect: 0.05, lower: -0.1, upper: 0.2 })], 'entropy');
    expect(series.at).toEqual([2, 3]);
    expect(series.effect).toEqual([null, 0.05]);
    expect(series.measured).toBe(1);
  });

  it('are empty, with the reason, while nothing was measured', () => {
    const series = toSeries([look(1, { note: 'one arm has no answers yet' })], 'entropy');
    expect(series).toMatchObject({ at: [], measured: 0, note: 'one arm has no answers yet' });
    expect(chartSummary(series, 'Output entropy')).toBe('Output entropy: nothing measured yet.');
  });

  it('are those of the asked check alone', () => {
    expect(toSeries([look(1, { effect: 0.3 })], 'latency').at).toEqual([]);
  });
});

describe('the axis', () => {
  it('shows the margins even when every effect is tiny', () => {
    const [low, high] = axisRange(toSeries([look(1, { effect: 0.001 }), look(2, { effect: 0.002 })], 'entropy'));
    expect(low).toBeLessThan(-0.1);
    expect(high).toBeGreaterThan(0.1);
  });

  it('is not flattened by the wide intervals of the first looks', () => {
    const looks = Array.from({ length: 10 }, (_one, index) =>
      look(index, { effect: 0.05, lower: index < 3 ? -50 : -0.02, upper: index < 3 ? 50 : 0.12 }),
    );
    const [low, high] = axisRange(toSeries(looks, 'entropy'));
    expect(high).toBeLessThan(0.3);
    expect(low).toBeGreaterThan(-0.3);
  });

  it('always holds the newest effect and zero, and has a height', () => {
    const effects = fc.array(fc.double({ min: -0.99, max: 50, noNaN: true }), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(effects, fc.option(fc.double({ min: 0.01, max: 5, noNaN: true }), { nil: null }), (values, marginUp) => {
        const [low, high] = axisRange(
          toSeries(
            values.map((effect, at) => look(at, { effect, lower: effect - 1, upper: effect + 1, marginUp, marginDown: null })),
            'entropy',
          ),
        );
        const newest = values.at(-1) ?? 0;
        return low < high && low <= newest && newest <= high && low <= 0 && high >= 0;
      }),
    );
  });
});

describe('a point in words', () => {
  it('has the effect and its interval', () => {
    const series = toSeries([look(1, { effect: 0.071, lower: 0.029, upper: 0.114 })], 'entropy');
    expect(pointText(series, 0)).toBe('+7.1% (+2.9% .. +11.4%)');
  });

  it('says what is unknown', () => {
    expect(pointText(toSeries([look(1, {}), look(2, { effect: 0.1 })], 'entropy'), 0)).toBe('not measured yet');
  });

  it('writes a margin of both sides once', () => {
    expect(marginText(0.15, -0.15, 'ratio')).toBe('±15%');
    expect(marginText(0.33, -0.25, 'ratio')).toBe('+33% / −25%');
    expect(marginText(0.02, null, 'points')).toBe('+2 points');
    expect(marginText(null, null, 'ratio')).toBe('–');
  });
});
