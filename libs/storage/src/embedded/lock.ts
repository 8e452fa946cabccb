// One supervisor per data directory. A lock left by a dead process is taken over; a live one is respected.
import { open, readFile, rm } from 'node:fs/promises';
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
  for (let attempt = 0; attempt < 3; attempt += 1) {
    try {
      const file = await open(path, 'wx', 0o600);
      await file.writeFile(mine);
      await file.close();
      return ok(async () => await rm(path, { force: true }));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const [pid, birth] = (await readFile(path, 'utf8').catch(() => '')).trim().split(' ');
    const owner = Number(pid);
    if (owner > 0 && isAlive(owner) && (await birthOf(owner)) === (birth ?? '')) {
      return fail({
        code: 'postgres.in-use',
        message: `The data directory ${dataDir} is in use by process ${owner}.`,
        field: 'SERIN_DATA_DIR',
        remedy: 'Stop that process, or give this one a data directory of its own with SERIN_DATA_DIR.',
      });
    }
    await rm(path, { force: true });
  }
  return fail({
    code: 'postgres.in-use',
    message: `The lock of ${dataDir} changes hands all the time.`,
    retryable: true,
    remedy: 'Start only one Serin on it.',
  });
}
