// Rollout rows: one live rollout per model, a lease for who looks, compare-and-set for who decides. Times by the database's clock.
import type { EntityManager } from 'typeorm';
import type { FrozenScores } from '#libs/analysis';
import { fail, type Outcome, ok } from '#libs/base';
import {
  completePlan,
  controlWeightOf,
  isDone,
  type OperatorCommand,
  type Phase,
  type PhaseName,
  type Plan,
  type Rollout,
} from '#libs/rollout';
import type { RolloutLease } from './leases.store.js';

/** A rollout as stored: what `decide` reads (`Rollout`) and everything around it. Times in milliseconds since the Unix epoch. */
export interface RolloutRecord extends Rollout {
  readonly modelId: string;
  readonly stableLabel: string;
  readonly candidateLabel: string;
  /** Probability of the candidate, in [0, 1]. */
  readonly weight: number;
  readonly salt: string;
  readonly scores: FrozenScores | null;
  readonly command: OperatorCommand | null;
  /** Routing generation of the newest decision. */
  readonly generation: number;
  /** Grows with every decision and command; compared before every write. */
  readonly revision: number;
  readonly leaseOwner: string | null;
  readonly leaseEpoch: number;
  readonly nextLookAt: number;
  readonly createdBy: string;
  readonly endedAt: number | null;
}

/** One weight of a rollout. `since`: milliseconds since the Unix epoch. */
export interface RolloutEpoch {
  readonly epoch: number;
  readonly weight: number;
  readonly controlWeight: number;
  readonly since: number;
}

export interface NewRollout {
  readonly id: string;
  readonly modelId: string;
  readonly stableVersionId: string;
  readonly candidateVersionId: string;
  readonly plan: Plan;
  /** 64 hex digits or fewer: salt of the keyed hash that draws arms. */
  readonly salt: string;
  readonly createdBy: string;
}

/** What one decision changes in the row. */
export interface RolloutChange {
  readonly next: Phase;
  readonly weight: number;
  readonly epoch: number;
  readonly nextLookAt: number;
  readonly ended: boolean;
  /** Newly frozen scores; undefined keeps what is stored. */
  readonly scores?: FrozenScores | undefined;
}

const columns = `
  r.id, r.model_id, m.name as model, r.stable_version_id, r.candidate_version_id, sv.label as stable_label, cv.label as candidate_label,
  r.plan, r.state, r.weight, r.epoch, extract(epoch from r.epoch_since) * 1000 as epoch_since, r.salt, r.scores, r.command, r.generation,
  r.version, r.lease_owner, r.lease_epoch, extract(epoch from r.next_look_at) * 1000 as next_look_at, r.created_by,
  extract(epoch from r.created_at) * 1000 as created_at, extract(epoch from r.ended_at) * 1000 as ended_at`;
const source = `
  from rollouts r join models m on m.id = r.model_id
  join versions sv on sv.id = r.stable_version_id join versions cv on cv.id = r.candidate_version_id`;

interface Row {
  readonly id: string;
  readonly model_id: string;
  readonly model: string;
  readonly stable_version_id: string;
  readonly candidate_version_id: string;
  readonly stable_label: string;
  readonly candidate_label: string;
  readonly plan: Plan;
  readonly state: Phase;
  readonly weight: number;
  readonly epoch: number;
  readonly epoch_since: string;
  readonly salt: string;
  readonly scores: FrozenScores | null;
  readonly command: OperatorCommand | null;
  readonly generation: string;
  readonly version: number;
  readonly lease_owner: string | null;
  readonly lease_epoch: string;
  readonly next_look_at: string;
  readonly created_by: string;
  readonly created_at: string;
  readonly ended_at: string | null;
}

function toRecord(row: Row): RolloutRecord {
  return {
    id: row.id,
    modelId: row.model_id,
    model: row.model,
    stableVersionId: row.stable_version_id,
    candidateVersionId: row.candidate_version_id,
    stableLabel: row.stable_label,
    candidateLabel: row.candidate_label,
    plan: completePlan(row.plan),
    phase: row.state,
    weight: row.weight,
    epoch: row.epoch,
    epochSince: Number(row.epoch_since),
    salt: row.salt,
    scores: row.scores,
    command: row.command,
    generation: Number(row.generation),
    revision: row.version,
    leaseOwner: row.lease_owner,
    leaseEpoch: Number(row.lease_epoch),
    nextLookAt: Number(row.next_look_at),
    createdBy: row.created_by,
    createdAt: Number(row.created_at),
    endedAt: row.ended_at === null ? null : Number(row.ended_at),
  };
}

/** TypeORM answers `update ... returning` as [rows, count]; this is the rows. */
function returned<T>(answer: unknown): T[] {
  const [rows] = answer as [T[], number];
  return rows;
}

/** Commands that take traffic away: never replaced by one that does not. */
const safetyCommands = ['rollback', 'abort'];

export class RolloutStore {
  /** Milliseconds since the Unix epoch by the database's clock. */
  async now(tx: EntityManager): Promise<number> {
    const rows: { now: string }[] = await tx.query(`select extract(epoch from clock_timestamp()) * 1000 as now`);
    return Number(rows[0]?.now);
  }

