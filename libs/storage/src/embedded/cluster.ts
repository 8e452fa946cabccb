// The cluster on disk: made once by initdb, refused when it belongs to another major version.
import { execFile } from 'node:child_process';
import { chown, mkdir, readdir, readFile, rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fail, type Outcome, ok } from '#libs/base';
import type { Binaries } from './binaries.js';
import type { Account } from './run-as.js';

/** Major version of the bundled server. */
export const bundledMajor = '18';
export const superuser = 'serin';
const initdbLimitMs = 120_000;

interface Ran {
  readonly code: number;
  readonly output: string;
}

async function run(file: string, args: string[], account: Account | null, cwd: string): Promise<Ran> {
  return await new Promise((done) => {
    execFile(
      file,
      args,
      {
        cwd,
        timeout: initdbLimitMs,
        env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C', TZ: 'UTC' },
        ...(account ? { uid: account.uid, gid: account.gid } : {}),
      },
      (error, stdout, stderr) => done({ code: error ? 1 : 0, output: `${stdout}${stderr}${error && !stderr ? error.message : ''}` }),
    );
  });
}

/**
 * Makes the cluster unless one is there. It is made beside its place and moved in whole: a killed initdb leaves nothing that looks like a
 * cluster, and a damaged cluster is never mistaken for a half-made one and wiped.
 */
export async function ensureCluster(
  cluster: string,
  binaries: Binaries,
  account: Account | null,
  options: { readonly sync: boolean },
): Promise<Outcome<void>> {
  const found = await readdir(cluster);
  if (found.length > 0) return await checkCluster(cluster);
  const draft = `${cluster}.draft`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { mode: 0o700 });
  if (account) await chown(draft, account.uid, account.gid);
  const args = ['-D', draft, '-U', superuser, '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-instructions'];
  const made = await run(binaries.initdb, options.sync ? args : [...args, '--no-sync'], account, draft);
  if (made.code !== 0) {
    await rm(draft, { recursive: true, force: true });
    return fail({
      code: 'postgres.initdb-failed',
      message: `initdb could not make a database in ${draft}: ${made.output.trim().split('\n').slice(-3).join(' | ')}`,
      remedy: 'Check free space and permissions there, choose another SERIN_DATA_DIR, or set DATABASE_URL to a Postgres of your own.',
    });
  }
  await rmdir(cluster);
  await rename(draft, cluster);
  return ok(undefined);
}

async function checkCluster(cluster: string): Promise<Outcome<void>> {
  const major = (await readFile(join(cluster, 'PG_VERSION'), 'utf8').catch(() => '')).trim();
  if (major === bundledMajor) return ok(undefined);
  if (major === '') {
    return fail({
      code: 'postgres.not-a-cluster',
      message: `${cluster} is not empty, and holds no Postgres cluster that can be recognised (PG_VERSION is missing).`,
      field: 'SERIN_DATA_DIR',
      remedy: 'Restore it from a backup, or move it away to start with an empty database, or choose another SERIN_DATA_DIR.',
    });
  }
  return fail({
    code: 'postgres.other-major',
    message: `The data directory ${cluster} was made by Postgres ${major}; this Serin brings Postgres ${bundledMajor}.`,
    field: 'SERIN_DATA_DIR',
    remedy: `Export with a Serin that brings Postgres ${major} and import here, or run a Postgres ${major} of your own and set DATABASE_URL.`,
  });
}
