// Windows of observations: written by gateways in batches that may be repeated, read whole by the judgement.
import type { EntityManager } from 'typeorm';
import { decodeHistograms, encodeHistograms, type Window } from '#libs/analysis';
import type { ComparedArm } from '#libs/base';
import { row, rows } from './rows.js';

interface WindowRow {
  readonly secondAt: number;
  readonly model: string;
  readonly versionId: string;
  readonly rolloutId: string | null;
  readonly epoch: number | null;
  readonly arm: ComparedArm | null;
  readonly promptClass: string;
  readonly responses: number;
  readonly errors: number;
  readonly timeouts: number;
  readonly unfinished: number;
  readonly refusals: number;
  readonly loops: number;
  readonly clientGone: number;
  readonly nonFinite: number;
  readonly units: number;
  readonly lnTotalCount: number;
  readonly lnTotalSum: number;
  readonly histograms: Buffer;
}

const columns = `(extract(epoch from second_at) * 1000)::float8 as "secondAt", model, version_id as "versionId", rollout_id as "rolloutId", epoch, arm,
  prompt_class as "promptClass", responses, errors, timeouts, unfinished, refusals, loops, client_gone as "clientGone", non_finite as "nonFinite", units,
  ln_total_count as "lnTotalCount", ln_total_sum as "lnTotalSum", histograms`;

/** An instant of the database: what had committed then, and its clock in milliseconds since the Unix epoch. */
export interface WindowInstant {
  readonly snapshot: string;
  readonly at: number;
}

const dayMs = 86_400_000;
const partitionLock = 7_361_747;

/** The UTC day of a time, `YYYY-MM-DD`. */
function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}

function partitionOf(at: number): string {
  return `windows_${dayOf(at).replaceAll('-', '')}`;
}

export class WindowStore {
  /** One flush of one gateway process. (bootId, seq) makes a repeat harmless. */
  async insert(tx: EntityManager, bootId: string, seq: number, windows: readonly Window[]): Promise<void> {
    if (windows.length === 0) return;
    const counts = windows.map((window) => window.counts);
    const keys = windows.map((window) => window.key);
    await tx.query(
      `insert into windows (second_at, boot_id, seq, idx, model, version_id, rollout_id, epoch, arm, prompt_class, responses, errors, timeouts,
         unfinished, refusals, loops, client_gone, non_finite, units, ln_total_count, ln_total_sum, histograms)
       select to_timestamp(t.second_ms / 1000.0), $1::uuid, $2::bigint, t.ordinality, t.model, t.version_id, t.rollout_id, t.epoch, t.arm, t.prompt_class,
         t.responses, t.errors, t.timeouts, t.unfinished, t.refusals, t.loops, t.client_gone, t.non_finite, t.units, t.ln_count, t.ln_sum, t.histograms
       from unnest($3::float8[], $4::text[], $5::uuid[], $6::uuid[], $7::int[], $8::text[], $9::text[], $10::int[], $11::int[], $12::int[], $13::int[],
         $14::int[], $15::int[], $16::int[], $17::int[], $18::int[], $19::int[], $20::float8[], $21::bytea[])
         with ordinality as t (second_ms, model, version_id, rollout_id, epoch, arm, prompt_class, responses, errors, timeouts, unfinished, refusals, loops,
           client_gone, non_finite, units, ln_count, ln_sum, histograms, ordinality)
       on conflict do nothing`,
      [
        bootId,
        seq,
        keys.map((key) => key.secondAt),
        keys.map((key) => key.model),
        keys.map((key) => key.versionId),
        keys.map((key) => key.rolloutId),
        keys.map((key) => key.epoch),
        keys.map((key) => key.arm),
        keys.map((key) => key.promptClass),
        counts.map((one) => one.responses),
        counts.map((one) => one.errors),
        counts.map((one) => one.timeouts),
        counts.map((one) => one.unfinished),
        counts.map((one) => one.refusals),
        counts.map((one) => one.loops),
        counts.map((one) => one.clientGone),
        counts.map((one) => one.nonFinite),
        counts.map((one) => one.units),
        counts.map((one) => one.lnTotalCount),
        counts.map((one) => one.lnTotalSum),
        counts.map((one) => Buffer.from(encodeHistograms(one.histograms))),
      ],
    );
  }

