// The one way to the database: a TypeORM data source with explicit lists, deadlines on everything and listeners on every connection.
import pg from 'pg';
import { DataSource, type EntityManager } from 'typeorm';
import { FaultError } from '#libs/base';
import { connectLimitMs, queryLimitMs, statementLimitMs, targetOf } from './connection.js';
import { migrations } from '#migrations';

export interface DatabaseOptions {
  /** `postgres://...`; a `host=` query may name a socket directory. */
  readonly url: string;
  /** Shown in `pg_stat_activity`. */
  readonly applicationName: string;
  /** Most connections held, default 8. */
  readonly poolSize?: number;
  /** Longest time for one statement, milliseconds, default 10 s; the client gives up 2 s later, whatever the server does. */
  readonly deadlineMs?: number;
  /** Longest wait for a connection, milliseconds, default 5 s. */
  readonly connectMs?: number;
  /** Told about connections that died while idle. The pool heals by itself, so nobody has to act. */
  readonly onConnectionError?: (error: Error) => void;
}

const migrationLimitMs = 300_000;
/** Any constant of our own: two processes that migrate at once take turns. */
const migrationLock = 7_361_746;
const oldestMajor = 14;

export class Database {
  constructor(
    readonly dataSource: DataSource,
    private readonly options: DatabaseOptions,
  ) {}

  get url(): string {
    return this.options.url;
  }

  /** Runs each statement in a transaction of its own. */
  get manager(): EntityManager {
    return this.dataSource.manager;
  }

  /** All or nothing, read committed. A lost connection rejects; whether the commit arrived is then unknown: re-read. */
  async transaction<T>(work: (tx: EntityManager) => Promise<T>): Promise<T> {
    return await this.dataSource.transaction('READ COMMITTED', work);
  }

  /** Brings the schema up to date. Idempotent; concurrent callers take turns under an advisory lock. Needs a direct connection, no transaction pooler. */
  async migrate(): Promise<void> {
    await this.underMigrationLock(async (source) => {
      await source.runMigrations({ transaction: 'each' });
    });
  }

  /** Takes the newest migration back, with the data it held. For development and tests. */
  async undoMigration(): Promise<void> {
    await this.underMigrationLock(async (source) => {
      await source.undoLastMigration({ transaction: 'each' });
    });
  }

  /** Closes all connections; a second call does nothing. */
  async close(): Promise<void> {
    if (this.dataSource.isInitialized) await this.dataSource.destroy();
  }

  private async underMigrationLock(work: (source: DataSource) => Promise<void>): Promise<void> {
    const { url, applicationName } = this.options;
    // The lock lives on a connection of its own: a pooled one could be handed to somebody else while we hold it.
    const holder = new pg.Client({
      connectionString: url,
      application_name: `${applicationName}-migrate`,
      connectionTimeoutMillis: connectLimitMs,
      query_timeout: migrationLimitMs,
    });
    holder.on('error', () => undefined);
    await holder.connect();
    const source = createSource({
      ...this.options,
      applicationName: `${applicationName}-migrate`,
      poolSize: 1,
      deadlineMs: migrationLimitMs,
    });
    try {
      await holder.query('select pg_advisory_lock($1)', [migrationLock]);
      await source.initialize();
      await work(source);
    } finally {
      if (source.isInitialized) await source.destroy();
      await holder.end();
    }
  }
}

function createSource(options: DatabaseOptions): DataSource {
  const { url, applicationName, poolSize = 8, deadlineMs = statementLimitMs, connectMs = connectLimitMs, onConnectionError } = options;
  const target = targetOf(url);
  return new DataSource({
    type: 'postgres',
    host: target.host,
    port: target.port,
    username: target.user,
    ...(target.password === undefined ? {} : { password: target.password }),
    database: target.database,
    ssl: target.ssl,
    applicationName,
    poolSize,
    connectTimeoutMS: connectMs,
    installExtensions: false,
    // Stores speak SQL: no entity may read or write a table behind their back.
    entities: [],
    migrations: [...migrations],
    migrationsTableName: 'schema_migrations',
    synchronize: false,
    logging: false,
    // An idle client whose server goes away emits 'error'; unheard it would end the process.
    poolErrorHandler: (error: Error) => onConnectionError?.(error),
    extra: {
      // The server's own limit frees its resources; only the client's limit helps when packets are dropped silently.
      statement_timeout: deadlineMs,
      query_timeout: deadlineMs + queryLimitMs - statementLimitMs,
      lock_timeout: Math.min(deadlineMs, 5_000),
      idle_in_transaction_session_timeout: Math.max(deadlineMs, 30_000),
      idleTimeoutMillis: 30_000,
      keepAlive: true,
    },
  });
}

/** Connects or throws FaultError `storage.bad-url`, `storage.unreachable` (retryable) or `storage.too-old`. Does not migrate. */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  let source: DataSource;
  try {
    source = createSource(options);
  } catch {
    // The URL itself stays out of the message: it may hold a password.
    throw new FaultError({
      code: 'storage.bad-url',
      message: 'The database URL cannot be read.',
      retryable: false,
      field: 'DATABASE_URL',
      remedy: 'Write it as postgres://user:password@host:5432/database, with special characters percent-encoded.',
    });
  }
  try {
    await source.initialize();
  } catch (error) {
    throw new FaultError({
      code: 'storage.unreachable',
      message: `Postgres cannot be reached: ${error instanceof Error ? error.message || error.name : String(error)}`,
      retryable: true,
      field: 'DATABASE_URL',
      remedy: 'Check that the server runs and that DATABASE_URL names its host, port, user, password and database.',
    });
  }
  const [row] = await source.query<{ major: number }[]>(`select current_setting('server_version_num')::int / 10000 as major`);
  if ((row?.major ?? 0) < oldestMajor) {
    await source.destroy();
    throw new FaultError({
      code: 'storage.too-old',
      message: `This Postgres is version ${row?.major}; Serin needs ${oldestMajor} or newer.`,
      retryable: false,
      field: 'DATABASE_URL',
      remedy: 'Use a newer server, or leave DATABASE_URL out to run the embedded one.',
    });
  }
  return new Database(source, options);
}
