// What a gateway decides by, immutable and swapped whole: the routing table and the keys it knows. A copy on disk outlives a dead database.
import { createHash } from 'node:crypto';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { fail, type Outcome, ok } from '#libs/base';
import { type KeyLimits, keyLimits } from '#libs/contract';
import type { RoutingTable } from '#libs/rollout';
import { checkTable } from './table-check.js';

/** A key as the gateway holds it: by the hex SHA-256 of its text, never the text. */
export interface KnownKey {
  readonly name: string;
  readonly scopes: readonly string[];
  /** Milliseconds since the Unix epoch; judged by this machine's clock, so it ends also without the database. */
  readonly expiresAt: number | null;
  /** Null = the gateway's defaults. */
  readonly limits: KeyLimits | null;
}

/** What is kept on disk. */
export interface Knowledge {
  readonly table: RoutingTable;
  readonly keys: Readonly<Record<string, KnownKey>>;
  /** Live gateways, this one included, by which limits are divided. */
  readonly gateways: number;
}

export interface Snapshot extends Knowledge {
  /** False while Postgres does not answer: a key that is not here may be new, so it is no reason for a 401. */
  readonly heard: boolean;
}

const newestFormat = 2;

const knownKey = z.object({
  name: z.string(),
  scopes: z.array(z.string()),
  expiresAt: z.number().nullable(),
  // Format 1 had none.
  limits: keyLimits.nullable().default(null),
});

const stored = z.object({
  format: z.int().min(1).max(newestFormat),
  sha256: z.string(),
  snapshot: z.object({
    table: z.unknown(),
    keys: z.record(z.string(), knownKey),
    gateways: z.int().min(1).default(1),
  }),
});

/**
 * Whether a table that was just read may replace the one in use. Within one incarnation of the database only a higher generation is news: a
 * lower one is a late answer and would undo a rollback. A new incarnation (fail-over, restore) is taken whatever its generation.
 */
export function supersedes(incoming: RoutingTable, current: RoutingTable | null): boolean {
  if (!current) return true;
  return incoming.incarnation !== current.incarnation || incoming.generation > current.generation;
}

function sumOf(snapshot: unknown): string {
  return createHash('sha256').update(JSON.stringify(snapshot)).digest('hex');
}

export function snapshotFile(dataDir: string): string {
  return join(dataDir, 'gateway', 'snapshot.json');
}

/** Atomically: a crash leaves the old file or the new one, never half of either. */
export async function saveSnapshot(file: string, { table, keys, gateways }: Knowledge): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const temporary = `${file}.new`;
  const snapshot: Knowledge = { table, keys, gateways };
  const handle = await open(temporary, 'w', 0o600);
  try {
    await handle.writeFile(JSON.stringify({ format: newestFormat, sha256: sumOf(snapshot), snapshot }));
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
}

/** Reads this format and the one before. Faults: `snapshot.missing`, `snapshot.unreadable` (not ours, a newer format, or changed since it was written). */
export async function loadSnapshot(file: string): Promise<Outcome<Knowledge>> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch {
    return fail({ code: 'snapshot.missing', message: `There is no snapshot at ${file}.` });
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return unreadable(`The snapshot ${file} is not JSON.`);
  }
  const parsed = stored.safeParse(json);
  if (!parsed.success || sumOf((json as { snapshot: unknown }).snapshot) !== parsed.data.sha256) {
    return unreadable(`The snapshot ${file} is damaged or of another format.`);
  }
  const { table, keys, gateways } = parsed.data.snapshot;
  const checked = checkTable(table);
  return checked.ok ? ok({ table: checked.value, keys, gateways }) : unreadable(`${file}: ${checked.fault.message}`);
}

function unreadable(message: string): Outcome<never> {
  return fail({ code: 'snapshot.unreadable', message, remedy: 'It is written again from Postgres.' });
}
