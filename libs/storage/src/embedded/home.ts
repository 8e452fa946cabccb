// Where the cluster, its socket and spare binaries live: beside the caller's data when the server's account can reach that, else under /var/lib.
import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, chown, lstat, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Account, canReach } from './run-as.js';

export interface Home {
  /** PGDATA. */
  readonly cluster: string;
  readonly socketDir: string;
  readonly spareBinaries: string;
  readonly logFile: string;
}

const systemHome = '/var/lib/serin';
/** A Unix socket path may have about 107 bytes, and the server adds its own name. */
const longestSocketDir = 80;

/** Prepares the folders with the owner and mode that the server insists on. `dataDir` is absolute. */
export async function prepareHome(dataDir: string, account: Account | null): Promise<Home> {
  await mkdir(dataDir, { recursive: true });
  const tag = createHash('sha256').update(dataDir).digest('hex').slice(0, 12);
  const outside = account !== null && !canReach(account, dataDir);
  const base = outside ? await outsideBase(dataDir, tag) : dataDir;
  const cluster = join(base, 'cluster');
  await mkdir(cluster, { recursive: true });
  await own(cluster, account, 0o700);
  const socketDir = shortSocketDir(tag, account);
  await mkdir(socketDir, { recursive: true });
  await own(socketDir, account, 0o700);
  return { cluster, socketDir, spareBinaries: join(base, 'binaries'), logFile: join(dataDir, 'postgres.log') };
}

/**
 * A folder that the account can enter. A marker ties it to the data directory: when that was wiped (a new demo, a deleted installation)
 * the stranded cluster goes too, instead of coming back as somebody else's data.
 */
async function outsideBase(dataDir: string, tag: string): Promise<string> {
  const base = join(systemHome, tag);
  const marker = join(dataDir, 'cluster-elsewhere');
  const known = existsSync(marker) ? await readFile(marker, 'utf8') : null;
  const there = existsSync(join(base, 'marker')) ? await readFile(join(base, 'marker'), 'utf8') : null;
  if (known === null || known !== there) {
    await rm(join(base, 'cluster'), { recursive: true, force: true });
    const fresh = `${base} ${randomUUID()}\n`;
    await mkdir(base, { recursive: true });
    await writeFile(join(base, 'marker'), fresh);
    await writeFile(marker, fresh);
  }
  await chmod(systemHome, 0o755);
  await chmod(base, 0o755);
  return base;
}

function shortSocketDir(tag: string, account: Account | null): string {
  const own = process.env['XDG_RUNTIME_DIR'];
  const preferred = own && !account ? own : tmpdir();
  const base = preferred.length <= longestSocketDir - tag.length && canReach(account, preferred) ? preferred : '/tmp';
  return join(base, `serin-${process.getuid?.() ?? 0}-${tag}`);
}

async function own(path: string, account: Account | null, mode: number): Promise<void> {
  const stat = await lstat(path);
  const self = process.getuid?.();
  const owners = [self, account?.uid];
  // The place is guessable: a folder or link that somebody else put there must be neither trusted nor given away by chown.
  if (!stat.isDirectory() || (self !== undefined && !owners.includes(stat.uid))) {
    throw new Error(`${path} belongs to another user or is no folder; remove it or choose another data directory`);
  }
  if (account) await chown(path, account.uid, account.gid);
  await chmod(path, mode);
}
