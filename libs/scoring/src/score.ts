// Scores one answer of a case: a number in [0, 1] and whether it passed.
import { unreachable } from '#libs/base';
import { equalFieldShare, jsonEqual, parseJson } from './score-json.js';
import { isNear, numberIn } from './score-numeric.js';
import { rougeL } from './score-rouge.js';
import { normalise, squadF1 } from './score-text.js';
import { referencesOf, type Scoring, type TestCase } from './test-case.js';

export interface Score {
  /** 0 (nothing right) to 1. */
  readonly score: number;
  readonly passed: boolean;
}

/** The score of the best reference; a pass beats any score that is none. Deterministic; the answer may be any text. */
export function scoreAnswer(answer: string, testCase: Pick<TestCase, 'expected' | 'scoring'>): Score {
  const scores = referencesOf(testCase).map((reference) => scoreOne(answer.trim(), reference.trim(), testCase.scoring));
  return scores.reduce((best, next) => ((Number(next.passed) - Number(best.passed) || next.score - best.score) > 0 ? next : best), {
    score: 0,
    passed: false,
  });
}

function allOrNothing(passed: boolean): Score {
  return { score: passed ? 1 : 0, passed };
}

function scoreOne(answer: string, reference: string, scoring: Scoring): Score {
  switch (scoring.type) {
    case 'exact':
      return allOrNothing(answer === reference);
    case 'normalized': {
      const form = { form: scoring.form ?? 'NFKC', case: scoring.case ?? 'ignore', punctuation: scoring.punctuation ?? 'ignore' } as const;
      return allOrNothing(normalise(answer, form) === normalise(reference, form));
    }
    case 'squad': {
      const score = squadF1(answer, reference);
      return { score, passed: score >= (scoring.min ?? 1) };
    }
    case 'json': {
      const said = parseJson(answer);
      return allOrNothing(said !== undefined && jsonEqual(said, parseJson(reference)));
    }
    case 'json-fields': {
      const score = equalFieldShare(parseJson(answer), parseJson(reference), scoring.fields);
      return { score, passed: score === 1 };
    }
    case 'numeric': {
      const [said, wanted] = [numberIn(answer, scoring.take ?? 'last'), numberIn(reference, 'whole')];
      return allOrNothing(said !== null && wanted !== null && isNear(said, wanted, scoring.tolerance ?? 0, scoring.relative ?? 0));
    }
    case 'contains':
      return scoreContains(answer, reference, scoring);
    case 'rouge': {
      const { f } = rougeL(answer, reference, scoring.tokens);
      return { score: f, passed: f >= scoring.min };
    }
    default:
      return unreachable(scoring);
  }
}

function scoreContains(answer: string, reference: string, { all = [], any, rouge_min }: Extract<Scoring, { type: 'contains' }>): Score {
  const found = all.filter((phrase) => answer.includes(phrase)).length;
  const anyFound = any === undefined || any.some((phrase) => answer.includes(phrase));
  const parts = all.length + (any === undefined ? 0 : 1);
  const share = parts === 0 ? 0 : (found + (any !== undefined && anyFound ? 1 : 0)) / parts;
  const alike = rouge_min === undefined || rougeL(answer, reference).f >= rouge_min;
  return { score: share, passed: found === all.length && anyFound && alike };
}
