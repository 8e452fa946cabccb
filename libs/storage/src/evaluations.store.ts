// Evaluations: asked for in the transaction that enters a gate, with the test set's version pinned then.
import type { EntityManager } from 'typeorm';
import type { Verdict } from '#libs/base';
import type { Evidence, GatePolicy } from '#libs/rollout';
import { json, row, rows, touched } from './rows.js';

export interface EvaluationRequest {
  /** Null for an evaluation that belongs to no rollout. */
  readonly rolloutId: string | null;
  readonly model: string;
  readonly candidateVersionId: string;
  readonly baselineVersionId: string | null;
  /** Name of the test set; its newest frozen version is pinned. */
  readonly testSet: string;
  readonly policy: GatePolicy;
}

interface GateRow {
  readonly rolloutId: string;
  readonly id: string;
  readonly state: 'queued' | 'running' | 'complete' | 'failed' | 'cancelled';
  readonly verdict: Verdict | null;
  readonly finding: {
    readonly effect?: number | null;
    readonly lower?: number | null;
    readonly upper?: number | null;
    readonly note?: string;
  } | null;
  readonly error: string | null;
}

export type EvaluationState = GateRow['state'];

/** What a worker needs to run one. */
export interface EvaluationRun {
  readonly id: string;
  readonly rolloutId: string | null;
  readonly model: string;
  readonly candidate: { readonly id: string; readonly label: string };
  /** Null: the candidate runs alone. */
  readonly baseline: { readonly id: string; readonly label: string } | null;
  readonly testSetVersionId: string;
  readonly policy: GatePolicy;
  readonly planned: number;
  /** Milliseconds since it was first begun, by the database's clock. */
  readonly runningMs: number;
}

/** An evaluation as people see it. Times are milliseconds since the epoch. */
export interface EvaluationRow {
  readonly id: string;
  readonly rolloutId: string | null;
  readonly model: string;
  readonly candidate: string;
  readonly baseline: string | null;
  readonly testSet: string;
  readonly testSetNumber: number;
  readonly testSetDigest: string;
  readonly policy: GatePolicy;
  readonly state: EvaluationState;
  readonly planned: number;
  /** Cases answered (or given up) by the candidate, and by the baseline. */
  readonly candidateDone: number;
  readonly baselineDone: number;
  readonly verdict: Verdict | null;
  readonly finding: Readonly<Record<string, unknown>> | null;
  readonly error: string | null;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
}

const versionRef = (alias: string): string => `json_build_object('id', ${alias}.id, 'label', ${alias}.label)`;

export class EvaluationStore {
  /** Queues one evaluation (one per rollout, a repeat answers the first). Throws when the test set has no frozen version: checked before the rollout began. */
  async request(tx: EntityManager, request: EvaluationRequest): Promise<string> {
    const added = await row<{ id: string }>(
      tx,
      `insert into evaluations (id, rollout_id, model, candidate_version_id, baseline_version_id, test_set_version_id, policy, planned)
       select gen_random_uuid(), $1, $2, $3, $4, v.id, $6, v.case_count
       from test_set_versions v join test_sets s on s.id = v.test_set_id where s.name = $5 order by v.number desc limit 1
       on conflict (rollout_id) where rollout_id is not null do update set rollout_id = excluded.rollout_id
       returning id`,
      [request.rolloutId, request.model, request.candidateVersionId, request.baselineVersionId, request.testSet, json(request.policy)],
    );
    if (!added) throw new Error(`test set ${request.testSet} has no frozen version`);
    return added.id;
  }

  /** The gate's answer for a rollout; null while none is there. A run that failed or was cancelled is inconclusive: it proves nothing either way. */
  async gateOf(tx: EntityManager, rolloutId: string): Promise<Evidence['gate']> {
    return (await this.gatesOf(tx, [rolloutId])).get(rolloutId) ?? null;
  }

  /** The gates' answers of several rollouts; those without one yet are left out. An answer stays what it is. */
  async gatesOf(tx: EntityManager, rolloutIds: readonly string[]): Promise<Map<string, NonNullable<Evidence['gate']>>> {
    if (rolloutIds.length === 0) return new Map();
    const found = await rows<GateRow>(
      tx,
      `select rollout_id as "rolloutId", id, state, verdict, finding, error from evaluations
       where rollout_id = any($1::uuid[]) and state not in ('queued', 'running')`,
      [[...rolloutIds]],
    );
    return new Map(
      found.map(({ rolloutId, id, state, verdict, finding, error }) => [
        rolloutId,
        {
          verdict: state === 'complete' ? (verdict ?? 'inconclusive') : 'inconclusive',
          note: finding?.note ?? error ?? (state === 'complete' ? '' : `the evaluation ${state}`),
          effect: finding?.effect ?? null,
          lower: finding?.lower ?? null,
          upper: finding?.upper ?? null,
          evaluationId: id,
        },
      ]),
    );
  }

