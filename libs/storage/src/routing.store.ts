// The routing table as stored: one row, derived again inside every transaction that changes what it depends on.
import type { EntityManager } from 'typeorm';
import { completePlan, deriveTable, type Phase, type Plan, type RoutingTable, type ServedVersion } from '#libs/rollout';
import { json, row, rows } from './rows.js';

export const routingChannel = 'serin_routing';

interface StoredTable {
  readonly incarnation: string;
  readonly generation: string;
  readonly body: Pick<RoutingTable, 'routes' | 'versions'>;
}

export class RoutingStore {
  /** The whole table, or null when its generation is not above `since` (a cheap look at one indexed row). */
  async read(tx: EntityManager, since?: { readonly incarnation: string; readonly generation: number }): Promise<RoutingTable | null> {
    const stored = await row<StoredTable>(
      tx,
      `select incarnation, generation, body from routing_table where id = 1 and ($1::uuid is null or incarnation <> $1::uuid or generation <> $2::bigint)`,
      [since?.incarnation ?? null, since?.generation ?? null],
    );
    return stored
      ? {
          incarnation: stored.incarnation,
          generation: Number(stored.generation),
          routes: stored.body.routes,
          versions: stored.body.versions,
        }
      : null;
  }

  /** Which table this is, without what it says. */
  async mark(tx: EntityManager): Promise<{ readonly incarnation: string; readonly generation: number } | null> {
    return await row(tx, 'select incarnation, generation::float8 as generation from routing_table where id = 1');
  }

  async generation(tx: EntityManager): Promise<number> {
    return Number((await row<{ generation: string }>(tx, 'select generation from routing_table where id = 1'))?.generation ?? 0);
  }

  /**
   * Derives the table from models, live rollouts and running evaluations and stores it under the next generation.
   * The row lock comes first: two decisions at once would otherwise each derive a table without the other's change.
   */
  async rebuild(tx: EntityManager): Promise<number> {
    const locked = await row<{ generation: string }>(tx, 'select generation from routing_table where id = 1 for update');
    if (!locked) throw new Error('the routing table has no row; the migrations have not run');
    const models = await rows<{ name: string; stableVersionId: string | null }>(
      tx,
      'select name, stable_version_id as "stableVersionId" from models order by name',
    );
    const rollouts = await rows<{
      id: string;
      model: string;
      candidateVersionId: string;
      phase: Phase;
      plan: Plan;
      epoch: number;
      salt: string;
      unfinishedAfterMs: number | null;
    }>(
      tx,
      `select r.id, m.name as model, r.candidate_version_id as "candidateVersionId", r.state as phase, r.plan, r.epoch, r.salt,
         (r.scores ->> 'unfinishedAfterMs')::double precision as "unfinishedAfterMs"
       from rollouts r join models m on m.id = r.model_id where r.ended_at is null`,
    );
    const live = rollouts.map((rollout) => ({ ...rollout, plan: completePlan(rollout.plan) }));
    const controls = live.flatMap(({ plan }) => plan.control?.versionId ?? []);
    const judges = live.flatMap(({ plan }) => plan.checks.quality.judge?.versionId ?? []);
    const pinned = await rows<{ id: string }>(
      tx,
      `select candidate_version_id as id from evaluations where state in ('queued', 'running')
       union select baseline_version_id from evaluations where state in ('queued', 'running') and baseline_version_id is not null`,
    );
    const versions = await rows<ServedVersion>(
      tx,
      `select v.id, m.name as model, v.label, v.digest, v.spec from versions v join models m on m.id = v.model_id
       where v.id in (select stable_version_id from models) or v.id in (select candidate_version_id from rollouts where ended_at is null)
          or v.id = any($1::uuid[])`,
      [[...pinned.map(({ id }) => id), ...controls, ...judges]],
    );
    const body = deriveTable({ models, rollouts: live, versions, pinnedVersionIds: pinned.map(({ id }) => id) });
    const generation = Number(locked.generation) + 1;
    await tx.query('update routing_table set generation = $1, body = $2, updated_at = now() where id = 1', [generation, json(body)]);
    await tx.query('select pg_notify($1, $2)', [routingChannel, String(generation)]);
    return generation;
  }
}
