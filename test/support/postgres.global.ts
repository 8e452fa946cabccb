// Runs once per vitest run: one throw-away Postgres, and a template database migrated once that every spec file clones.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { openDatabase, startEmbeddedPostgres } from '#libs/storage';
import { createLog } from '#libs/telemetry';
import { templateName } from './postgres.js';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Of the server's own database `serin`; clones differ in the path. */
    postgresUrl: string;
  }
}

export default async function startOnce(project: TestProject): Promise<() => Promise<void>> {
  const dataDir = await mkdtemp(join(tmpdir(), 'serin-test-'));
  const started = await startEmbeddedPostgres({ dataDir, log: createLog('test-postgres', 'warn'), fsync: false });
  if (!started.ok) throw new Error(`${started.fault.message} ${started.fault.remedy ?? ''}`);
  const postgres = started.value;
  try {
    const admin = new pg.Client({ connectionString: postgres.url, connectionTimeoutMillis: 10_000, query_timeout: 60_000 });
    admin.on('error', () => undefined);
    await admin.connect();
    await admin.query(`create database ${templateName}`);
    await admin.end();
    const template = new URL(postgres.url);
    template.pathname = `/${templateName}`;
    const database = await openDatabase({ url: template.href, applicationName: 'serin-test-template', poolSize: 1 });
    await database.migrate();
    // A template must have no session when it is cloned.
    await database.close();
  } catch (error) {
    await postgres.stop();
    throw error;
  }
  project.provide('postgresUrl', postgres.url);
  return async () => {
    await postgres.stop();
    await rm(dataDir, { recursive: true, force: true });
  };
}
