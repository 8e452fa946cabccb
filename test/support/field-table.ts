// The tables of docs/api.md that say what becomes of each field of a body, read as data.
import { readFileSync } from 'node:fs';

export interface FieldRow {
  /** The heading above its table. */
  readonly table: string;
  /** As the first column names it; `text.format` is a field of a field. */
  readonly fields: readonly string[];
  /** Part of a body that sends the first of them. */
  readonly example: Readonly<Record<string, unknown>>;
  /** What the table says of an upstream, and of the native engine. */
  readonly far: string;
  readonly near: string;
}

/** Throws where a row cannot be read: a table with a slip in it is no table. */
export function fieldRows(): FieldRow[] {
  const page = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8');
  const section = page.split('### Fields, one by one')[1]?.split(/^## /m)[0];
  if (section === undefined) throw new Error('docs/api.md has no section of fields');
  return section
    .split(/^#### /m)
    .slice(1)
    .flatMap((part) => {
      const [table = '', ...lines] = part.split('\n');
      const rows = lines.filter((line) => line.startsWith('| ')).slice(2);
      return rows.map((line) => rowOf(table, line));
    });
}

function rowOf(table: string, line: string): FieldRow {
  const [names = '', example = '', far = '', near = ''] = line
    .slice(1, -1)
    .split(' | ')
    .map((cell) => cell.trim());
  const fields = [...names.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
  if (fields.length === 0) throw new Error(`no field is named: ${line}`);
  return { table, fields, example: JSON.parse(`{${plain(example)}}`) as FieldRow['example'], far: plain(far), near: plain(near) };
}

const plain = (cell: string): string => cell.replaceAll('`', '');
