// Where this database is in its own history. A promoted replica or a restored copy is on another line, and may lack the last decisions.
import type { EntityManager } from 'typeorm';
import { row, rows } from './rows.js';

/** Epoch numbers that a lost history may have used are never used again: windows that gateways still hold carry them, drawn with other weights. */
const epochsSkipped = 1_000;

export class LineageStore {
  /** The line on which the routing table was last written (null before the first look), and the one we are on. */
  async read(tx: EntityManager): Promise<{ readonly known: string | null; readonly here: string }> {
    const found = await row<{ known: string | null; here: string }>(
      tx,
      `select lineage as known, (select system_identifier::text from pg_control_system()) || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) as here
       from routing_table where id = 1`,
    );
    if (!found) throw new Error('the routing table has no row; the migrations have not run');
    return found;
  }

  /** Moves to `here` unless somebody did: with a new incarnation when `known` was another line. Returns whether this call did. */
  async move(tx: EntityManager, known: string | null, here: string): Promise<boolean> {
    const moved = await rows(
      tx,
      `update routing_table set lineage = $2, incarnation = case when $1::text is null then incarnation else gen_random_uuid() end
       where id = 1 and lineage is not distinct from $1 returning id`,
      [known, here],
    );
    return moved.length === 1;
  }

  /** Takes all candidates' traffic away until a person resumes: pauses every live rollout that has some, at weight 0. Returns their ids and phases. */
  async pauseExposed(tx: EntityManager, reason: { readonly code: string }): Promise<{ readonly id: string; readonly phase: string }[]> {
    const paused = await rows<{ id: string; phase: string }>(
      tx,
      `with exposed as (select id, phase, floor(extract(epoch from clock_timestamp()) * 1000) as at from rollouts where ended_at is null and weight > 0 for update),
       paused as (
         update rollouts r set phase = 'paused', weight = 0, epoch = r.epoch + $2, epoch_since = clock_timestamp(), version = r.version + 1,
           state = jsonb_build_object('phase', 'paused', 'since', e.at, 'reason', $1::jsonb, 'from', jsonb_build_object('phase', 'pending', 'since', e.at))
         from exposed e where r.id = e.id returning r.id, r.epoch
       ),
       epochs as (insert into rollout_epochs (rollout_id, epoch, weight) select id, epoch, 0 from paused)
       select id, phase from exposed`,
      [JSON.stringify(reason), epochsSkipped],
    );
    return paused;
  }
}
