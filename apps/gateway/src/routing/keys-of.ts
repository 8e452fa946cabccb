// Rows of keys as gateways look them up: by the hex of their hash.
import { keyLimits } from '#libs/contract';
import type { ApiKeyRow } from '#libs/storage';
import type { KnownKey } from './snapshot.js';

export function keysOf(rows: readonly ApiKeyRow[]): Record<string, KnownKey> {
  return Object.fromEntries(
    rows.map(({ hash, name, scopes, expiresAt, limits }) => {
      // Limits of a newer release that cannot be read count as the defaults: a key is never refused for them.
      const known = keyLimits.nullable().safeParse(limits);
      return [hash.toString('hex'), { name, scopes, expiresAt, limits: known.success ? known.data : null }];
    }),
  );
}
