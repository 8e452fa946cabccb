// What a gateway decides by, immutable and swapped whole: the routing table and the keys it knows. A copy on disk outlives a dead database.
import { createHash } from 'node:crypto';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { fail, type Outcome, ok } from '#libs/base';
import type { RoutingTable } from '#libs/rollout';

/** A key as the gateway holds it: by the hex SHA-256 of its text, never the text. */
export interface KnownKey {
  readonly name: string;
  readonly scopes: readonly string[];
  readonly expiresAt: number | null;
}

export interface Snapshot {
  readonly table: RoutingTable;
  readonly keys: Readonly<Record<string, KnownKey>>;
}

const format = 1;

const stored = z.strictObject({
  format: z.literal(format),
  sha256: z.string(),
  snapshot: z.object({
    table: z.object({
      incarnation: z.string(),
      generation: z.int(),
      routes: z.array(
        z.object({
          model: z.string(),
          stable: z.string().nullable(),
          rollout: z
            .object({ id: z.string(), candidate: z.string(), weight: z.number().min(0).max(1), epoch: z.int(), salt: z.string() })
            .nullable(),
        }),
      ),
      versions: z.record(
        z.string(),
        z.object({ id: z.string(), model: z.string(), label: z.string(), digest: z.string(), spec: z.unknown() }),
      ),
    }),
    keys: z.record(z.string(), z.object({ name: z.string(), scopes: z.array(z.string()), expiresAt: z.number().nullable() })),
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
export async function saveSnapshot(file: string, snapshot: Snapshot): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const temporary = `${file}.new`;
  const handle = await open(temporary, 'w', 0o600);
  try {
    await handle.writeFile(JSON.stringify({ format, sha256: sumOf(snapshot), snapshot }));
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
}

/** Faults: `snapshot.missing`, `snapshot.unreadable` (not ours, another format, or changed since it was written). */
export async function loadSnapshot(file: string): Promise<Outcome<Snapshot>> {
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
    return fail({
      code: 'snapshot.unreadable',
      message: `The snapshot ${file} is not JSON.`,
      remedy: 'It is written again from Postgres.',
    });
  }
  const parsed = stored.safeParse(json);
  if (!parsed.success || sumOf((json as { snapshot: unknown }).snapshot) !== parsed.data.sha256) {
    return fail({
      code: 'snapshot.unreadable',
      message: `The snapshot ${file} is damaged or of another format.`,
      remedy: 'It is written again from Postgres.',
    });
  }
  return ok(parsed.data.snapshot);
}
