// How this process reaches Postgres: one reading of the URL for TypeORM's pool and for plain clients, every wait with a deadline.
export interface ConnectionTarget {
  /** Host name, or the folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string | undefined;
  readonly database: string;
  readonly ssl: boolean | { readonly rejectUnauthorized: boolean };
}

/** Reads a `postgres://` URL, including `?host=/socket/folder` and `?sslmode=`. Throws TypeError when it is none. */
export function targetOf(url: string): ConnectionTarget {
  const parsed = new URL(url);
  if (parsed.protocol !== 'postgres:' && parsed.protocol !== 'postgresql:') throw new TypeError('DATABASE_URL must begin with postgres://');
  const mode = parsed.searchParams.get('sslmode') ?? 'disable';
  return {
    host: parsed.searchParams.get('host') ?? (decodeURIComponent(parsed.hostname) || 'localhost'),
    port: Number(parsed.port || 5432),
    user: decodeURIComponent(parsed.username) || 'postgres',
    password: parsed.password ? decodeURIComponent(parsed.password) : undefined,
    database: decodeURIComponent(parsed.pathname.slice(1)) || 'postgres',
    ssl: mode === 'disable' || mode === 'prefer' ? false : { rejectUnauthorized: mode === 'verify-ca' || mode === 'verify-full' },
  };
}

/** Deadlines, milliseconds. The server's own limit comes first so that its error is the one people read; the client's covers a silent network. */
export const connectLimitMs = 5_000;
export const statementLimitMs = 10_000;
export const queryLimitMs = 12_000;
