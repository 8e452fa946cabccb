// What happened to a rollout and why: decisions with their whole evidence, and thinned looks for the chart.
import type { EntityManager } from 'typeorm';
import type { Evidence, PhaseName, Reason, Transition } from '#libs/rollout';
import { rows } from './rows.js';

export interface RolloutEventRecord {
  /** Grows over all rollouts. */
  readonly id: number;
  readonly rolloutId: string;
  /** 1, 2, ... within the rollout. */
  readonly seq: number;
  readonly at: number;
  readonly actor: string;
  readonly transition: Transition | 'create';
  readonly fromPhase: PhaseName | null;
  readonly toPhase: PhaseName;
  readonly weight: number;
  readonly reason: Reason;
  readonly evidence: Evidence | null;
  readonly generation: number;
}

export interface LookRecord {
  readonly id: number;
  readonly rolloutId: string;
  readonly at: number;
  readonly evidence: Evidence;
}

/** More looks than this of one rollout are halved, oldest half first. */
const maxLooks = 2_000;

interface EventRow {
  readonly id: string;
  readonly rollout_id: string;
  readonly seq: number;
  readonly at: string;
  readonly actor: string;
  readonly transition: RolloutEventRecord['transition'];
  readonly from_phase: PhaseName | null;
  readonly to_phase: PhaseName;
  readonly weight: number;
  readonly reason: Reason;
  readonly evidence: Evidence | null;
  readonly generation: string;
}

interface LookRow {
  readonly id: string;
  readonly rollout_id: string;
  readonly at: string;
  readonly evidence: Evidence;
}

const eventColumns = `id, rollout_id, seq, extract(epoch from at) * 1000 as at, actor, transition, from_phase, to_phase, weight, reason, evidence, generation`;
const lookColumns = `id, rollout_id, extract(epoch from at) * 1000 as at, evidence`;

function toEvent(row: EventRow): RolloutEventRecord {
  return {
    id: Number(row.id),
    rolloutId: row.rollout_id,
    seq: row.seq,
    at: Number(row.at),
    actor: row.actor,
    transition: row.transition,
    fromPhase: row.from_phase,
    toPhase: row.to_phase,
    weight: row.weight,
    reason: row.reason,
    evidence: row.evidence,
    generation: Number(row.generation),
  };
}

function toLook(row: LookRow): LookRecord {
  return { id: Number(row.id), rolloutId: row.rollout_id, at: Number(row.at), evidence: row.evidence };
}

export class RolloutEventStore {
  /** Appends in the transaction of the decision. The row's compare-and-set orders the sequence numbers; the unique index proves it. */
  async append(tx: EntityManager, event: Omit<RolloutEventRecord, 'id' | 'seq' | 'at'>): Promise<RolloutEventRecord> {
    const found: EventRow[] = await tx.query(
      `insert into rollout_events (rollout_id, seq, at, actor, transition, from_phase, to_phase, weight, reason, evidence, generation)
       values ($1, 1 + coalesce((select max(seq) from rollout_events where rollout_id = $1), 0), clock_timestamp(), $2, $3, $4, $5, $6, $7, $8, $9)
       returning ${eventColumns}`,
      [
        event.rolloutId,
        event.actor,
        event.transition,
        event.fromPhase,
        event.toPhase,
        event.weight,
        JSON.stringify(event.reason),
        event.evidence ? JSON.stringify(event.evidence) : null,
        event.generation,
      ],
    );
    if (!found[0]) throw new Error('insert ... returning gave no row');
    return toEvent(found[0]);
  }

  /** Events after sequence number `after`, oldest first. */
  async list(
    tx: EntityManager,
    rolloutId: string,
    { after = 0, limit }: { readonly after?: number; readonly limit: number },
  ): Promise<RolloutEventRecord[]> {
    const found: EventRow[] = await tx.query(
      `select ${eventColumns} from rollout_events where rollout_id = $1 and seq > $2 order by seq limit $3`,
      [rolloutId, after, limit],
    );
    return found.map(toEvent);
  }

  /** The newest event of one rollout. */
  async newest(tx: EntityManager, rolloutId: string): Promise<RolloutEventRecord | null> {
    const found: EventRow[] = await tx.query(`select ${eventColumns} from rollout_events where rollout_id = $1 order by seq desc limit 1`, [
      rolloutId,
    ]);
    return found[0] ? toEvent(found[0]) : null;
  }

  /** Events of all rollouts after row `id`, oldest first; `newestId` tells where to begin. */
  async since(tx: EntityManager, id: number, limit: number): Promise<RolloutEventRecord[]> {
    const found: EventRow[] = await tx.query(`select ${eventColumns} from rollout_events where id > $1 order by id limit $2`, [id, limit]);
    return found.map(toEvent);
  }

  /** Looks of all rollouts after row `id`, oldest first. */
  async looksSince(tx: EntityManager, id: number, limit: number): Promise<LookRecord[]> {
    const found: LookRow[] = await tx.query(`select ${lookColumns} from rollout_looks where id > $1 order by id limit $2`, [id, limit]);
    return found.map(toLook);
  }

  /** The newest row ids of events and looks: where a new follower begins. */
  async newestIds(tx: EntityManager): Promise<{ event: number; look: number }> {
    const found: { event: string; look: string }[] = await tx.query(
      `select (select coalesce(max(id), 0) from rollout_events) as event, (select coalesce(max(id), 0) from rollout_looks) as look`,
    );
    return { event: Number(found[0]?.event), look: Number(found[0]?.look) };
  }

  /** Looks of one rollout, newest `limit`, oldest first. */
  async looks(tx: EntityManager, rolloutId: string, limit: number): Promise<LookRecord[]> {
    const found: LookRow[] = await tx.query(`select ${lookColumns} from rollout_looks where rollout_id = $1 order by at desc limit $2`, [
      rolloutId,
      limit,
    ]);
    return found.map(toLook).reverse();
  }

  /** Keeps looks, each unless a look of its rollout is younger than its `spacingMs`. Returns the rollouts whose looks were kept. */
  async keepLooks(
    tx: EntityManager,
    looks: readonly { readonly rolloutId: string; readonly evidence: Evidence; readonly spacingMs: number }[],
  ): Promise<string[]> {
    if (looks.length === 0) return [];
    const kept = await rows<{ id: string }>(
      tx,
      `insert into rollout_looks (rollout_id, at, evidence)
       select look.id, to_timestamp(look.at_ms / 1000), look.evidence
       from unnest($1::uuid[], $2::float8[], $3::jsonb[], $4::float8[]) as look (id, at_ms, evidence, spacing_ms)
       where not exists (select 1 from rollout_looks l where l.rollout_id = look.id and l.at > to_timestamp((look.at_ms - look.spacing_ms) / 1000))
       returning rollout_id as id`,
      [
        looks.map((look) => look.rolloutId),
        looks.map((look) => look.evidence.at),
        looks.map((look) => JSON.stringify(look.evidence)),
        looks.map((look) => look.spacingMs),
      ],
    );
    return kept.map(({ id }) => id);
  }

  /** Above 2,000 looks of a rollout every second one of the older half goes. */
  async thinLooks(tx: EntityManager, rolloutId: string): Promise<void> {
    await tx.query(
      `delete from rollout_looks where id in (
         select id from (select id, row_number() over (order by at) as nth, count(*) over () as n from rollout_looks where rollout_id = $1) ranked
         where n > $2 and nth <= n / 2 and nth % 2 = 0
       )`,
      [rolloutId, maxLooks],
    );
  }
}