  /** Inserts a pending rollout with its first epoch (weight 0). Fails with `rollout.already-live` naming the one that runs. */
  async create(tx: EntityManager, rollout: NewRollout): Promise<Outcome<RolloutRecord>> {
    const inserted: unknown[] = await tx.query(
      `with clock as (select clock_timestamp() as at),
       fresh as (
         insert into rollouts (id, model_id, stable_version_id, candidate_version_id, plan, phase, state, salt, created_by, created_at, epoch_since, next_look_at)
         select $1, $2, $3, $4, $5, 'pending', jsonb_build_object('phase', 'pending', 'since', floor(extract(epoch from at) * 1000)), $6, $7, at, at, at from clock
         on conflict (model_id) where ended_at is null do nothing
         returning id
       )
       insert into rollout_epochs (rollout_id, epoch, weight, started_at) select fresh.id, 0, 0, clock.at from fresh, clock returning rollout_id`,
      [
        rollout.id,
        rollout.modelId,
        rollout.stableVersionId,
        rollout.candidateVersionId,
        JSON.stringify(rollout.plan),
        rollout.salt,
        rollout.createdBy,
      ],
    );
    if (inserted.length === 0) {
      const running = await this.live(tx, rollout.modelId);
      return fail({
        code: 'rollout.already-live',
        message: running
          ? `Rollout ${running.id} of ${running.candidateLabel} is running for model ${running.model} (${running.phase.phase}).`
          : 'Another rollout of this model has just begun.',
        field: 'candidate',
        remedy: running ? `Wait until it ends, or end it: POST /api/v1/rollouts/${running.id}/abort with a reason.` : 'Try again.',
      });
    }
    const record = await this.get(tx, rollout.id);
    if (!record) throw new Error(`rollout ${rollout.id} is not there after its insert`);
    return ok(record);
  }

  async get(tx: EntityManager, id: string): Promise<RolloutRecord | null> {
    const rows: Row[] = await tx.query(`select ${columns} ${source} where r.id = $1`, [id]);
    return rows[0] ? toRecord(rows[0]) : null;
  }

  /** The rows of these ids, in no order; those that are gone are left out. */
  async many(tx: EntityManager, ids: readonly string[]): Promise<RolloutRecord[]> {
    if (ids.length === 0) return [];
    const rows: Row[] = await tx.query(`select ${columns} ${source} where r.id = any($1::uuid[])`, [[...ids]]);
    return rows.map(toRecord);
  }

  /** The rollout of a model that has not ended. */
  async live(tx: EntityManager, modelId: string): Promise<RolloutRecord | null> {
    const rows: Row[] = await tx.query(`select ${columns} ${source} where r.model_id = $1 and r.ended_at is null`, [modelId]);
    return rows[0] ? toRecord(rows[0]) : null;
  }

  /** Newest first. `cursor` is what the page before answered; an unreadable one is treated as none by the caller's schema. */
  async list(
    tx: EntityManager,
    filter: {
      readonly model?: string | undefined;
      readonly phase?: PhaseName | undefined;
      readonly limit: number;
      readonly cursor?: string | undefined;
    },
  ): Promise<{ items: RolloutRecord[]; nextCursor: string | null }> {
    const rows: Row[] = await tx.query(
      `select ${columns} ${source}
       where ($1::text is null or m.name = $1) and ($2::text is null or r.phase = $2)
         and ($3::uuid is null or (r.created_at, r.id) < (select c.created_at, c.id from rollouts c where c.id = $3))
       order by r.created_at desc, r.id desc limit $4`,
      [filter.model ?? null, filter.phase ?? null, filter.cursor ?? null, filter.limit + 1],
    );
    const items = rows.slice(0, filter.limit).map(toRecord);
    return { items, nextCursor: rows.length > filter.limit ? (items.at(-1)?.id ?? null) : null };
  }

  /** Rollouts that run, and those that ended within the last `endedWithinMs`. At most 500. */
  async current(tx: EntityManager, endedWithinMs: number): Promise<RolloutRecord[]> {
    const rows: Row[] = await tx.query(
      `select ${columns} ${source} where r.ended_at is null or r.ended_at > clock_timestamp() - $1 * interval '1 millisecond'
       order by r.created_at desc limit 500`,
      [endedWithinMs],
    );
    return rows.map(toRecord);
  }