  /** How far the evaluation of a rollout's gate is, in answers of both versions; null when there is none. */
  async progressOf(tx: EntityManager, rolloutId: string): Promise<{ id: string; planned: number; done: number } | null> {
    return await row(
      tx,
      `select e.id, e.planned * (case when e.baseline_version_id is null then 1 else 2 end) as planned,
         (select count(*) from evaluation_results r where r.evaluation_id = e.id)::int as done
       from evaluations e where e.rollout_id = $1`,
      [rolloutId],
    );
  }

  /** Ends an evaluation that nobody waits for any more. */
  async cancelForRollout(tx: EntityManager, rolloutId: string): Promise<void> {
    await tx.query(
      `update evaluations set state = 'cancelled', finished_at = clock_timestamp() where rollout_id = $1 and state in ('queued', 'running')`,
      [rolloutId],
    );
  }

  /** Ids that are not ended, oldest first, at most 100: each must have a worker. */
  async unfinished(tx: EntityManager): Promise<string[]> {
    const found = await rows<{ id: string }>(
      tx,
      `select id from evaluations where state in ('queued', 'running') order by created_at limit 100`,
    );
    return found.map(({ id }) => id);
  }

  /** Takes up an evaluation, for the first time or again after a crash; null when it has ended or was cancelled. */
  async begin(tx: EntityManager, id: string): Promise<EvaluationRun | null> {
    const begun = await touched(
      tx,
      `update evaluations set state = 'running', started_at = coalesce(started_at, clock_timestamp())
       where id = $1 and state in ('queued', 'running') returning id`,
      [id],
    );
    if (begun === 0) return null;
    return await row<EvaluationRun>(
      tx,
      `select e.id, e.rollout_id as "rolloutId", e.model, ${versionRef('c')} as candidate,
         case when b.id is null then null else ${versionRef('b')} end as baseline, e.test_set_version_id as "testSetVersionId", e.policy, e.planned,
         (extract(epoch from clock_timestamp() - e.started_at) * 1000)::float8 as "runningMs"
       from evaluations e join versions c on c.id = e.candidate_version_id left join versions b on b.id = e.baseline_version_id where e.id = $1`,
      [id],
    );
  }

  async stateOf(tx: EntityManager, id: string): Promise<EvaluationState | null> {
    return (await row<{ state: EvaluationState }>(tx, 'select state from evaluations where id = $1', [id]))?.state ?? null;
  }

  /** Ends a running evaluation with its verdict; false when it had ended (cancelled, or finished by another worker). */
  async complete(tx: EntityManager, id: string, answer: { readonly verdict: Verdict; readonly finding: unknown }): Promise<boolean> {
    return (
      (await touched(
        tx,
        `update evaluations set state = 'complete', verdict = $2, finding = $3, error = null, finished_at = clock_timestamp()
         where id = $1 and state = 'running' returning id`,
        [id, answer.verdict, json(answer.finding)],
      )) === 1
    );
  }

  /** Ends a running evaluation that could not be finished; false when it had ended. */
  async fail(tx: EntityManager, id: string, error: string): Promise<boolean> {
    return (
      (await touched(
        tx,
        `update evaluations set state = 'failed', error = $2, finished_at = clock_timestamp()
         where id = $1 and state in ('queued', 'running') returning id`,
        [id, error],
      )) === 1
    );
  }

  /** Ends an evaluation that belongs to no rollout; false when it had ended or has one. */
  async cancel(tx: EntityManager, id: string): Promise<boolean> {
    return (
      (await touched(
        tx,
        `update evaluations set state = 'cancelled', finished_at = clock_timestamp()
         where id = $1 and rollout_id is null and state in ('queued', 'running') returning id`,
        [id],
      )) === 1
    );
  }

  async get(tx: EntityManager, id: string): Promise<EvaluationRow | null> {
    return await row<EvaluationRow>(
      tx,
      `select e.id, e.rollout_id as "rolloutId", e.model, c.label as candidate, b.label as baseline, s.name as "testSet", v.number as "testSetNumber",
         v.digest as "testSetDigest", e.policy, e.state, e.planned, done.candidate as "candidateDone", done.baseline as "baselineDone",
         e.verdict, e.finding, e.error, ${epochMs('e.created_at')} as "createdAt", ${epochMs('e.started_at')} as "startedAt",
         ${epochMs('e.finished_at')} as "finishedAt"
       from evaluations e join versions c on c.id = e.candidate_version_id left join versions b on b.id = e.baseline_version_id
         join test_set_versions v on v.id = e.test_set_version_id join test_sets s on s.id = v.test_set_id
         cross join lateral (
           select count(*) filter (where r.version_id = e.candidate_version_id)::int as candidate,
             count(*) filter (where r.version_id = e.baseline_version_id)::int as baseline
           from evaluation_results r where r.evaluation_id = e.id
         ) done
       where e.id = $1`,
      [id],
    );
  }
}

function epochMs(column: string): string {
  return `(extract(epoch from ${column}) * 1000)::float8`;
}
