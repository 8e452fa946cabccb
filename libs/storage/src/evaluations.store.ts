// Evaluations: asked for in the transaction that enters a gate, with the test set's version pinned then.
import type { EntityManager } from 'typeorm';
import type { Verdict } from '#libs/base';
import type { Evidence, GatePolicy } from '#libs/rollout';
import { json, row } from './rows.js';

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
    const found = await row<GateRow>(tx, 'select id, state, verdict, finding, error from evaluations where rollout_id = $1', [rolloutId]);
    if (!found || found.state === 'queued' || found.state === 'running') return null;
    const { finding } = found;
    return {
      verdict: found.state === 'complete' ? (found.verdict ?? 'inconclusive') : 'inconclusive',
      note: finding?.note ?? found.error ?? (found.state === 'complete' ? '' : `the evaluation ${found.state}`),
      effect: finding?.effect ?? null,
      lower: finding?.lower ?? null,
      upper: finding?.upper ?? null,
      evaluationId: found.id,
    };
  }

  /** Ends an evaluation that nobody waits for any more. */
  async cancelForRollout(tx: EntityManager, rolloutId: string): Promise<void> {
    await tx.query(
      `update evaluations set state = 'cancelled', finished_at = clock_timestamp() where rollout_id = $1 and state in ('queued', 'running')`,
      [rolloutId],
    );
  }
}
