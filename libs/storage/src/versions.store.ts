// Versions: immutable ways to serve a model, told apart by the digest of their content.
import type { EntityManager } from 'typeorm';
import { fail, type Outcome, ok } from '#libs/base';
import { digestOf } from './digest.js';
import { json, row, rows } from './rows.js';

export interface VersionRow {
  readonly id: string;
  readonly modelId: string;
  readonly model: string;
  readonly label: string;
  readonly digest: string;
  readonly spec: Record<string, unknown>;
  readonly lineage: Record<string, string>;
  readonly createdBy: string;
  readonly createdAt: number;
}

const columns = `v.id, v.model_id as "modelId", m.name as model, v.label, v.digest, v.spec, v.lineage, v.created_by as "createdBy",
  (extract(epoch from v.created_at) * 1000)::float8 as "createdAt"`;
const source = 'versions v join models m on m.id = v.model_id';

export class VersionStore {
  /**
   * Registers a version. The same label with the same content answers the existing one (`created` false);
   * `version.label-taken` when the label means something else, `version.content-known` when the content has another label.
   */
  async register(
    tx: EntityManager,
    version: {
      id: string;
      modelId: string;
      label: string;
      spec: Record<string, unknown>;
      lineage: Record<string, string>;
      createdBy: string;
    },
  ): Promise<Outcome<{ version: VersionRow; created: boolean }>> {
    const digest = digestOf(version.spec);
    await tx.query(
      `insert into versions (id, model_id, label, digest, spec, lineage, created_by) values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing`,
      [version.id, version.modelId, version.label, digest, json(version.spec), json(version.lineage), version.createdBy],
    );
    const same = await row<VersionRow>(tx, `select ${columns} from ${source} where v.model_id = $1 and v.label = $2`, [
      version.modelId,
      version.label,
    ]);
    if (same?.digest === digest) return ok({ version: same, created: same.id === version.id });
    if (same) {
      return fail({
        code: 'version.label-taken',
        message: `Version "${version.label}" of this model exists with other content (digest ${same.digest.slice(0, 12)}). Versions are immutable.`,
        field: 'label',
        remedy: 'Register the new content under a new label.',
      });
    }
    const known = await row<VersionRow>(tx, `select ${columns} from ${source} where v.model_id = $1 and v.digest = $2`, [
      version.modelId,
      digest,
    ]);
    return fail({
      code: 'version.content-known',
      message: `The same content is registered as version "${known?.label ?? 'unknown'}" already.`,
      field: 'spec',
      remedy: `Use version "${known?.label ?? 'unknown'}", or change the spec.`,
    });
  }

  async byId(tx: EntityManager, id: string): Promise<VersionRow | null> {
    return await row(tx, `select ${columns} from ${source} where v.id = $1`, [id]);
  }

  async byIds(tx: EntityManager, ids: readonly string[]): Promise<VersionRow[]> {
    return await rows(tx, `select ${columns} from ${source} where v.id = any($1::uuid[])`, [[...ids]]);
  }

  async byLabel(tx: EntityManager, modelId: string, label: string): Promise<VersionRow | null> {
    return await row(tx, `select ${columns} from ${source} where v.model_id = $1 and v.label = $2`, [modelId, label]);
  }

  /** Newest first. */
  async list(
    tx: EntityManager,
    modelId: string,
    { limit = 100, offset = 0 }: { limit?: number; offset?: number } = {},
  ): Promise<VersionRow[]> {
    return await rows(tx, `select ${columns} from ${source} where v.model_id = $1 order by v.created_at desc, v.id limit $2 offset $3`, [
      modelId,
      limit,
      offset,
    ]);
  }
}
