// TypeORM answers a raw query in two shapes; here it always is an array of rows.
import type { EntityManager } from 'typeorm';

/** Runs one parameterised statement and returns its rows (also of `update ... returning` and `delete ... returning`). */
export async function rows<Row>(tx: EntityManager, sql: string, parameters: readonly unknown[] = []): Promise<Row[]> {
  const answer: unknown = await tx.query(sql, [...parameters]);
  if (!Array.isArray(answer)) return [];
  // Updates and deletes come as [rows, count].
  if (answer.length === 2 && Array.isArray(answer[0]) && typeof answer[1] === 'number') return answer[0] as Row[];
  return answer as Row[];
}

/** The first row, or null. */
export async function row<Row>(tx: EntityManager, sql: string, parameters: readonly unknown[] = []): Promise<Row | null> {
  return (await rows<Row>(tx, sql, parameters))[0] ?? null;
}

/** Number of rows that an update or delete touched; the statement must end in `returning`. */
export async function touched(tx: EntityManager, sql: string, parameters: readonly unknown[] = []): Promise<number> {
  return (await rows(tx, sql, parameters)).length;
}

/** SQLSTATE of a driver error, null for anything else. */
export function sqlState(error: unknown): string | null {
  const holder = error as { code?: unknown; driverError?: { code?: unknown } } | null;
  const code = holder?.driverError?.code ?? holder?.code;
  return typeof code === 'string' ? code : null;
}

/** Name of the violated constraint, null when the error is not a unique violation. */
export function violatedUnique(error: unknown): string | null {
  if (sqlState(error) !== '23505') return null;
  const holder = error as { constraint?: unknown; driverError?: { constraint?: unknown } };
  const name = holder.driverError?.constraint ?? holder.constraint;
  return typeof name === 'string' ? name : '';
}

/** JSON for a jsonb parameter. */
export function json(value: unknown): string {
  return JSON.stringify(value);
}
