// Looks as the columns of a chart, and the part of the axis worth showing. Pure.
import type { EvidenceResource, FindingResource } from '#libs/contract';
import { boundText, count, effectText } from '../words/format.js';

export const chartChecks = ['entropy', 'length', 'errors', 'latency'] as const;
export type ChartCheck = (typeof chartChecks)[number];

export interface Series {
  /** Milliseconds since the Unix epoch, growing. */
  readonly at: readonly number[];
  readonly effect: readonly (number | null)[];
  readonly lower: readonly (number | null)[];
  readonly upper: readonly (number | null)[];
  readonly nCandidate: readonly number[];
  readonly nStable: readonly number[];
  readonly marginUp: number | null;
  readonly marginDown: number | null;
  readonly unit: FindingResource['unit'];
  /** Looks with an effect or an interval. */
  readonly measured: number;
  /** What the newest finding says in words, for the time in which there is nothing to draw. */
  readonly note: string | null;
}

/** One column a look that has a finding of this check. */
export function toSeries(looks: readonly EvidenceResource[], check: FindingResource['check']): Series {
  const found = looks.flatMap(({ at, findings }) => {
    const finding = findings.find((one) => one.check === check);
    return finding ? [{ at, finding }] : [];
  });
  const newest = found.at(-1)?.finding;
  const first = found.findIndex(({ finding }) => finding.effect !== null || finding.lower !== null);
  // The wait before the first answer would press everything worth seeing against the right edge.
  const shown = first === -1 ? [] : found.slice(Math.max(0, first - 1));
  return {
    at: shown.map(({ at }) => at),
    effect: shown.map(({ finding }) => finding.effect),
    lower: shown.map(({ finding }) => finding.lower),
    upper: shown.map(({ finding }) => finding.upper),
    nCandidate: shown.map(({ finding }) => finding.nCandidate),
    nStable: shown.map(({ finding }) => finding.nStable),
    marginUp: newest?.marginUp ?? null,
    marginDown: newest?.marginDown ?? null,
    unit: newest?.unit ?? 'ratio',
    measured: shown.filter(({ finding }) => finding.effect !== null || finding.lower !== null).length,
    note: newest?.note ?? null,
  };
}

/**
 * Range of the vertical axis: the margins, the effects and intervals of the later half of the looks, and of the earlier ones as much as fits into twice
 * that. The first intervals are so wide, and the first effects so wild, that they would flatten everything that follows: they leave the picture.
 */
export function axisRange({ marginUp, marginDown, at, effect, lower, upper }: Series): readonly [number, number] {
  const known = (values: readonly (number | null)[]): number[] => values.flatMap((value) => (value === null ? [] : [value]));
  const up = marginUp ?? Math.abs(marginDown ?? 0.01);
  const down = marginDown ?? -up / 2;
  const late = Math.floor(at.length / 2);
  const seen = known(effect.slice(late));
  const top = Math.max(up * 1.6, ...seen.map((value) => value * 1.15));
  const bottom = Math.min(down * 1.6, ...seen.map((value) => value * 1.15));
  const reach = Math.max(top, -bottom);
  const highest = Math.max(
    top,
    ...known(upper.slice(late)).map((value) => value * 1.05),
    ...known(effect).map((value) => Math.min(value * 1.15, reach * 2)),
  );
  const lowest = Math.min(
    bottom,
    ...known(lower.slice(late)).map((value) => value * 1.05),
    ...known(effect).map((value) => Math.max(value * 1.15, -reach * 2)),
  );
  return [Math.max(lowest, -reach * 4), Math.min(highest, reach * 4)];
}

/** One point in words: "+7.1% (+2.9% .. +11.4%)". */
export function pointText(series: Series, index: number): string {
  const effect = series.effect[index] ?? null;
  const interval = intervalText(series.lower[index] ?? null, series.upper[index] ?? null, series.unit);
  if (effect === null) return interval === null ? 'not measured yet' : `between ${interval}`;
  return interval === null ? effectText(effect, series.unit) : `${effectText(effect, series.unit)} (${interval})`;
}

/** "+2.9% .. +11.4%"; null when a bound is missing. */
export function intervalText(lower: number | null, upper: number | null, unit: FindingResource['unit']): string | null {
  return lower === null || upper === null ? null : `${effectText(lower, unit)} .. ${effectText(upper, unit)}`;
}

/** "±15%", "+33% / −25%", one bound where there is one. */
export function marginText(marginUp: number | null, marginDown: number | null, unit: FindingResource['unit']): string {
  if (marginUp !== null && marginDown !== null && Math.abs(marginUp + marginDown) < 1e-9) return boundText(marginUp, unit, '±');
  const bounds = [marginUp, marginDown].flatMap((margin) => (margin === null ? [] : [boundText(margin, unit)]));
  return bounds.length === 0 ? '–' : bounds.join(' / ');
}

/** The chart in one sentence, for those who do not see it. */
export function chartSummary(series: Series, name: string): string {
  if (series.measured === 0) return `${name}: nothing measured yet.`;
  const last = series.at.length - 1;
  return `${name} of the candidate relative to stable over ${series.at.length} looks. Newest: ${pointText(series, last)}, margin ${marginText(
    series.marginUp,
    series.marginDown,
    series.unit,
  )}, ${count(series.nCandidate[last] ?? 0)} candidate responses.`;
}
