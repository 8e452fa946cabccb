// API keys: 256 random bits, shown once; only a hash is stored, so a dump of the database opens nothing.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { row, rows, touched } from './rows.js';

export const keysChannel = 'serin_keys';
const prefix = 'sk-serin-';
const shownCharacters = 14;

export interface ApiKeyRow {
  readonly id: string;
  readonly name: string;
  /** First characters, for people to recognise it. */
  readonly prefix: string;
  readonly hash: Buffer;
  readonly scopes: readonly string[];
  readonly expiresAt: number | null;
}

const columns = `id, name, prefix, hash, scopes, (extract(epoch from expires_at) * 1000)::float8 as "expiresAt"`;
const active = 'revoked_at is null and (expires_at is null or expires_at > now())';

/** SHA-256 of a key's text. A fast hash is right here: there is nothing to guess in 256 random bits. */
export function hashKey(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}

export class ApiKeyStore {
  /** Returns the text of the key, which nobody can read again. */
  async create(
    tx: EntityManager,
    { name, scopes, expiresAt = null }: { name: string; scopes: readonly string[]; expiresAt?: number | null },
  ): Promise<{ id: string; key: string }> {
    const id = randomUUID();
    const key = prefix + randomBytes(32).toString('base64url');
    await tx.query(
      'insert into api_keys (id, name, prefix, hash, scopes, expires_at) values ($1, $2, $3, $4, $5, to_timestamp($6::float8 / 1000))',
      [id, name, key.slice(0, shownCharacters), hashKey(key), [...scopes], expiresAt],
    );
    await tx.query('select pg_notify($1, $2)', [keysChannel, id]);
    return { id, key };
  }

  async listActive(tx: EntityManager): Promise<ApiKeyRow[]> {
    return await rows(tx, `select ${columns} from api_keys where ${active}`);
  }

  /** The active key with this text. The look-up is by hash, so its timing tells nothing about stored keys. */
  async byKey(tx: EntityManager, key: string): Promise<ApiKeyRow | null> {
    return await row(tx, `select ${columns} from api_keys where hash = $1 and ${active}`, [hashKey(key)]);
  }

  async byId(tx: EntityManager, id: string): Promise<ApiKeyRow | null> {
    return await row(tx, `select ${columns} from api_keys where id = $1 and ${active}`, [id]);
  }

  /** False when there was no such active key. */
  async revoke(tx: EntityManager, id: string): Promise<boolean> {
    const revoked = await touched(tx, 'update api_keys set revoked_at = now() where id = $1 and revoked_at is null returning id', [id]);
    if (revoked > 0) await tx.query('select pg_notify($1, $2)', [keysChannel, id]);
    return revoked > 0;
  }
}
