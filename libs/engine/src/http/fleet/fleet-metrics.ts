// The figures of several endpoints as those of one upstream. What one of them does not tell is not made up.
import type { EngineStats } from '../../engine.js';
import { noMetrics, type UpstreamMetrics } from '../upstream-metrics.js';
import type { Fleet } from './fleet.js';

/** Sums of counts and rates, means of shares and times, over the endpoints that tell them. */
export function mergeMetrics(all: readonly UpstreamMetrics[]): UpstreamMetrics {
  if (all.length <= 1) return all[0] ?? noMetrics;
  const known = (name: keyof UpstreamMetrics): number[] => all.map((one) => one[name]).filter((value) => value !== null);
  const sum = (name: keyof UpstreamMetrics): number | null => {
    const values = known(name);
    return values.length === 0 ? null : values.reduce((total, value) => total + value, 0);
  };
  const mean = (name: keyof UpstreamMetrics): number | null => {
    const total = sum(name);
    return total === null ? null : total / known(name).length;
  };
  return {
    running: sum('running'),
    waiting: sum('waiting'),
    kvUsage: mean('kvUsage'),
    kvCellsUsed: sum('kvCellsUsed'),
    kvCellsTotal: sum('kvCellsTotal'),
    occupancy: mean('occupancy'),
    prefixHitShare: mean('prefixHitShare'),
    ttftMs: mean('ttftMs'),
    queueWaitMs: mean('queueWaitMs'),
    inputTokensPerS: sum('inputTokensPerS'),
    outputTokensPerS: sum('outputTokensPerS'),
  };
}

/** What the upstream tells of all its clients goes before what we know of our own requests; what waits here waits besides. */
export function loadOf(fleet: Fleet, told: UpstreamMetrics): Partial<EngineStats> {
  const { occupancy, kvCellsUsed, kvCellsTotal, inputTokensPerS, outputTokensPerS } = told;
  return {
    running: told.running ?? fleet.outstanding,
    queued: fleet.queued + (told.waiting ?? 0),
    queuedTokens: fleet.queuedTokens,
    queuedLive: fleet.queuedLive,
    queueWaitMs: fleet.queueWaitMs === null ? told.queueWaitMs : fleet.queueWaitMs + (told.queueWaitMs ?? 0),
    occupancy,
    kvCellsUsed,
    kvCellsTotal,
    inputTokensPerS,
    outputTokensPerS,
    endpoints: fleet.figures(),
  };
}
