// Heartbeats: frozen texts of a version, and what it thinks of them hour by hour.
import type { EntityManager } from 'typeorm';
import { json, row, rows, touched } from './rows.js';

export interface HeartbeatText {
  readonly caseId: string;
  readonly messages: readonly Readonly<Record<string, unknown>>[];
  readonly answer: string;
  /** Means over the answer's tokens. */
  readonly nllNats: number;
  readonly entropyNats: number | null;
}

/** A heartbeat that is due, taken by this evaluator for a while. */
export interface DueHeartbeat {
  readonly modelId: string;
  readonly model: string;
  readonly versionId: string;
  readonly label: string;
  readonly testSet: string | null;
  readonly everyS: number;
  readonly lnR: number;
}

export interface HeartbeatRow {
  readonly at: number;
  readonly versionId: string;
  readonly verdict: 'pass' | 'fail' | 'unmeasured';
  readonly texts: number;
  readonly logE: number | null;
  readonly lnR: number;
  readonly nllRatio: number | null;
  readonly note: string;
}

/** Rows kept for each model: more than a year of hours. */
const mostKept = 10_000;

export class HeartbeatStore {
  /** Takes one that is due for `holdMs`; after that another may. */
  async takeDue(tx: EntityManager, holdMs: number): Promise<DueHeartbeat | null> {
    return await row(
      tx,
      `update watches w set heartbeat_until = clock_timestamp() + $1 * interval '1 millisecond'
       from models m, versions v
       where m.id = w.model_id and v.id = w.version_id and w.model_id = (
         select due.model_id from watches due join models on models.id = due.model_id
         where due.heartbeat_at <= clock_timestamp() and (due.heartbeat_until is null or due.heartbeat_until < clock_timestamp())
           and models.stable_version_id = due.version_id and (due.policy ->> 'enabled')::boolean
         order by due.heartbeat_at limit 1 for update of due skip locked
       )
       returning w.model_id as "modelId", m.name as model, w.version_id as "versionId", v.label, w.test_set as "testSet",
         (w.policy ->> 'everyS')::float8 as "everyS", w.heartbeat_ln_r as "lnR"`,
      [holdMs],
    );
  }

  /** Stores a beat and when the next is due, in the caller's transaction. False when the watch is of another version by now. */
  async finish(tx: EntityManager, due: DueHeartbeat, beat: Omit<HeartbeatRow, 'at' | 'versionId'>): Promise<boolean> {
    const updated = await touched(
      tx,
      `update watches set heartbeat_until = null, heartbeat_ln_r = $3, heartbeat_at = clock_timestamp() + $4 * interval '1 second'
       where model_id = $1 and version_id = $2 returning model_id`,
      [due.modelId, due.versionId, beat.lnR, due.everyS],
    );
    if (updated === 0) return false;
    await tx.query(
      `insert into heartbeats (model_id, version_id, verdict, texts, log_e, ln_r, nll_ratio, note) values ($1, $2, $3, $4, $5, $6, $7, $8)`,
      [due.modelId, due.versionId, beat.verdict, beat.texts, beat.logE, beat.lnR, beat.nllRatio, beat.note],
    );
    await tx.query(
      `delete from heartbeats where model_id = $1 and id <= (select id from heartbeats where model_id = $1 order by id desc offset $2 limit 1)`,
      [due.modelId, mostKept],
    );
    return true;
  }

  /** Newest first. */
  async list(tx: EntityManager, modelId: string, limit: number): Promise<HeartbeatRow[]> {
    return await rows(
      tx,
      `select (extract(epoch from at) * 1000)::float8 as at, version_id as "versionId", verdict, texts, log_e as "logE", ln_r as "lnR",
         nll_ratio as "nllRatio", note from heartbeats where model_id = $1 order by id desc limit $2`,
      [modelId, limit],
    );
  }

  async texts(tx: EntityManager, versionId: string): Promise<HeartbeatText[]> {
    return await rows(
      tx,
      `select case_id as "caseId", messages, answer, nll_nats as "nllNats", entropy_nats as "entropyNats" from heartbeat_texts
       where version_id = $1 order by case_id`,
      [versionId],
    );
  }

  /** Freezes a version's texts; those that were frozen before stay. */
  async freeze(tx: EntityManager, versionId: string, texts: readonly HeartbeatText[]): Promise<void> {
    for (const { caseId, messages, answer, nllNats, entropyNats } of texts) {
      await tx.query(
        `insert into heartbeat_texts (version_id, case_id, messages, answer, nll_nats, entropy_nats) values ($1, $2, $3, $4, $5, $6) on conflict do nothing`,
        [versionId, caseId, json(messages), answer, nllNats, entropyNats],
      );
    }
  }
}
