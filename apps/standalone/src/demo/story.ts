// How the demo speaks: plain lines with the time since the start, and the closing table. Everything it prints goes through here.
import { stripVTControlCharacters, styleText } from 'node:util';
import type { Clock } from '#libs/base';

export interface Row {
  readonly version: string;
  readonly outcome: string;
  readonly cause: string;
  readonly served: string;
  readonly seconds: string;
  readonly asExpected: boolean;
}

type Style = Parameters<typeof styleText>[0];

/** Text for a terminal; control characters of foreign text are removed, colour only where the terminal wants it. */
export class Story {
  private readonly startedMs: number;

  constructor(private readonly clock: Clock) {
    this.startedMs = clock.monotonicMs();
  }

  private elapsedS(): number {
    return (this.clock.monotonicMs() - this.startedMs) / 1000;
  }

  heading(text: string): void {
    console.log(`\n${styleText('bold', clean(text))}`);
  }

  say(text: string, style: Style = 'reset'): void {
    const at = `${this.elapsedS().toFixed(1).padStart(6)} s`;
    console.log(`${styleText('dim', at)}  ${styleText(style, clean(text))}`);
  }

  detail(text: string): void {
    console.log(`          ${styleText('dim', clean(text))}`);
  }

  table(rows: readonly Row[]): void {
    const head = {
      version: 'version',
      outcome: 'outcome',
      cause: 'cause',
      served: 'candidate answers',
      seconds: 'first bad answer to last request',
    };
    const columns = ['version', 'outcome', 'cause', 'served', 'seconds'] as const;
    const widths = columns.map((column) => Math.max(head[column].length, ...rows.map((row) => row[column].length)));
    const line = (cells: readonly string[]) => `  ${cells.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join('  ')}`;
    console.log(`\n${styleText('bold', line(columns.map((column) => head[column])))}`);
    console.log(line(widths.map((width) => '-'.repeat(width))));
    for (const row of rows)
      console.log(line(columns.map((column) => clean(row[column]))) + (row.asExpected ? '' : styleText('red', '  NOT AS EXPECTED')));
  }
}

function clean(text: string): string {
  return stripVTControlCharacters(text).replaceAll(/[\p{Cc}\p{Cf}]/gu, ' ');
}
