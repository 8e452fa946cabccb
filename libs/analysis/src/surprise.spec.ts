// Upstreams tell no exact entropy. What they tell of the chosen tokens is judged in its place, and only where both arms were asked alike.
import { describe, expect, it } from 'vitest';
import { testedOptions } from '../../../test/support/judge-options.js';
import { aWindow } from '../../../test/support/observation.js';
import { normals, uniforms } from '../../../test/support/random.js';
import { emptyHistograms, fitScores, histogramOf, judge, type Window, type WindowKey } from './index.js';

const uniform = uniforms(11);
const normal = normals(uniform);

/** `n` answers, log probabilities told for `share` of them, of a mean NLL that is `factor` times stable's; `exact`: the engine tells the entropy itself. */
function answers(arm: WindowKey['arm'], n: number, { factor = 1, share = 0.1, exact = false } = {}): Window[] {
  const values = Array.from({ length: n }, () => 0.4 * factor * Math.exp(0.4 * normal()));
  const told = values.filter(() => uniform() < share);
  return Array.from({ length: 10 }, (_, second) => {
    const part = <T>(all: readonly T[]): T[] => all.filter((_, at) => at % 10 === second);
    const histograms = {
      ...emptyHistograms(),
      length: histogramOf(part(values).map(() => 50)),
      total: histogramOf(part(values).map(() => 300)),
      nll: histogramOf(part(told)),
      entropy: exact ? histogramOf(part(values)) : new Map(),
    };
    const count = part(values).length;
    return aWindow(
      { arm, secondAt: second * 1_000 },
      { responses: count, units: count, lnTotalCount: count, lnTotalSum: count * 5.7, histograms },
    );
  });
}

const scores = fitScores(answers(null, 4_000), { minResponses: 500, minPerClass: 100 });
const entropyOf = (windows: Window[], own = scores) =>
  judge({ ...testedOptions({ scores: own }), windows }).findings.find(({ check }) => check === 'entropy');

describe('the entropy of an upstream', () => {
  it('is judged by the surprise of the chosen tokens, and says so', () => {
    const finding = entropyOf([...answers('stable', 3_000), ...answers('candidate', 3_000, { factor: 1.6 })]);
    expect(finding).toMatchObject({ direction: 'up', note: expect.stringMatching(/NLL.* (9\.\d|10|11)% of the answers/) });
    expect(finding?.logE).toBeGreaterThan(Math.log(1_000));
    expect(finding?.effect).toBeCloseTo(0.6, 1);
  });

  it('finds nothing where the candidate is as sure as stable', () => {
    expect(entropyOf([...answers('stable', 3_000), ...answers('candidate', 3_000)])?.logE).toBeLessThan(0);
  });

  it('is unmeasured where one arm was asked more often: what was told is no draw of the coin any more', () => {
    const finding = entropyOf([...answers('stable', 3_000), ...answers('candidate', 3_000, { factor: 1.6, share: 0.9 })]);
    expect(finding).toMatchObject({ verdict: 'unmeasured', logE: 0, note: expect.stringContaining('engine.logprobs.share') });
  });

  it('is the exact one where the engine tells it, whatever is told beside', () => {
    const exact = fitScores(answers(null, 4_000, { exact: true }), { minResponses: 500, minPerClass: 100 });
    const finding = entropyOf([...answers('stable', 500, { exact: true }), ...answers('candidate', 500, { exact: true })], exact);
    expect([finding?.nStable, finding?.nCandidate]).toEqual([500, 500]);
    expect(finding?.note).toBeUndefined();
  });
});
