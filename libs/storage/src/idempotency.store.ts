// Idempotency keys: the first answer to a key is the answer to every repeat of it.
import type { EntityManager } from 'typeorm';
import { json, row, touched } from './rows.js';

export interface StoredAnswer {
  readonly requestHash: string;
  readonly status: number;
  readonly response: unknown;
}

export class IdempotencyStore {
  /** Reserves a key in the caller's transaction. Null: it is ours, save the answer. Else what was answered before; waits for a first call that is still running. */
  async reserve(tx: EntityManager, actor: string, key: string, requestHash: string): Promise<StoredAnswer | null> {
    const mine = await row(
      tx,
      `insert into idempotency_keys (actor, key, request_hash, status, response) values ($1, $2, $3, 0, 'null') on conflict do nothing returning key`,
      [actor, key, requestHash],
    );
    if (mine) return null;
    return await row<StoredAnswer>(
      tx,
      `select request_hash as "requestHash", status, response from idempotency_keys where actor = $1 and key = $2`,
      [actor, key],
    );
  }

  async save(
    tx: EntityManager,
    actor: string,
    key: string,
    answer: { readonly status: number; readonly response: unknown },
  ): Promise<void> {
    await tx.query('update idempotency_keys set status = $3, response = $4 where actor = $1 and key = $2', [
      actor,
      key,
      answer.status,
      json(answer.response ?? null),
    ]);
  }

  /** Forgets answers older than `olderThanMs`, at most 1,000 a call; returns how many. */
  async prune(tx: EntityManager, olderThanMs: number): Promise<number> {
    return await touched(
      tx,
      `delete from idempotency_keys where ctid = any(array(
         select ctid from idempotency_keys where created_at < now() - $1 * interval '1 millisecond' limit 1000)) returning 1`,
      [olderThanMs],
    );
  }
}
