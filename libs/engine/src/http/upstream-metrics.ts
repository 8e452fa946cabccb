// An upstream's own figures out of its Prometheus page: what its queue holds, how full its cache is, how fast it is. Unknown is null, never 0.
import type { Dialect } from './dialect.js';
import { synonyms } from './metric-synonyms.js';
import type { MetricSample } from './prometheus-text.js';

export interface UpstreamMetrics {
  readonly running: number | null;
  readonly waiting: number | null;
  /** Share of the KV cache in use, 0 to 1. */
  readonly kvUsage: number | null;
  readonly kvCellsUsed: number | null;
  readonly kvCellsTotal: number | null;
  /** Running requests over the most that run at once, 0 to 1. */
  readonly occupancy: number | null;
  /** Prompt tokens found in the prefix cache over those looked up, 0 to 1; since the last reading where counters tell it. */
  readonly prefixHitShare: number | null;
  /** Means over the requests since the last reading. */
  readonly ttftMs: number | null;
  readonly queueWaitMs: number | null;
  readonly inputTokensPerS: number | null;
  readonly outputTokensPerS: number | null;
}

export const noMetrics: UpstreamMetrics = {
  running: null,
  waiting: null,
  kvUsage: null,
  kvCellsUsed: null,
  kvCellsTotal: null,
  occupancy: null,
  prefixHitShare: null,
  ttftMs: null,
  queueWaitMs: null,
  inputTokensPerS: null,
  outputTokensPerS: null,
};

/** The counters of one page: what a later page is compared with. */
export interface Reading {
  readonly atMs: number;
  readonly page: readonly MetricSample[];
}

/**
 * Figures of a page, with rates and means against the page before. `model`: where series carry `model_name` and one has it, only those of
 * it count. `maxParallel`: of the server, when known.
 */
export function readMetrics(
  now: Reading,
  before: Reading | null,
  { dialect, model, maxParallel }: { readonly dialect: Dialect; readonly model: string; readonly maxParallel: number | null },
): UpstreamMetrics {
  const names = synonyms[dialect];
  const page = ofModel(now.page, model);
  const earlier = before === null ? null : ofModel(before.page, model);
  const seconds = before === null ? 0 : (now.atMs - before.atMs) / 1_000;
  // A counter that went back is a server that was restarted: nothing can be said across it.
  const grown = (series: readonly string[]): number | null => {
    const [to, from] = [sum(page, series), earlier === null ? null : sum(earlier, series)];
    return to === null || from === null || to < from ? null : to - from;
  };
  const share = (part: number | null, whole: number | null): number | null =>
    part === null || whole === null || whole <= 0 ? null : part / whole;
  const meanMs = (histograms: readonly string[]): number | null => {
    const mean = share(grown(histograms.map((name) => `${name}_sum`)), grown(histograms.map((name) => `${name}_count`)));
    return mean === null ? null : mean * 1_000;
  };
  const perS = (series: readonly string[]): number | null => (seconds > 0 ? share(grown(series), seconds) : null);

  const running = sum(page, names.running);
  const hits = grown(names.hits);
  const misses = grown(names.misses);
  const lookups = grown(names.lookups) ?? (hits === null || misses === null ? null : hits + misses);
  const kvTotal = sum(page, names.kvTotal) ?? configuredCells(page);
  const kvUsed = sum(page, names.kvUsed);
  const kvUsage = mean(page, names.kvUsage) ?? share(kvUsed, kvTotal);
  return {
    running,
    waiting: sum(page, names.waiting),
    kvUsage,
    kvCellsUsed: kvUsed ?? (kvUsage === null || kvTotal === null ? null : Math.round(kvUsage * kvTotal)),
    kvCellsTotal: kvTotal,
    occupancy: running === null || maxParallel === null ? null : Math.min(1, running / maxParallel),
    prefixHitShare: share(hits, lookups) ?? mean(page, names.hitShare),
    ttftMs: meanMs(names.ttft),
    queueWaitMs: meanMs(names.queueWait),
    inputTokensPerS: perS(names.inputTokens),
    outputTokensPerS: perS(names.outputTokens),
  };
}

function ofModel(page: readonly MetricSample[], model: string): readonly MetricSample[] {
  return page.some(({ labels }) => labels['model_name'] === model)
    ? page.filter(({ labels }) => labels['model_name'] === undefined || labels['model_name'] === model)
    : page;
}

/** Finite values of the first of these series that the page has; a server may have one per engine. */
function values(page: readonly MetricSample[], series: readonly string[]): number[] {
  for (const name of series) {
    const found = page.filter((sample) => sample.name === name && Number.isFinite(sample.value)).map(({ value }) => value);
    if (found.length > 0) return found;
  }
  return [];
}

function sum(page: readonly MetricSample[], series: readonly string[]): number | null {
  const found = values(page, series);
  return found.length === 0 ? null : found.reduce((total, value) => total + value, 0);
}

function mean(page: readonly MetricSample[], series: readonly string[]): number | null {
  const found = values(page, series);
  return found.length === 0 ? null : found.reduce((total, value) => total + value, 0) / found.length;
}

/** vLLM tells its cache in labels of a gauge that is always 1. */
function configuredCells(page: readonly MetricSample[]): number | null {
  const found = page
    .filter(({ name }) => name === 'vllm:cache_config_info')
    .map(({ labels }) => Number(labels['num_gpu_blocks']) * Number(labels['block_size']));
  return found.length === 0 || !found.every((cells) => cells > 0) ? null : found.reduce((total, cells) => total + cells, 0);
}
