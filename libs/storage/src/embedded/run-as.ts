// Postgres refuses to run as root. Started as root (containers, CI) the server gets an unprivileged account that already exists; none is ever created.
import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { fail, type Outcome, ok } from '#libs/base';

export interface Account {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
}

const candidates = ['postgres', 'nobody'];

/** Null when the current user can run the server itself; else the account to drop to. Reads /etc/passwd. */
export function chooseAccount(): Outcome<Account | null> {
  if (process.getuid?.() !== 0) return ok(null);
  let lines: string[];
  try {
    lines = readFileSync('/etc/passwd', 'utf8').split('\n');
  } catch {
    lines = [];
  }
  for (const wanted of candidates) {
    for (const line of lines) {
      const [name, , uid, gid] = line.split(':');
      if (name === wanted && Number(uid) > 0) return ok({ uid: Number(uid), gid: Number(gid), name });
    }
  }
  return fail({
    code: 'postgres.root-only',
    message: 'The embedded Postgres cannot run as root, and this system has neither an account "postgres" nor "nobody" to run it as.',
    remedy: 'Start Serin as an ordinary user, or set DATABASE_URL to a Postgres of your own, or use a container image that sets a USER.',
  });
}

/** Can the account enter every folder from the root down to `path`? Always true for null (ourselves). */
export function canReach(account: Account | null, path: string): boolean {
  if (!account) return true;
  for (let folder = path; ; folder = dirname(folder)) {
    let stat: ReturnType<typeof statSync>;
    try {
      stat = statSync(folder);
    } catch {
      return false;
    }
    const enter = stat.uid === account.uid ? 0o100 : stat.gid === account.gid ? 0o010 : 0o001;
    if ((stat.mode & enter) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}
