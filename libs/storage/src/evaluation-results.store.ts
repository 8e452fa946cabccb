// What each version answered to each case. A row is written once and never changed: a repeat after a crash changes nothing.
import type { EntityManager } from 'typeorm';
import { row, rows } from './rows.js';

/** `errored`: no answer could be had. `answered` says nothing about being right: that is `passed`. */
export type ResultOutcome = 'answered' | 'errored';

export interface EvaluationResult {
  readonly versionId: string;
  readonly caseIdx: number;
  readonly outcome: ResultOutcome;
  readonly output: string | null;
  readonly passed: boolean | null;
  readonly score: number | null;
  /** Requests that it took, retries included. */
  readonly attempts: number;
  /** Of the last request. */
  readonly latencyMs: number | null;
  readonly outputTokens: number | null;
  readonly error: string | null;
}

/** The part of a result that a verdict needs. */
export interface ResultMark {
  readonly versionId: string;
  readonly caseIdx: number;
  readonly outcome: ResultOutcome;
  readonly passed: boolean | null;
}

/** One case with both answers, for people. */
export interface EvaluationCaseRow {
  readonly idx: number;
  readonly id: string;
  readonly content: Readonly<Record<string, unknown>>;
  readonly candidate: Omit<EvaluationResult, 'versionId' | 'caseIdx'> | null;
  readonly baseline: Omit<EvaluationResult, 'versionId' | 'caseIdx'> | null;
}

const resultJson = (alias: string): string =>
  `case when ${alias}.evaluation_id is null then null else json_build_object('outcome', ${alias}.outcome, 'output', ${alias}.output,
    'passed', ${alias}.passed, 'score', ${alias}.score, 'attempts', ${alias}.attempts, 'latencyMs', ${alias}.latency_ms,
    'outputTokens', ${alias}.output_tokens, 'error', ${alias}.error) end`;

export class EvaluationResultStore {
  /** Keeps the first result of a case; false when the evaluation is no longer running, and then nothing is written. */
  async record(tx: EntityManager, evaluationId: string, result: EvaluationResult): Promise<boolean> {
    const answer = await row<{ running: boolean }>(
      tx,
      `with live as (select id from evaluations where id = $1 and state = 'running'),
       added as (
         insert into evaluation_results (evaluation_id, version_id, case_idx, outcome, output, passed, score, attempts, latency_ms, output_tokens, error)
         select id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 from live on conflict do nothing
       )
       select exists (select 1 from live) as running`,
      [
        evaluationId,
        result.versionId,
        result.caseIdx,
        result.outcome,
        result.output,
        result.passed,
        result.score,
        result.attempts,
        result.latencyMs,
        result.outputTokens,
        result.error,
      ],
    );
    return answer?.running ?? false;
  }

  /** Everything stored so far, without the texts. */
  async marks(tx: EntityManager, evaluationId: string): Promise<ResultMark[]> {
    return await rows(
      tx,
      `select version_id as "versionId", case_idx as "caseIdx", outcome, passed from evaluation_results where evaluation_id = $1 and repeat = 0`,
      [evaluationId],
    );
  }

  /**
   * Cases of an evaluation with both answers, by index, after an index. `flipped` keeps those that one version passed and the other did not.
   */
  async cases(
    tx: EntityManager,
    evaluationId: string,
    { after, limit, flipped }: { readonly after: number; readonly limit: number; readonly flipped: boolean },
  ): Promise<EvaluationCaseRow[]> {
    return await rows(
      tx,
      `select t.idx, t.external_id as id, t.content, ${resultJson('c')} as candidate, ${resultJson('b')} as baseline
       from evaluations e join test_cases t on t.test_set_version_id = e.test_set_version_id
         left join evaluation_results c on c.evaluation_id = e.id and c.version_id = e.candidate_version_id and c.case_idx = t.idx and c.repeat = 0
         left join evaluation_results b on b.evaluation_id = e.id and b.version_id = e.baseline_version_id and b.case_idx = t.idx and b.repeat = 0
       where e.id = $1 and t.idx > $2 and (not $4 or coalesce(c.passed, false) <> coalesce(b.passed, false)) order by t.idx limit $3`,
      [evaluationId, after, limit, flipped],
    );
  }
}
