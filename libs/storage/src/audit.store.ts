// The audit log: append only, each entry carries the hash of the one before, so a removed or changed entry shows.
import type { EntityManager } from 'typeorm';
import { canonicalJson, sha256Hex } from './digest.js';
import { json, row } from './rows.js';

export interface AuditEntry {
  readonly actor: string;
  /** `rollout.rollback`, `model.created` ... */
  readonly action: string;
  readonly subject: string;
  readonly reason: string | null;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** Any constant of our own: appends take turns, or two entries would name the same predecessor. */
const auditLock = 7_361_747;
const beginning = '0'.repeat(64);

export class AuditStore {
  /** Appends in the caller's transaction; holds the log's lock until it ends, so keep the rest of the transaction short. */
  async append(tx: EntityManager, entry: AuditEntry): Promise<void> {
    await tx.query('select pg_advisory_xact_lock($1)', [auditLock]);
    const last = await row<{ hash: string }>(tx, 'select hash from audit order by id desc limit 1');
    const at = await row<{ at: string }>(tx, `select to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at`);
    const previous = last?.hash ?? beginning;
    const { actor, action, subject, reason, detail } = entry;
    const hash = sha256Hex(canonicalJson({ previous, at: at?.at ?? '', actor, action, subject, reason, detail }));
    await tx.query(
      `insert into audit (at, actor, action, subject, reason, detail, previous_hash, hash) values ($1, $2, $3, $4, $5, $6, $7, $8)`,
      [at?.at, actor, action, subject, reason, json(detail), previous, hash],
    );
  }
}
