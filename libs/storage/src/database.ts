// The handle on Postgres: TypeORM's data source with deadlines, transactions and migrations.
import { DataSource, type EntityManager } from 'typeorm';
import { connectLimitMs, queryLimitMs, statementLimitMs, targetOf } from './connection.js';
import { migrations } from '#migrations';

/** Serialises migrations of processes that start together. */
const migrationLock = 0x5e_71_00_01;

export interface DatabaseOptions {
  readonly url: string;
  /** Shown in pg_stat_activity. */
  readonly applicationName: string;
  readonly poolSize?: number;
}

/** A pool of connections. Survives restarts of the server: a query in between fails, the next ones reconnect. */
export class Database {
  constructor(
    readonly dataSource: DataSource,
    readonly url: string,
  ) {}

  /** For reads and single statements outside a transaction. */
  get manager(): EntityManager {
    return this.dataSource.manager;
  }

  /** Everything in `work` commits together or not at all. Nothing external may happen inside. */
  async transaction<T>(work: (tx: EntityManager) => Promise<T>): Promise<T> {
    return await this.dataSource.transaction(work);
  }

  /** Brings the schema up to date; safe to call from many processes at once. */
  async migrate(): Promise<void> {
    const runner = this.dataSource.createQueryRunner();
    await runner.connect();
    try {
      await runner.query('set statement_timeout = 0');
      await runner.query('select pg_advisory_lock($1)', [migrationLock]);
      await this.dataSource.runMigrations({ transaction: 'each' });
    } finally {
      // A failed unlock means a broken connection, which the server has unlocked by itself.
      await runner.query('select pg_advisory_unlock($1)', [migrationLock]).catch(() => undefined);
      await runner.query(`set statement_timeout = ${statementLimitMs}`).catch(() => undefined);
      await runner.release();
    }
  }

  async close(): Promise<void> {
    if (this.dataSource.isInitialized) await this.dataSource.destroy();
  }
}

function dataSourceOf(options: DatabaseOptions): DataSource {
  const target = targetOf(options.url);
  return new DataSource({
    type: 'postgres',
    host: target.host,
    port: target.port,
    username: target.user,
    ...(target.password === undefined ? {} : { password: target.password }),
    database: target.database,
    ssl: target.ssl,
    entities: [],
    migrations: [...migrations],
    migrationsTableName: 'schema_migrations',
    synchronize: false,
    logging: false,
    applicationName: options.applicationName,
    poolSize: options.poolSize ?? 8,
    // An idle client whose server goes away emits 'error'; unheard it would end the process. The next query reports the trouble.
    poolErrorHandler: () => undefined,
    extra: {
      connectionTimeoutMillis: connectLimitMs,
      statement_timeout: statementLimitMs,
      query_timeout: queryLimitMs,
      idle_in_transaction_session_timeout: 30_000,
      keepAlive: true,
    },
  });
}

/** Connects, or rejects with the driver's error when the server cannot be reached within 5 s. */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const dataSource = dataSourceOf(options);
  await dataSource.initialize();
  return new Database(dataSource, options.url);
}