  /**
   * The compare-and-set of a decision: row, epoch row and consumed command in the caller's transaction.
   * Fails with `rollout.revision-lost` when the revision or the lease epoch moved, or the rollout has ended.
   */
  async commitDecision(
    tx: EntityManager,
    record: RolloutRecord,
    lease: RolloutLease,
    change: RolloutChange,
  ): Promise<Outcome<{ revision: number }>> {
    const rows = returned<{ version: number }>(
      await tx.query(
        `update rollouts set phase = $4, state = $5, weight = $6,
           epoch_since = case when epoch = $7 then epoch_since else clock_timestamp() end, epoch = $7,
           next_look_at = to_timestamp($8::double precision / 1000), scores = coalesce($9::jsonb, scores), command = null,
           ended_at = case when $10 then clock_timestamp() end, version = version + 1
         where id = $1 and version = $2 and lease_epoch = $3 and ended_at is null
         returning version`,
        [
          record.id,
          record.revision,
          lease.leaseEpoch,
          change.next.phase,
          JSON.stringify(change.next),
          change.weight,
          change.epoch,
          change.nextLookAt,
          change.scores ? JSON.stringify(change.scores) : null,
          change.ended,
        ],
      ),
    );
    const row = rows[0];
    if (!row) {
      return fail({
        code: 'rollout.revision-lost',
        message: `Rollout ${record.id} was changed by someone else.`,
        retryable: true,
        remedy: 'Read it again.',
      });
    }
    if (change.epoch !== record.epoch) {
      await tx.query(
        `insert into rollout_epochs (rollout_id, epoch, weight, control_weight, started_at) values ($1, $2, $3, $4, clock_timestamp())`,
        [record.id, change.epoch, change.weight, controlWeightOf(change.next, record.plan)],
      );
    }
    return ok({ revision: row.version });
  }

  /** Records the routing generation that carries the newest decision. */
  async setGeneration(tx: EntityManager, id: string, generation: number): Promise<void> {
    await tx.query(`update rollouts set generation = $2 where id = $1`, [id, generation]);
  }

  /**
   * Puts an operator's command where the next look finds it, at once. The newest wins, but a pending rollback or abort is never replaced by less.
   * `done`: the rollout is already as the command asks; nothing was written.
   * Faults: `rollout.not-found`, `rollout.ended`, `rollout.revision-lost` (If-Match), `rollout.command-pending`.
   */
  async setCommand(
    tx: EntityManager,
    id: string,
    command: OperatorCommand,
    ifRevision?: number,
  ): Promise<Outcome<{ revision: number; done: boolean }>> {
    const rows: Row[] = await tx.query(`select ${columns} ${source} where r.id = $1 for update of r`, [id]);
    const record = rows[0] ? toRecord(rows[0]) : null;
    if (!record)
      return fail({ code: 'rollout.not-found', message: `There is no rollout ${id}.`, remedy: 'List them: GET /api/v1/rollouts.' });
    if (record.command === null && isDone(record.phase, command.kind)) return ok({ revision: record.revision, done: true });
    if (record.endedAt !== null) {
      return fail({
        code: 'rollout.ended',
        message: `Rollout ${id} has ended (${record.phase.phase}); nothing leaves that state.`,
        remedy: 'Start a new rollout of the version you want.',
      });
    }
    if (ifRevision !== undefined && ifRevision !== record.revision) {
      return fail({
        code: 'rollout.revision-lost',
        message: `Rollout ${id} is at revision ${record.revision}, not ${ifRevision}.`,
        field: 'If-Match',
        remedy: 'Read the rollout again and decide by what it says now.',
      });
    }
    if (record.command && safetyCommands.includes(record.command.kind) && !safetyCommands.includes(command.kind)) {
      return fail({
        code: 'rollout.command-pending',
        message: `A ${record.command.kind} by ${record.command.actor} is about to be carried out.`,
        remedy: 'Read the rollout again in a moment.',
      });
    }
    const updated = returned<{ version: number }>(
      await tx.query(
        `update rollouts set command = $2, next_look_at = clock_timestamp(), version = version + 1 where id = $1 returning version`,
        [id, JSON.stringify(command)],
      ),
    );
    return ok({ revision: updated[0]?.version ?? record.revision, done: false });
  }

  /** Weights of every epoch so far, oldest first: the probabilities that drew the arms. */
  async epochs(tx: EntityManager, id: string): Promise<RolloutEpoch[]> {
    return (await this.epochsOf(tx, [id])).get(id) ?? [];
  }

  /** The epochs of several rollouts, each oldest first. */
  async epochsOf(tx: EntityManager, ids: readonly string[]): Promise<Map<string, RolloutEpoch[]>> {
    const byId = new Map<string, RolloutEpoch[]>();
    if (ids.length === 0) return byId;
    const rows: { id: string; epoch: number; weight: number; controlWeight: number; since: string }[] = await tx.query(
      `select rollout_id as id, epoch, weight, control_weight as "controlWeight", extract(epoch from started_at) * 1000 as since
       from rollout_epochs where rollout_id = any($1::uuid[]) order by rollout_id, epoch`,
      [[...ids]],
    );
    for (const { id, epoch, weight, controlWeight, since } of rows) {
      const epochs = byId.get(id) ?? [];
      epochs.push({ epoch, weight, controlWeight, since: Number(since) });
      byId.set(id, epochs);
    }
    return byId;
  }
}

/** Tells every listener that a rollout changed. A hint: readers poll as well. */
export async function notifyRollout(tx: EntityManager, id: string): Promise<void> {
  await tx.query(`select pg_notify('serin_rollout', $1)`, [id]);
}
