// The result as text: figures and goals as Markdown tables.
import { titles } from './participants.mjs';

export function number(value, digits) {
  if (value === null || value === undefined) return '-';
  return value.toFixed(digits);
}

export function table(head, rows, left = 1) {
  const widths = head.map((title, at) => Math.max(title.length, 3, ...rows.map((row) => row[at].length)));
  const line = (cells) => `| ${cells.map((cell, at) => (at < left ? cell.padEnd(widths[at]) : cell.padStart(widths[at]))).join(' | ')} |`;
  const rule = `| ${widths.map((width, at) => (at < left ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}

/** One case: who, and the columns that mean something for its kind of request. */
export function caseTable({ stream }, medians) {
  const rows = Object.entries(medians).map(([name, m]) => [
    titles[name],
    ...(stream
      ? [number(m.eventsPerS, 0), number(m.cpuUsPerEvent, 1), number(m.firstP50Ms, 1), number(m.firstP99Ms, 1)]
      : [number(m.requestsPerS, 0), number(m.cpuUsPerRequest, 1), number(m.latencyP50Ms, 2), number(m.latencyP99Ms, 1)]),
    number(m.busy, 2),
    number(m.rssMb, 0),
  ]);
  const figures = stream ? ['chunks/s', 'CPU us/chunk', 'first p50 ms', 'p99'] : ['requests/s', 'CPU us/request', 'p50 ms', 'p99'];
  return table(['', ...figures, 'core', 'RSS MB'], rows);
}

export function goalsTable(goals) {
  const rows = goals.map(({ row, goal, value, least, most, met }) => [
    String(row),
    goal,
    number(value, 3),
    least === null ? '-' : `${number(least, 2)}-${number(most, 2)}`,
    met === null ? 'not measured' : met ? 'met' : 'MISSED',
  ]);
  return table(['row', 'goal', 'median', 'range', 'verdict'], rows, 2);
}
