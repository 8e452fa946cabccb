// Who may announce versions by webhook: one sealed secret per source.
import type { EntityManager } from 'typeorm';
import { row, rows } from './rows.js';
import type { SecretBox } from './secret-box.js';

export interface HookSourceRow {
  readonly name: string;
  readonly createdAt: number;
}

const placeOf = (name: string): string => `hook_sources/${name}`;

export class HookSourceStore {
  constructor(private readonly box: SecretBox) {}

  /** Creates the source or replaces its secret; what was signed with the old one is refused from then on. */
  async setSecret(tx: EntityManager, name: string, secret: string): Promise<void> {
    await tx.query(
      'insert into hook_sources (name, secret) values ($1, $2) on conflict (name) do update set secret = excluded.secret, created_at = now()',
      [name, this.box.seal(secret, placeOf(name))],
    );
  }

  /** Null when there is no such source. Throws FaultError `secret.unreadable`. */
  async secretOf(tx: EntityManager, name: string): Promise<string | null> {
    const found = await row<{ secret: Buffer }>(tx, 'select secret from hook_sources where name = $1', [name]);
    return found ? this.box.open(found.secret, placeOf(name)) : null;
  }

  async list(tx: EntityManager): Promise<HookSourceRow[]> {
    return await rows(tx, `select name, (extract(epoch from created_at) * 1000)::float8 as "createdAt" from hook_sources order by name`);
  }
}
