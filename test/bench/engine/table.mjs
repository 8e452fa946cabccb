// The result as text: one table of figures, one of goals, both readable as Markdown.
import { participants } from './cases.mjs';

const dash = '-';

export function figuresTable(results) {
  const rows = results.flatMap(({ model, cases, queueCase }) =>
    [...cases, ...(queueCase ? [queueCase] : [])].flatMap(({ parallel, threads, medians }) =>
      Object.entries(medians).map(([letter, m]) => [
        model,
        String(threads),
        String(parallel),
        `(${letter}) ${participants[letter].title}`,
        number(m.tokensPerS, 1),
        number(m.tokensPerCpuS, 1),
        number(m.ttftP50Ms, 0),
        number(m.ttftP99Ms, 0),
        number(m.gapP50Ms, 1),
        number(m.gapP99Ms, 1),
        number(m.occupancy, 2),
        number(m.loopDelayP99Ms, 1),
      ]),
    ),
  );
  const head = ['model', 'threads', 'at once', 'participant', 'tok/s', 'tok/CPU-s'];
  return markdown([...head, 'TTFT p50 ms', 'p99', 'gap p50 ms', 'p99', 'occupancy', 'loop p99 ms'], rows, 4);
}

export function turnsTable(results) {
  const rows = results.flatMap(({ model, turns }) =>
    (turns ?? []).map(({ growth, turn, uncachedMs, cachedMs, gain, cachedTokens }) => [
      model,
      growth,
      String(turn),
      number(uncachedMs, 0),
      number(cachedMs, 0),
      `${number(gain, 1)}x`,
      String(cachedTokens),
    ]),
  );
  return markdown(['model', 'grows by', 'turn', 'TTFT ms, no cache', 'TTFT ms', 'gain', 'tokens from cache'], rows, 2);
}

export function goalsTable(goals) {
  const rows = goals.map(({ goal, model, parallel, value, byMedian, met }) => [
    model,
    parallel === null ? dash : String(parallel),
    goal,
    number(value, 3),
    number(byMedian, 3),
    met === null ? 'not measured' : met ? 'met' : 'MISSED',
  ]);
  return markdown(['model', 'at once', 'goal', 'best rounds', 'median', 'verdict'], rows, 3);
}

function number(value, digits) {
  return value === null || value === undefined || Number.isNaN(value) ? dash : value.toFixed(digits);
}

function markdown(head, rows, leftColumns) {
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at].length)));
  const pad = (text, at) => (at < leftColumns ? text.padEnd(widths[at]) : text.padStart(widths[at]));
  const line = (cells) => `| ${cells.map(pad).join(' | ')} |`;
  const rule = `| ${widths.map((width, at) => (at < leftColumns ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}
