// One supervisor per data directory. A lock left by a dead process is taken over; a live one is respected.
import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fail, type Outcome, ok } from '#libs/base';

/** Start time of a process in clock ticks since boot (Linux), so that a reused pid is not mistaken for its predecessor; empty elsewhere. */
async function birthOf(pid: number): Promise<string> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Takes the lock or says who has it. Release by calling the value. */
export async function takeLock(dataDir: string): Promise<Outcome<() => Promise<void>>> {
  const path = join(dataDir, 'supervisor.lock');
  const mine = `${process.pid} ${await birthOf(process.pid)}\n`;
  for (let attempt = 0; attempt < 5; attempt += 1) {
    if (await appear(path, mine)) return ok(async () => await rm(path, { force: true }));
    const seen = await readFile(path, 'utf8').catch(() => null);
    if (seen === null) continue;
    const [pid, birth] = seen.trim().split(' ');
    const owner = Number(pid);
    if (owner > 0 && isAlive(owner) && (await birthOf(owner)) === (birth ?? '')) {
      return fail({
        code: 'postgres.in-use',
        message: `The data directory ${dataDir} is in use by process ${owner}.`,
        field: 'SERIN_DATA_DIR',
        remedy: 'Stop that process, or give this one a data directory of its own with SERIN_DATA_DIR.',
      });
    }
    await discard(path, seen);
  }
  return fail({
    code: 'postgres.in-use',
    message: `The lock of ${dataDir} changes hands all the time.`,
    retryable: true,
    remedy: 'Start only one Serin on it.',
  });
}

/** Makes the file with its content in one step, or answers false when there is one: nobody may read an empty lock. */
async function appear(path: string, content: string): Promise<boolean> {
  const draft = `${path}.${randomUUID()}`;
  await writeFile(draft, content, { mode: 0o600 });
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  } finally {
    await rm(draft, { force: true });
  }
}

/** Removes a dead process's lock, but only that one: a competitor may have put its own there since we looked. */
async function discard(path: string, seen: string): Promise<void> {
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
  } catch {
    return;
  }
  if ((await readFile(aside, 'utf8')) !== seen) await link(aside, path).catch(() => undefined);
  await rm(aside, { force: true });
}