  /**
   * This instant of the database: what had committed, and a time that is not before any of it. `snapshot` is Postgres's own text
   * (`xmin:xmax:running`) and tells for ever which windows a look saw.
   */
  async instant(tx: EntityManager): Promise<WindowInstant> {
    const found = await row<WindowInstant>(
      tx,
      'select pg_current_snapshot()::text as snapshot, floor(extract(epoch from clock_timestamp()) * 1000)::float8 as at',
    );
    if (!found) throw new Error('a select without a row');
    return found;
  }

  /** Everything of these rollouts that had committed at a snapshot, in no order. */
  async seenAt(tx: EntityManager, rolloutIds: readonly string[], snapshot: string): Promise<Window[]> {
    if (rolloutIds.length === 0) return [];
    const found = await rows<WindowRow>(
      tx,
      `select ${columns} from windows where rollout_id = any($1::uuid[]) and pg_visible_in_snapshot(written_in, $2::pg_snapshot)`,
      [[...rolloutIds], snapshot],
    );
    return found.map(toWindow);
  }

  /**
   * What committed between two snapshots, each window exactly once, however late its transaction was: everything before the oldest transaction that
   * ran at the earlier snapshot was seen then.
   */
  async committedBetween(tx: EntityManager, rolloutIds: readonly string[], from: string, to: string): Promise<Window[]> {
    if (rolloutIds.length === 0) return [];
    const found = await rows<WindowRow>(
      tx,
      `select ${columns} from windows
       where written_in >= pg_snapshot_xmin($2::pg_snapshot) and written_in < pg_snapshot_xmax($3::pg_snapshot) and rollout_id = any($1::uuid[])
         and not pg_visible_in_snapshot(written_in, $2::pg_snapshot) and pg_visible_in_snapshot(written_in, $3::pg_snapshot)`,
      [[...rolloutIds], from, to],
    );
    return found.map(toWindow);
  }

  /** Everything that a rollout's arms have shown, in no order. */
  async ofRollout(tx: EntityManager, rolloutId: string): Promise<Window[]> {
    return (await rows<WindowRow>(tx, `select ${columns} from windows where rollout_id = $1`, [rolloutId])).map(toWindow);
  }

  /** A version's windows as stable or without a rollout since `sinceAt`: the reference that scores are fitted on. */
  async referenceOf(tx: EntityManager, versionId: string, sinceAt: number): Promise<Window[]> {
    const found = await rows<WindowRow>(
      tx,
      `select ${columns} from windows where version_id = $1 and second_at >= to_timestamp($2 / 1000.0) and (arm is null or arm = 'stable')`,
      [versionId, sinceAt],
    );
    return found.map(toWindow);
  }

  /** The newest of such windows, at most `limit`: a sample whose size is bounded. */
  async newestOf(tx: EntityManager, versionId: string, sinceAt: number, limit: number): Promise<Window[]> {
    const found = await rows<WindowRow>(
      tx,
      `select ${columns} from windows where version_id = $1 and second_at >= to_timestamp($2 / 1000.0) and (arm is null or arm = 'stable')
       order by second_at desc limit $3`,
      [versionId, sinceAt, limit],
    );
    return found.map(toWindow);
  }

  /** Finished responses in such a reference, of several at once and in the order asked: cheap beside reading one. */
  async referenceSizes(tx: EntityManager, asked: readonly { readonly versionId: string; readonly sinceAt: number }[]): Promise<number[]> {
    if (asked.length === 0) return [];
    const found = await rows<{ responses: number }>(
      tx,
      `select coalesce(sum(w.ln_total_count), 0)::float8 as responses
       from unnest($1::uuid[], $2::float8[]) with ordinality as asked (version_id, since_ms, nth)
       left join windows w on w.version_id = asked.version_id and w.second_at >= to_timestamp(asked.since_ms / 1000.0)
         and (w.arm is null or w.arm = 'stable')
       group by asked.nth order by asked.nth`,
      [asked.map((one) => one.versionId), asked.map((one) => one.sinceAt)],
    );
    return found.map(({ responses }) => responses);
  }

