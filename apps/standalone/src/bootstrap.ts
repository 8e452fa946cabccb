// First start: the secret key and the two API keys that a single machine needs, kept in the data directory, readable by the owner only.
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { allScopes, type Scope, unlimited } from '#libs/contract';
import { ApiKeyStore, type Database } from '#libs/storage';

export interface Credentials {
  /** Seals secrets at rest; 64 hex digits. */
  readonly secretKey: string;
  /** All scopes: for the person at this machine. */
  readonly adminKey: string;
  /** Pins versions at evaluation priority. */
  readonly evaluatorKey: string;
  /** True when the admin key was made by this start. */
  readonly firstStart: boolean;
}

async function readSecret(path: string): Promise<string | null> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Whole or not at all: a crash in the middle must not leave half a key that later starts would trust. */
async function writeSecret(path: string, value: string): Promise<void> {
  await writeFile(`${path}.new`, `${value}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

async function keepSecretKey(dataDir: string): Promise<string> {
  const path = join(dataDir, 'secret-key');
  const known = await readSecret(path);
  if (known) return known;
  const fresh = randomBytes(32).toString('hex');
  await writeSecret(path, fresh);
  return fresh;
}

/** The key in the file, when the database still knows it; else a new one (a wiped database, or a first start). */
async function keepApiKey(
  database: Database,
  dataDir: string,
  name: string,
  scopes: readonly Scope[],
): Promise<{ key: string; fresh: boolean }> {
  const path = join(dataDir, `${name}-key`);
  const keys = new ApiKeyStore();
  const known = await readSecret(path);
  if (known && (await keys.byKey(database.manager, known))) return { key: known, fresh: false };
  const created = await keys.create(database.manager, { name, scopes: [...scopes], limits: unlimited });
  await writeSecret(path, created.key);
  return { key: created.key, fresh: true };
}

/** Makes what is missing, keeps what is there. */
export async function bootstrap(database: Database, dataDir: string, secretKey: string | null): Promise<Credentials> {
  await mkdir(dataDir, { recursive: true });
  await chmod(dataDir, 0o711);
  const admin = await keepApiKey(database, dataDir, 'admin', allScopes);
  const evaluator = await keepApiKey(database, dataDir, 'evaluator', ['inference:invoke', 'inference:pin']);
  return {
    secretKey: secretKey ?? (await keepSecretKey(dataDir)),
    adminKey: admin.key,
    evaluatorKey: evaluator.key,
    firstStart: admin.fresh,
  };
}
