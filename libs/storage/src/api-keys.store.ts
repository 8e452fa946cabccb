// API keys: 256 random bits, shown once; only a hash is stored, so a dump of the database opens nothing.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { json, row, rows } from './rows.js';

export const keysChannel = 'serin_keys';
/** Any constant of our own: changes to keys take turns. */
const keysLock = 7_361_748;
const prefix = 'sk-serin-';
const shownCharacters = 14;

/** Null = without limit. */
export interface StoredLimits {
  readonly requestsPerMinute: number | null;
  readonly tokensPerMinute: number | null;
  readonly concurrentRequests: number | null;
}

export interface ApiKeyRow {
  readonly id: string;
  readonly name: string;
  /** First characters, for people to recognise it. */
  readonly prefix: string;
  readonly hash: Buffer;
  readonly scopes: readonly string[];
  /** Null = the defaults of the gateways. */
  readonly limits: StoredLimits | null;
  readonly createdBy: string;
  /** Milliseconds since the Unix epoch, as all times here. */
  readonly createdAt: number;
  readonly expiresAt: number | null;
  readonly revokedAt: number | null;
  /** Grows with each change. */
  readonly revision: number;
}

export interface NewApiKey {
  readonly name: string;
  readonly scopes: readonly string[];
  readonly expiresAt?: number | null;
  readonly limits?: StoredLimits | null;
  readonly createdBy?: string;
}

const ms = (column: string, as: string): string => `(extract(epoch from ${column}) * 1000)::float8 as "${as}"`;
const columns = `id, name, prefix, hash, scopes, limits, created_by as "createdBy", revision,
  ${ms('created_at', 'createdAt')}, ${ms('expires_at', 'expiresAt')}, ${ms('revoked_at', 'revokedAt')}`;
const active = 'revoked_at is null and (expires_at is null or expires_at > now())';

/** SHA-256 of a key's text. A fast hash is right here: there is nothing to guess in 256 random bits. */
export function hashKey(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}

export class ApiKeyStore {
  /**
   * Until the transaction ends nobody else who asks this changes a key: what was checked stays true. Two managers could otherwise each revoke
   * the other at once, or a key that is being revoked leave another behind.
   */
  async takeTurn(tx: EntityManager): Promise<void> {
    await tx.query('select pg_advisory_xact_lock($1)', [keysLock]);
  }

  /** Returns the text of the key, which nobody can read again. */
  async create(
    tx: EntityManager,
    { name, scopes, expiresAt = null, limits = null, createdBy = 'system' }: NewApiKey,
  ): Promise<{ id: string; key: string }> {
    const id = randomUUID();
    const key = prefix + randomBytes(32).toString('base64url');
    await tx.query(
      `insert into api_keys (id, name, prefix, hash, scopes, expires_at, limits, created_by)
       values ($1, $2, $3, $4, $5, to_timestamp($6::float8 / 1000), $7, $8)`,
      [id, name, key.slice(0, shownCharacters), hashKey(key), [...scopes], expiresAt, limits && json(limits), createdBy],
    );
    await this.tell(tx, id);
    return { id, key };
  }

  async listActive(tx: EntityManager): Promise<ApiKeyRow[]> {
    return await rows(tx, `select ${columns} from api_keys where ${active}`);
  }

  /** All keys, also those that are over, newest first. `before` is the id of the last one of the page before. */
  async list(tx: EntityManager, { before, limit }: { readonly before: string | null; readonly limit: number }): Promise<ApiKeyRow[]> {
    return await rows(
      tx,
      `select ${columns} from api_keys
       where $1::uuid is null or (created_at, id) < (select created_at, id from api_keys where id = $1::uuid)
       order by api_keys.created_at desc, id desc limit $2`,
      [before, limit],
    );
  }

  /** The active key with this text. The look-up is by hash, so its timing tells nothing about stored keys. */
  async byKey(tx: EntityManager, key: string): Promise<ApiKeyRow | null> {
    return await row(tx, `select ${columns} from api_keys where hash = $1 and ${active}`, [hashKey(key)]);
  }

  async byId(tx: EntityManager, id: string): Promise<ApiKeyRow | null> {
    return await row(tx, `select ${columns} from api_keys where id = $1 and ${active}`, [id]);
  }

  /** Any key, also one that is over. */
  async find(tx: EntityManager, id: string): Promise<ApiKeyRow | null> {
    return await row(tx, `select ${columns} from api_keys where id = $1`, [id]);
  }

  /** Whether an active key has this name, whatever the case of its letters. */
  async isNameTaken(tx: EntityManager, name: string): Promise<boolean> {
    return (await row(tx, `select 1 from api_keys where lower(name) = lower($1) and ${active}`, [name])) !== null;
  }

  async countActive(tx: EntityManager): Promise<number> {
    return (await row<{ active: number }>(tx, `select count(*)::int as active from api_keys where ${active}`))?.active ?? 0;
  }

  /** Active keys without an end that hold all these scopes. */
  async countLasting(tx: EntityManager, scopes: readonly string[]): Promise<number> {
    const sql = 'select count(*)::int as lasting from api_keys where revoked_at is null and expires_at is null and scopes @> $1';
    return (await row<{ lasting: number }>(tx, sql, [[...scopes]]))?.lasting ?? 0;
  }

  /** Null = the defaults again. False when there is no such key, or it was revoked. */
  async setLimits(tx: EntityManager, id: string, limits: StoredLimits | null): Promise<boolean> {
    const sql = 'update api_keys set limits = $2, revision = revision + 1 where id = $1 and revoked_at is null returning id';
    return await this.change(tx, id, sql, [limits && json(limits)]);
  }

  /** False when there was no such key, or it was revoked before. */
  async revoke(tx: EntityManager, id: string): Promise<boolean> {
    const sql = 'update api_keys set revoked_at = now(), revision = revision + 1 where id = $1 and revoked_at is null returning id';
    return await this.change(tx, id, sql, []);
  }

  private async change(tx: EntityManager, id: string, sql: string, parameters: readonly unknown[]): Promise<boolean> {
    if ((await row(tx, sql, [id, ...parameters])) === null) return false;
    await this.tell(tx, id);
    return true;
  }

  /** Heard at the commit, by every gateway. */
  private async tell(tx: EntityManager, id: string): Promise<void> {
    await tx.query('select pg_notify($1, $2)', [keysChannel, id]);
  }
}
