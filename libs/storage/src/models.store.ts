// Models: the public names that clients ask for, their stable version and default plan.
import type { EntityManager } from 'typeorm';
import { fail, type Outcome, ok } from '#libs/base';
import { json, row, rows } from './rows.js';

export interface ModelRow {
  readonly id: string;
  readonly name: string;
  readonly stableVersionId: string | null;
  readonly defaultPlan: Record<string, unknown>;
  /** Grows with each change; compare-and-set. */
  readonly revision: number;
  readonly createdAt: number;
}

const columns = `id, name, stable_version_id as "stableVersionId", default_plan as "defaultPlan", revision,
  (extract(epoch from created_at) * 1000)::float8 as "createdAt"`;

export class ModelStore {
  async create(tx: EntityManager, model: { id: string; name: string; defaultPlan: Record<string, unknown> }): Promise<Outcome<ModelRow>> {
    const created = await row<ModelRow>(
      tx,
      `insert into models (id, name, default_plan) values ($1, $2, $3) on conflict (name) do nothing returning ${columns}`,
      [model.id, model.name, json(model.defaultPlan)],
    );
    if (created) return ok(created);
    return fail({
      code: 'model.name-taken',
      message: `There is a model "${model.name}" already.`,
      field: 'name',
      remedy: 'Choose another name, or use the existing model.',
    });
  }

  async byName(tx: EntityManager, name: string): Promise<ModelRow | null> {
    return await row(tx, `select ${columns} from models where name = $1`, [name]);
  }

  async byId(tx: EntityManager, id: string): Promise<ModelRow | null> {
    return await row(tx, `select ${columns} from models where id = $1`, [id]);
  }

  /** In order of name, after `after`; at most `limit`. */
  async list(tx: EntityManager, { after = '', limit = 100 }: { after?: string; limit?: number } = {}): Promise<ModelRow[]> {
    return await rows(tx, `select ${columns} from models where name > $1 order by name limit $2`, [after, limit]);
  }

  async setStable(tx: EntityManager, id: string, versionId: string): Promise<void> {
    await tx.query('update models set stable_version_id = $2, revision = revision + 1 where id = $1', [id, versionId]);
  }

  /** Only while `from` is stable and no rollout of the model is under way; false otherwise, and nothing happened. */
  async replaceStable(tx: EntityManager, id: string, { from, to }: { readonly from: string; readonly to: string }): Promise<boolean> {
    const changed = await rows(
      tx,
      `update models set stable_version_id = $3, revision = revision + 1
       where id = $1 and stable_version_id = $2 and not exists (select from rollouts where model_id = $1 and ended_at is null) returning id`,
      [id, from, to],
    );
    return changed.length === 1;
  }

  /** False when somebody else changed the model since `revision` was read. */
  async setDefaultPlan(tx: EntityManager, id: string, plan: Record<string, unknown>, revision: number): Promise<boolean> {
    const changed = await rows(
      tx,
      'update models set default_plan = $2, revision = revision + 1 where id = $1 and revision = $3 returning id',
      [id, json(plan), revision],
    );
    return changed.length === 1;
  }
}
