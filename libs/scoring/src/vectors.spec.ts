import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  binomialCdf,
  detectableMean,
  detectableRate,
  exactMcNemar,
  exactMcNemarWorse,
  incompleteBeta,
  meanInterval,
  momentsOf,
  normalCdf,
  normalQuantile,
  pairedTest,
  pairsNeeded,
  rateInterval,
  rougeL,
  squadF1,
  squadNormalise,
  studentCdf,
  studentQuantile,
} from './index.js';

// biome-ignore lint/suspicious/noExplicitAny: the vectors are JSON of many shapes; a wrong field fails the comparison.
type Json = any;

const read = (name: string): Json =>
  JSON.parse(readFileSync(new URL(`../../../test/vectors/evaluator/${name}.json`, import.meta.url), 'utf8'));
const stats = read('stats');
const special = read('special_functions').cases as { fn: string; args: number[]; expected: number }[];
const rouge = (read('rouge').cases as Json[]).filter(({ stemmer }) => !stemmer);
const squad = read('squad').cases as Json[];

function near(actual: number, expected: number, tolerance: number): void {
  expect(
    Math.abs(actual - expected) <= tolerance * Math.max(1e-300, Math.abs(expected)) || Math.abs(actual - expected) <= 1e-15,
    `${actual} is not ${expected}`,
  ).toBe(true);
}
const close = (actual: number, expected: number): void => {
  expect(Math.abs(actual - expected) <= 1e-9 * Math.max(1, Math.abs(expected)), `${actual} is not ${expected}`).toBe(true);
};

describe('special functions, to 1e-10 relative', () => {
  const functions: Record<string, (...args: number[]) => number> = {
    norm_ppf: normalQuantile,
    norm_cdf: normalCdf,
    t_ppf: studentQuantile,
    t_cdf: studentCdf,
    binom_cdf: binomialCdf,
    // The quantile itself is not needed here: its value must give the probability back.
    beta_ppf: (p = 0, a = 0, b = 0) =>
      incompleteBeta(special.find(({ fn, args }) => fn === 'beta_ppf' && args.join() === [p, a, b].join())?.expected ?? 0, a, b),
  };
  const covered = special.filter(({ fn }) => fn in functions);
  // The vectors' own Student quantiles are off by up to 4e-9: with two degrees the exact value at 0.6 is 1 / sqrt(12), which they miss by 3e-10.
  const tolerances: Record<string, number> = { t_ppf: 5e-9 };
  it.each(covered)('$fn($args)', ({ fn, args, expected }) => {
    const wanted = fn === 'beta_ppf' ? (args[0] ?? 0) : expected;
    near((functions[fn] as (...args: number[]) => number)(...args), wanted, tolerances[fn] ?? 1e-10);
  });
  it('Student quantiles are exact where a closed form tells, and give their probability back', () => {
    near(studentQuantile(0.6, 2), 1 / Math.sqrt(12), 1e-14);
    near(studentQuantile(0.75, 1), 1, 1e-14);
    for (const { args } of special.filter(({ fn }) => fn === 't_ppf')) {
      const [p = 0, df = 0] = args;
      near(studentCdf(studentQuantile(p, df), df), p, 1e-13);
    }
  });
  it('covers all that the comparison uses', () => expect(covered.length).toBeGreaterThan(30));
});

describe('comparison of two versions, to 1e-9', () => {
  it.each(stats.mean_se as Json[])('mean, spread and interval $#', ({ x, expected }: Json) => {
    const moments = momentsOf(x);
    const { lower, upper } = meanInterval(moments, 0.95);
    for (const [actual, wanted] of [
      [moments.mean, expected.mean],
      [moments.sd, expected.sd],
      [moments.se, expected.se],
      [lower, expected.ci95_t[0]],
      [upper, expected.ci95_t[1]],
    ])
      close(actual, wanted);
  });

  it.each(stats.paired as Json[])('paired difference $#', ({ stable, candidate, expected }: Json) => {
    const test = pairedTest(candidate.map((value: number, index: number) => value - stable[index]));
    const { lower, upper } = meanInterval(test, 0.95);
    close(test.mean, expected.mean_diff);
    close(test.se, expected.se_paired);
    close(test.t, expected.t);
    near(test.pTwoSided, expected.p_two_sided, 1e-9);
    near(test.pWorse, expected.p_less, 1e-9);
    close(lower, expected.ci95_t[0]);
    close(upper, expected.ci95_t[1]);
  });

  // The vectors count b: lost by the candidate, c: won by it.
  it.each(stats.mcnemar as Json[])('exact McNemar of $b lost and $c won', ({ b, c, expected }: Json) => {
    close(exactMcNemar({ worse: b, better: c }), expected.exact_two_sided);
    close(exactMcNemarWorse({ worse: b, better: c }), expected.exact_one_sided_candidate_worse);
  });

  it.each(stats.mde as Json[])('detectable mean difference of $n pairs', ({ n, sd_diff, alpha, power, sides, expected }: Json) => {
    close(detectableMean(n, sd_diff, { alpha, power, sides }), expected.mde);
    expect(pairsNeeded(0.02, sd_diff, { alpha, power, sides })).toBe(expected['n_for_delta_0.02']);
  });

  it.each(stats.mde_paired_binary as Json[])(
    'detectable difference of pass rates of $n pairs',
    ({ n, discordant_rate, alpha, power, expected }: Json) => {
      close(detectableRate(n, discordant_rate, { alpha, power, sides: 2 }), expected);
    },
  );

  it.each(stats.proportion_intervals as Json[])('Wilson interval of $k of $n at $alpha', ({ k, n, alpha, expected }: Json) => {
    const { lower, upper } = rateInterval(k, n, 1 - alpha);
    close(lower, expected.wilson[0]);
    close(upper, expected.wilson[1]);
  });
});

describe('ROUGE-L', () => {
  it.each(rouge)('$id', ({ reference, hypothesis, tokenizer, expected }: Json) => {
    const score = rougeL(hypothesis, reference, tokenizer === 'unicode' ? 'unicode' : 'ascii');
    close(score.precision, expected.rougeL.precision);
    close(score.recall, expected.rougeL.recall);
    close(score.f, expected.rougeL.f);
  });
});

describe('SQuAD', () => {
  it.each(squad)('$prediction against $golds', ({ golds, prediction, expected }: Json) => {
    expect(squadNormalise(prediction)).toBe(expected.normalized_prediction);
    expect(golds.some((gold: string) => squadNormalise(gold) === squadNormalise(prediction))).toBe(expected.em === 1);
    close(Math.max(...golds.map((gold: string) => squadF1(prediction, gold))), expected.f1_v2);
  });
});
