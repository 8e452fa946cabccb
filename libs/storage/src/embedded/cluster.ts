// The cluster on disk: made once by initdb, refused when it belongs to another major version.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
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

/** Makes the cluster unless a whole one is there. A half-made one (killed initdb) is made anew: it never held anything. */
export async function ensureCluster(
  cluster: string,
  binaries: Binaries,
  account: Account | null,
  options: { readonly sync: boolean },
): Promise<Outcome<void>> {
  const versionFile = join(cluster, 'PG_VERSION');
  const whole = existsSync(versionFile) && existsSync(join(cluster, 'global', 'pg_control'));
  if (whole) {
    const major = (await readFile(versionFile, 'utf8')).trim();
    if (major === bundledMajor) return ok(undefined);
    return fail({
      code: 'postgres.other-major',
      message: `The data directory ${cluster} was made by Postgres ${major}; this Serin brings Postgres ${bundledMajor}.`,
      field: 'SERIN_DATA_DIR',
      remedy: `Export with a Serin that brings Postgres ${major} and import here, or run a Postgres ${major} of your own and set DATABASE_URL.`,
    });
  }
  for (const entry of await readdir(cluster)) await rm(join(cluster, entry), { recursive: true, force: true });
  const args = ['-D', cluster, '-U', superuser, '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-instructions'];
  const made = await run(binaries.initdb, options.sync ? args : [...args, '--no-sync'], account, cluster);
  if (made.code === 0) return ok(undefined);
  return fail({
    code: 'postgres.initdb-failed',
    message: `initdb could not make a database in ${cluster}: ${made.output.trim().split('\n').slice(-3).join(' | ')}`,
    remedy: 'Check free space and permissions there, choose another SERIN_DATA_DIR, or set DATABASE_URL to a Postgres of your own.',
  });
}
