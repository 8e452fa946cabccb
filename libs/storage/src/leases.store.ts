// Who looks at which rollout: a lease per row, taken with SKIP LOCKED, kept from look to look, all of a controller's in one statement. Times by the database's clock.
import type { EntityManager } from 'typeorm';
import { rows } from './rows.js';

/** The right to look at a rollout, until it runs out and another owner's claim raises the epoch. */
export interface RolloutLease {
  readonly id: string;
  readonly leaseEpoch: number;
}

/** A rollout that is due, and the revision of its row. */
export interface DueRollout extends RolloutLease {
  readonly revision: number;
}

/** A look that changed nothing. */
export interface HeldLook extends DueRollout {
  /** When to look again, milliseconds since the Unix epoch. */
  readonly nextLookAt: number;
}

interface DueRow {
  readonly id: string;
  readonly lease_epoch: string;
  readonly version: number;
}

const isDue = `ended_at is null and (next_look_at <= clock_timestamp() or command is not null)`;

function toDue(row: DueRow): DueRollout {
  return { id: row.id, leaseEpoch: Number(row.lease_epoch), revision: row.version };
}

export class LeaseStore {
  /** Takes leases on due rollouts that nobody holds, those first that waited longest. Skips rows that others are taking. */
  async claim(
    tx: EntityManager,
    { owner, leaseMs, limit }: { readonly owner: string; readonly leaseMs: number; readonly limit: number },
  ): Promise<DueRollout[]> {
    const found = await rows<DueRow>(
      tx,
      `update rollouts set lease_owner = $1, lease_until = clock_timestamp() + $2 * interval '1 millisecond', lease_epoch = lease_epoch + 1
       where id in (
         select id from rollouts where ${isDue} and (lease_until is null or lease_until < clock_timestamp()) and lease_owner is distinct from $1
         order by next_look_at limit $3 for update skip locked
       ) returning id, lease_epoch, version`,
      [owner, leaseMs, limit],
    );
    return found.map(toDue);
  }

  /** Due rollouts whose lease this owner holds, or held last: what it may write is decided by the lease epoch. */
  async due(tx: EntityManager, owner: string): Promise<DueRollout[]> {
    const found = await rows<DueRow>(tx, `select id, lease_epoch, version from rollouts where ${isDue} and lease_owner = $1`, [owner]);
    return found.map(toDue);
  }

  /**
   * Looks that changed nothing, in one statement: when to look again, and the leases prolonged until `leaseMs` after that. A row whose lease or
   * revision moved on, or that somebody is writing, is left as it is. Returns the ids that were prolonged.
   */
  async hold(tx: EntityManager, looks: readonly HeldLook[], leaseMs: number): Promise<string[]> {
    if (looks.length === 0) return [];
    const held = await rows<{ id: string }>(
      tx,
      `with mine as (
         select r.id, look.next_ms from rollouts r
         join unnest($1::uuid[], $2::int[], $3::bigint[], $4::float8[]) as look (id, version, lease_epoch, next_ms)
           on r.id = look.id and r.version = look.version and r.lease_epoch = look.lease_epoch
         where r.ended_at is null for update of r skip locked
       )
       update rollouts r set next_look_at = to_timestamp(mine.next_ms / 1000),
         lease_until = greatest(clock_timestamp(), to_timestamp(mine.next_ms / 1000)) + $5 * interval '1 millisecond'
       from mine where r.id = mine.id returning r.id`,
      [
        looks.map((look) => look.id),
        looks.map((look) => look.revision),
        looks.map((look) => look.leaseEpoch),
        looks.map((look) => look.nextLookAt),
        leaseMs,
      ],
    );
    return held.map(({ id }) => id);
  }

  /** Lets everybody else claim what this owner held: at an orderly stop. */
  async releaseAll(tx: EntityManager, owner: string): Promise<void> {
    await tx.query('update rollouts set lease_owner = null, lease_until = null where lease_owner = $1', [owner]);
  }
}
