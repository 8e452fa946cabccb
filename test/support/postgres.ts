// A migrated database for one spec file: cloned from the template in some 50 ms, isolated down to NOTIFY and advisory locks.
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import { type Database, openDatabase } from '#libs/storage';

export const templateName = 'serin_template';
/** Cloning needs the template to itself, and vitest runs several workers. */
const cloneLock = 918_273;

export interface TestDatabase {
  readonly url: string;
  readonly database: Database;
  /** Closes the handle and removes the database, other sessions or not. */
  drop(): Promise<void>;
}

async function asAdmin(work: (admin: pg.Client) => Promise<void>): Promise<void> {
  const admin = new pg.Client({ connectionString: inject('postgresUrl'), connectionTimeoutMillis: 30_000, query_timeout: 60_000 });
  admin.on('error', () => undefined);
  await admin.connect();
  try {
    await work(admin);
  } finally {
    await admin.end();
  }
}

/** Call in `beforeAll`; `drop` in `afterAll`. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const name = `t_${randomBytes(8).toString('hex')}`;
  await asAdmin(async (admin) => {
    await admin.query('select pg_advisory_lock($1)', [cloneLock]);
    await admin.query(`create database ${name} template ${templateName}`);
  });
  const url = new URL(inject('postgresUrl'));
  url.pathname = `/${name}`;
  const database = await openDatabase({ url: url.href, applicationName: 'serin-test', poolSize: 5 });
  return {
    url: url.href,
    database,
    drop: async () => {
      await database.close();
      await asAdmin(async (admin) => {
        await admin.query(`drop database ${name} with (force)`);
      });
    },
  };
}