  /** All windows of a version whose second lies in [fromAt, toAt), whatever part it had in a rollout. */
  async ofVersion(tx: EntityManager, versionId: string, fromAt: number, toAt: number): Promise<Window[]> {
    const found = await rows<WindowRow>(
      tx,
      `select ${columns} from windows where version_id = $1 and second_at >= to_timestamp($2 / 1000.0) and second_at < to_timestamp($3 / 1000.0)`,
      [versionId, fromAt, toAt],
    );
    return found.map(toWindow);
  }

  /**
   * Makes the daily partitions from yesterday to `days` ahead of `nowAt`; cheap when they exist. Rows that came before their day had a
   * partition lie in the default one and are moved: Postgres would refuse the partition for ever because of them. Needs a transaction.
   */
  async ensurePartitions(tx: EntityManager, nowAt: number, days = 7): Promise<void> {
    const today = Math.floor(nowAt / dayMs) * dayMs;
    const wanted = Array.from({ length: days + 2 }, (_, index) => today + (index - 1) * dayMs);
    const missing = async (): Promise<number[]> => {
      const found = await rows<{ at: number }>(
        tx,
        // Not to_regclass: it answers from this session's cache, which may not know yet what another one just made.
        `select at from unnest($1::float8[], $2::text[]) as wanted (at, name)
         where not exists (select from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'windows'::regclass and c.relname = name)
         order by at`,
        [wanted, wanted.map(partitionOf)],
      );
      return found.map(({ at }) => at);
    };
    if ((await missing()).length === 0) return;
    // Several controllers do this; whoever waited looks again.
    await tx.query('select pg_advisory_xact_lock($1)', [partitionLock]);
    for (const dayAt of await missing()) await this.makePartition(tx, dayAt);
  }

  private async makePartition(tx: EntityManager, dayAt: number): Promise<void> {
    // Names and bounds come from a date alone, never from input.
    const name = partitionOf(dayAt);
    const from = `'${dayOf(dayAt)} 00:00:00+00'`;
    const to = `'${dayOf(dayAt + dayMs)} 00:00:00+00'`;
    await tx.query('lock table windows_default in access exclusive mode');
    await tx.query(`create table ${name} (like windows including defaults including constraints)`);
    await tx.query(
      `with moved as (delete from windows_default where second_at >= ${from} and second_at < ${to} returning *) insert into ${name} select * from moved`,
    );
    await tx.query(`alter table windows attach partition ${name} for values from (${from}) to (${to})`);
  }

  /** Assignment time from which windows are still judged: the start of the oldest live rollout; null when none is live. */
  async neededSince(tx: EntityManager): Promise<number | null> {
    const [oldest] = await rows<{ at: number | null }>(
      tx,
      'select (extract(epoch from min(created_at)) * 1000)::float8 as at from rollouts where ended_at is null',
    );
    return oldest?.at ?? null;
  }

  /** Drops whole days that ended before `beforeAt`, and older rows without a day of their own; returns the names of the days. */
  async dropBefore(tx: EntityManager, beforeAt: number): Promise<string[]> {
    const partitions = await rows<{ name: string }>(
      tx,
      `select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'windows'::regclass and c.relname ~ '^windows_[0-9]{8}$'`,
    );
    const limit = partitionOf(beforeAt - dayMs);
    const old = partitions.map(({ name }) => name).filter((name) => name <= limit);
    for (const name of old) await tx.query(`drop table ${name}`);
    await tx.query('delete from windows_default where second_at < to_timestamp($1 / 1000.0)', [beforeAt]);
    return old;
  }
}

function toWindow(stored: WindowRow): Window {
  return {
    key: {
      model: stored.model,
      versionId: stored.versionId,
      rolloutId: stored.rolloutId,
      epoch: stored.epoch,
      arm: stored.arm,
      promptClass: stored.promptClass,
      secondAt: Math.round(stored.secondAt),
    },
    counts: {
      responses: stored.responses,
      errors: stored.errors,
      timeouts: stored.timeouts,
      unfinished: stored.unfinished,
      refusals: stored.refusals,
      loops: stored.loops,
      clientGone: stored.clientGone,
      nonFinite: stored.nonFinite,
      units: stored.units,
      lnTotalCount: stored.lnTotalCount,
      lnTotalSum: stored.lnTotalSum,
      histograms: decodeHistograms(stored.histograms),
    },
  };
}
