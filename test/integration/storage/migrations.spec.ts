// The schema: up, down and up again; what is immutable stays so.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDatabase } from '#libs/storage';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';
import { migrations } from '#migrations';

let test: TestDatabase;
beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(async () => await test.drop());

const tables = async (): Promise<string[]> => {
  const rows: { name: string }[] = await test.database.manager.query(
    `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and relname not like 'windows_%' order by 1`,
  );
  return rows.map((row) => row.name);
};

describe('migrations', () => {
  it('go down to nothing but their own record, and up again to the same tables', async () => {
    const before = await tables();
    expect(before).toContain('rollouts');
    for (const _ of migrations) await test.database.undoMigration();
    expect(await tables()).toEqual(['schema_migrations']);
    const functions = await test.database.manager.query(`select proname from pg_proc where pronamespace = 'public'::regnamespace`);
    expect(functions).toEqual([]);
    await test.database.migrate();
    expect(await tables()).toEqual(before);
  });

  it('may be run by several processes at once', async () => {
    for (const _ of migrations) await test.database.undoMigration();
    const others = await Promise.all(
      [1, 2].map(async () => await openDatabase({ url: test.url, applicationName: 'migrator', poolSize: 1 })),
    );
    await Promise.all([test.database, ...others].map(async (database) => await database.migrate()));
    await Promise.all(others.map(async (database) => await database.close()));
    const rows = await test.database.manager.query('select name from schema_migrations');
    expect(rows).toHaveLength(migrations.length);
  });
});

it('the audit and the versions cannot be truncated away', async () => {
  await expect(test.database.manager.query('truncate audit')).rejects.toThrow(/immutable/);
  await expect(test.database.manager.query('truncate versions cascade')).rejects.toThrow(/immutable/);
});

describe('openDatabase', () => {
  it('says that nobody answers, and that it may be tried again', async () => {
    await expect(openDatabase({ url: 'postgres://x@127.0.0.1:1/x', applicationName: 'test' })).rejects.toMatchObject({
      fault: { code: 'storage.unreachable', retryable: true, field: 'DATABASE_URL' },
    });
  });

  it('does not repeat a URL that it cannot read: it may hold a password', async () => {
    const refused = openDatabase({ url: 'postgres://me:secret@:port/x', applicationName: 'test' });
    await expect(refused).rejects.toMatchObject({ fault: { code: 'storage.bad-url', field: 'DATABASE_URL' } });
    await expect(refused).rejects.not.toThrow(/secret/);
  });

  it('ends a statement that takes longer than its deadline', async () => {
    const database = await openDatabase({ url: test.url, applicationName: 'test', poolSize: 1, deadlineMs: 200 });
    try {
      await expect(database.manager.query('select pg_sleep(30)')).rejects.toThrow(/timeout/);
      expect(await database.manager.query('select 1 as one')).toEqual([{ one: 1 }]);
    } finally {
      await database.close();
    }
  });

  it('undoes the whole of a transaction that throws', async () => {
    const work = test.database.transaction(async (tx) => {
      await tx.query(`insert into test_sets (id, name) values (gen_random_uuid(), 'half')`);
      throw new Error('in the middle');
    });
    await expect(work).rejects.toThrow('in the middle');
    expect(await test.database.manager.query(`select * from test_sets where name = 'half'`)).toEqual([]);
  });
});
