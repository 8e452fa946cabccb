// Windows of a rollout merged into what the tests read: counts by epoch, arm and class. Epochs are never pooled into one another.
import { type FrozenScores, judgedClass, pooledClass } from './frozen-scores.js';
import { mergeInto } from './sketch.js';
import type { EpochHistograms } from './tilt-process.js';
import type { Histogram, Window, WindowMetric } from './window.js';

export interface Epoch {
  readonly epoch: number;
  /** Probability of the candidate in this epoch. */
  readonly weight: number;
  /** When it began, milliseconds since the Unix epoch. */
  readonly since: number;
}

/** Both arms were drawn: without a coin (weight 0 or 1) there is nothing to compare. */
export function isMixed({ weight }: { readonly weight: number }): boolean {
  return weight > 0 && weight < 1;
}

export interface ArmCounts {
  responses: number;
  events: number;
  units: number;
  lnTotalCount: number;
  lnTotalSum: number;
  lastAt: number | null;
}

export interface EpochCounts {
  readonly epoch: number;
  readonly weight: number;
  readonly stable: ArmCounts;
  readonly candidate: ArmCounts;
}

const noCounts = (): ArmCounts => ({ responses: 0, events: 0, units: 0, lnTotalCount: 0, lnTotalSum: 0, lastAt: null });

/** Counts by epoch, in epoch order. Windows of an unknown epoch (a gateway ahead of the reader) are left for the next look. */
export function countEpochs(windows: readonly Window[], epochs: readonly Epoch[]): EpochCounts[] {
  const byEpoch = new Map(epochs.map(({ epoch, weight }) => [epoch, { epoch, weight, stable: noCounts(), candidate: noCounts() }]));
  for (const { key, counts } of windows) {
    if (key.arm === null || key.arm === 'control' || key.epoch === null) continue;
    const arm = byEpoch.get(key.epoch)?.[key.arm];
    if (!arm) continue;
    arm.responses += counts.responses;
    arm.events += counts.errors + counts.timeouts + counts.unfinished + counts.nonFinite;
    arm.units += counts.units;
    arm.lnTotalCount += counts.lnTotalCount;
    arm.lnTotalSum += counts.lnTotalSum;
    if (counts.responses > 0) arm.lastAt = Math.max(arm.lastAt ?? 0, key.secondAt);
  }
  return [...byEpoch.values()].sort((a, b) => a.epoch - b.epoch);
}

/** Histograms of one metric by mixed epoch and judged class. With `fits` null every class counts as the pool. */
export function epochHistograms(
  windows: readonly Window[],
  epochs: readonly Epoch[],
  metric: WindowMetric,
  fits: FrozenScores['entropy'] | null,
): EpochHistograms[] {
  const byEpoch = new Map(
    epochs
      .filter(isMixed)
      .map(({ epoch, weight }) => [epoch, { weight, classes: new Map<string, { stable: Histogram; candidate: Histogram }>() }]),
  );
  for (const { key, counts } of windows) {
    if (key.arm === null || key.arm === 'control' || key.epoch === null) continue;
    const epoch = byEpoch.get(key.epoch);
    if (!epoch || counts.histograms[metric].size === 0) continue;
    const promptClass = fits ? judgedClass(fits, key.promptClass) : pooledClass;
    const cell = epoch.classes.get(promptClass) ?? { stable: new Map(), candidate: new Map() };
    mergeInto(cell[key.arm], counts.histograms[metric]);
    epoch.classes.set(promptClass, cell);
  }
  return [...byEpoch.values()];
}
