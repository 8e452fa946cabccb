// Watches of promoted versions: one row a model, always of its stable version.
import type { EntityManager } from 'typeorm';
import type { WatchState } from '#libs/analysis';
import type { WatchPolicy } from '#libs/rollout';
import { json, row, rows } from './rows.js';

export interface WatchRow {
  readonly modelId: string;
  readonly model: string;
  readonly versionId: string;
  readonly label: string;
  /** Null: nothing to go back to. */
  readonly previousVersionId: string | null;
  readonly rolloutId: string | null;
  readonly policy: WatchPolicy;
  readonly testSet: string | null;
  readonly state: WatchState;
  readonly heartbeatAt: number;
  readonly heartbeatLnR: number;
}

/** A model whose stable version has no watch yet, and what its watch is to be. */
export interface UnwatchedModel {
  readonly modelId: string;
  readonly versionId: string;
  /** The rollout that promoted it; null for a first stable version. */
  readonly rolloutId: string | null;
  readonly previousVersionId: string | null;
  /** Plan of that rollout, or null. */
  readonly plan: Readonly<Record<string, unknown>> | null;
  readonly defaultPlan: Readonly<Record<string, unknown>>;
}

const ms = (column: string): string => `(extract(epoch from ${column}) * 1000)::float8`;
const columns = `w.model_id as "modelId", m.name as model, w.version_id as "versionId", v.label, w.previous_version_id as "previousVersionId",
  w.rollout_id as "rolloutId", w.policy, w.test_set as "testSet", w.state, ${ms('w.heartbeat_at')} as "heartbeatAt", w.heartbeat_ln_r as "heartbeatLnR"`;
const source = 'from watches w join models m on m.id = w.model_id join versions v on v.id = w.version_id';

export class WatchStore {
  /** At most `limit` models whose stable version is not the one that is watched. */
  async unwatched(tx: EntityManager, limit: number): Promise<UnwatchedModel[]> {
    return await rows(
      tx,
      `select m.id as "modelId", m.stable_version_id as "versionId", r.id as "rolloutId", r.stable_version_id as "previousVersionId", r.plan,
         m.default_plan as "defaultPlan"
       from models m
       left join watches w on w.model_id = m.id
       left join lateral (
         select id, stable_version_id, plan from rollouts where candidate_version_id = m.stable_version_id and phase = 'promoted'
         order by ended_at desc limit 1
       ) r on true
       where m.stable_version_id is not null and (w.version_id is null or w.version_id <> m.stable_version_id) order by m.id limit $1`,
      [limit],
    );
  }

  /** Begins the watch of a model's stable version; that of an earlier one ends. No effect when the stable version has changed meanwhile. */
  async begin(
    tx: EntityManager,
    watch: Pick<WatchRow, 'modelId' | 'versionId' | 'previousVersionId' | 'rolloutId' | 'policy' | 'testSet' | 'state'>,
  ): Promise<void> {
    await tx.query(
      `insert into watches (model_id, version_id, previous_version_id, rollout_id, policy, test_set, state)
       select id, $2, $3, $4, $5, $6, $7 from models where id = $1 and stable_version_id = $2 for share
       on conflict (model_id) do update set version_id = excluded.version_id, previous_version_id = excluded.previous_version_id,
         rollout_id = excluded.rollout_id, policy = excluded.policy, test_set = excluded.test_set, state = excluded.state,
         next_look_at = now(), heartbeat_at = now(), heartbeat_until = null, heartbeat_ln_r = -700, created_at = now()
       where watches.version_id <> excluded.version_id`,
      [watch.modelId, watch.versionId, watch.previousVersionId, watch.rolloutId, json(watch.policy), watch.testSet, json(watch.state)],
    );
  }

  /** Locks one watch that is due until the transaction ends; null when none is, or others hold them. */
  async takeDue(tx: EntityManager): Promise<WatchRow | null> {
    return await row(
      tx,
      `select ${columns} ${source} where w.next_look_at <= clock_timestamp() and m.stable_version_id = w.version_id
       order by w.next_look_at limit 1 for update of w skip locked`,
    );
  }

  async ofModel(tx: EntityManager, modelId: string): Promise<WatchRow | null> {
    return await row(tx, `select ${columns} ${source} where w.model_id = $1`, [modelId]);
  }

  /** The same, locked until the transaction ends. */
  async lock(tx: EntityManager, modelId: string): Promise<WatchRow | null> {
    return await row(tx, `select ${columns} ${source} where w.model_id = $1 for update of w`, [modelId]);
  }

  /** `beatNow`: an alarm asks for a heartbeat at once. The caller holds the row's lock. */
  async save(
    tx: EntityManager,
    modelId: string,
    { state, nextLookAt, beatNow }: { readonly state: WatchState; readonly nextLookAt: number; readonly beatNow: boolean },
  ): Promise<void> {
    await tx.query(
      `update watches set state = $2, next_look_at = to_timestamp($3::double precision / 1000),
         heartbeat_at = case when $4 then clock_timestamp() else heartbeat_at end where model_id = $1`,
      [modelId, json(state), nextLookAt, beatNow],
    );
  }
}
