// What a rollout must know of others: how many run, and what earlier ones of the same candidate have spent.
import type { EntityManager } from 'typeorm';
import { row, rows } from './rows.js';

/** Earlier rollouts of the same candidate. Each that users met has spent its own bound on a false rollback: chances add up. */
export interface EarlierRollouts {
  readonly rollouts: number;
  /** Of them, those whose candidate took live traffic. */
  readonly exposed: number;
  /** Sum of the bounds (`alpha`) of the exposed ones. */
  readonly spentAlpha: number;
}

export class RolloutHistoryStore {
  /** Rollouts that have not ended. */
  async countLive(tx: EntityManager): Promise<number> {
    return Number((await row<{ live: string }>(tx, 'select count(*) as live from rollouts where ended_at is null'))?.live ?? 0);
  }

  /** By rollout id; one query for all. Ids that no rollout has are left out. */
  async earlier(tx: EntityManager, rolloutIds: readonly string[]): Promise<Map<string, EarlierRollouts>> {
    const found = await rows<{ id: string; rollouts: string; exposed: string; spent: number }>(
      tx,
      `select r.id, count(e.id) as rollouts, count(e.id) filter (where e.epoch > 0) as exposed,
         coalesce(sum((e.plan ->> 'alpha')::double precision) filter (where e.epoch > 0), 0) as spent
       from rollouts r left join rollouts e
         on e.model_id = r.model_id and e.candidate_version_id = r.candidate_version_id and e.created_at < r.created_at
       where r.id = any($1::uuid[]) group by r.id`,
      [[...rolloutIds]],
    );
    return new Map(
      found.map(({ id, rollouts, exposed, spent }) => [id, { rollouts: Number(rollouts), exposed: Number(exposed), spentAlpha: spent }]),
    );
  }
}
