// Prometheus' text exposition format, as far as a reader of somebody else's metrics needs it: names, labels, values. Strict: a page that is none is refused.
import { fail, type Outcome, ok } from '#libs/base';

export interface MetricSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** May be NaN or infinite, as the format allows. */
  readonly value: number;
}

const namePattern = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const labelPattern = /\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\\n]|\\["\\n])*)"\s*(,?)/y;
/** Value, then a timestamp and an exemplar, which are not kept. */
const valuePattern =
  /^[ \t]+([+-]?(?:Inf|NaN|[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?))(?:[ \t]+-?[0-9.]+)?[ \t]*(?:#.*)?$/;
const mostSamples = 100_000;

/** Samples in order of the page; comments are skipped. Fault `metrics.malformed` names the first line that is neither. */
export function parseMetrics(page: string): Outcome<readonly MetricSample[]> {
  const samples: MetricSample[] = [];
  let number = 0;
  for (const raw of page.split('\n')) {
    number += 1;
    const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
    if (line.trim() === '' || line.startsWith('#')) continue;
    const sample = parseLine(line);
    if (!sample) return malformed(`line ${number} is no sample: ${JSON.stringify(line.slice(0, 80))}`);
    if (samples.push(sample) > mostSamples) return malformed(`more than ${mostSamples} samples`);
  }
  return ok(samples);
}

function parseLine(line: string): MetricSample | null {
  namePattern.lastIndex = 0;
  const name = namePattern.exec(line)?.[0];
  if (name === undefined) return null;
  let at = name.length;
  const labels: Record<string, string> = {};
  if (line[at] === '{') {
    at += 1;
    let more = true;
    while (more && line[at] !== '}') {
      labelPattern.lastIndex = at;
      const label = labelPattern.exec(line);
      if (!label) return null;
      labels[label[1] as string] = unescaped(label[2] as string);
      at = labelPattern.lastIndex;
      more = label[3] === ',';
      while (more && line[at] === ' ') at += 1;
    }
    if (line[at] !== '}') return null;
    at += 1;
  }
  const value = valuePattern.exec(line.slice(at).replace(/^(?=[^ \t])/, ' '))?.[1];
  return value === undefined ? null : { name, labels, value: numberOf(value) };
}

function unescaped(text: string): string {
  return text.includes('\\') ? text.replace(/\\(["\\n])/g, (_, character: string) => (character === 'n' ? '\n' : character)) : text;
}

function numberOf(text: string): number {
  if (text.endsWith('Inf')) return text.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return Number(text);
}

function malformed(what: string): Outcome<never> {
  return fail({ code: 'metrics.malformed', message: `The page is not in Prometheus' text format: ${what}.` });
}
