// One bet per named unit over all gateways: whoever writes a unit's row first has counted it.
import type { EntityManager } from 'typeorm';
import { rows, touched } from './rows.js';

/** A unit of a rollout. `place`: a whole number below 2^22. */
export interface UnitClaim {
  readonly rolloutId: string;
  readonly place: number;
}

export class CountedUnitStore {
  /**
   * Claims units for a gateway process and says for each, in order, whether it is that process's: claimed now, or by an earlier batch of it. So a repeat gives
   * the same answer. Waits for another process that is claiming the same unit; all insert in one order, so none waits for one that waits for it.
   * Needs READ COMMITTED: what another has committed meanwhile must be seen. Two statements for any number of claims.
   */
  async claim(tx: EntityManager, bootId: string, seq: number, claims: readonly UnitClaim[]): Promise<boolean[]> {
    if (claims.length === 0) return [];
    const of = [claims.map((claim) => claim.rolloutId), claims.map((claim) => claim.place)];
    await tx.query(
      `insert into counted_units (rollout_id, place, boot_id, seq)
       select rollout_id, place, $3::uuid, $4::bigint
       from (select distinct * from unnest($1::uuid[], $2::int[]) as t (rollout_id, place)) as t order by rollout_id, place
       on conflict do nothing`,
      [...of, bootId, seq],
    );
    const found = await rows<{ readonly own: boolean }>(
      tx,
      `select coalesce(c.boot_id = $3::uuid, false) as own
       from unnest($1::uuid[], $2::int[]) with ordinality as t (rollout_id, place, at)
       left join counted_units c on c.rollout_id = t.rollout_id and c.place = t.place order by t.at`,
      [...of, bootId],
    );
    return found.map(({ own }) => own);
  }

  /** Forgets units of rollouts that ended at least `keepMs` ago, at most `batch` at once; returns how many. */
  async prune(tx: EntityManager, keepMs: number, batch = 1_000): Promise<number> {
    return await touched(
      tx,
      `delete from counted_units where ctid = any(array(
         select c.ctid from counted_units c join rollouts r on r.id = c.rollout_id
         where r.ended_at < now() - $1::float8 * interval '1 millisecond' limit $2)) returning place`,
      [keepMs, batch],
    );
  }
}
