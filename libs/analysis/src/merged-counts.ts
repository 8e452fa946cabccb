// All that a rollout's windows have said, merged: integer counts by epoch, class, arm and metric. Order and split of adding leave no trace.
import type { ComparedArm } from '#libs/base';
import { BucketCounts } from './bucket-counts.js';
import { type ArmCounts, type Comparison, type CountField, noCounts } from './epoch-counts.js';
import { type ChangeMark, type LatencySlice, LatencySlices, type SliceOptions } from './latency-slices.js';
import type { MetricCell } from './tilt-sums.js';
import type { Histogram, Window, WindowMetric } from './window.js';

/** One arm of one class in one epoch. */
export interface LedgerCell {
  readonly counts: ArmCounts;
  readonly metrics: Readonly<Record<WindowMetric, BucketCounts>>;
}

export interface LedgerClass {
  readonly promptClass: string;
  readonly arms: Readonly<Record<ComparedArm, LedgerCell>>;
}

interface LedgerEpoch {
  readonly classes: Map<string, LedgerClass>;
  /** Over all classes. */
  readonly totals: Readonly<Record<ComparedArm, ArmCounts>>;
  /** In order of name; null when a class came since. */
  order: LedgerClass[] | null;
  readonly slices: LatencySlices;
}

interface KeptCells {
  readonly comparisons: readonly Comparison[];
  readonly structure: number;
  readonly cells: readonly MetricCell[];
}

const metrics: readonly WindowMetric[] = ['entropy', 'length', 'ttft', 'interToken', 'total', 'input', 'cost', 'quality', 'nll'];
const noHistogram: Histogram = new Map();

/** What the checks read. Windows without an arm (reference traffic) are ignored. The caller adds each window once. */
export class MergedCounts {
  private readonly epochs = new Map<number, LedgerEpoch>();
  private readonly slices: SliceOptions;
  private readonly keptCells: Partial<Record<WindowMetric, KeptCells>> = {};
  /** Grows with every class and epoch. */
  private structure = 0;
  private firstCandidate: number | null = null;

  constructor(slices: SliceOptions = {}) {
    this.slices = slices;
  }

  add(windows: readonly Window[]): void {
    for (const window of windows) this.addOne(window);
  }

  /** Assignment second of the candidate's first response; null while there is none. */
  get firstCandidateAt(): number | null {
    return this.firstCandidate;
  }

  /** Classes of an epoch, by name. */
  classes(epoch: number): readonly LedgerClass[] {
    const found = this.epochs.get(epoch);
    if (!found) return [];
    found.order ??= [...found.classes.values()].sort((a, b) => (a.promptClass < b.promptClass ? -1 : 1));
    return found.order;
  }

  /** Sum of a count over the classes of an epoch. */
  sum(epoch: number, arm: ComparedArm, field: CountField): number {
    return this.epochs.get(epoch)?.totals[arm][field] ?? 0;
  }

  /** Newest assignment second with a response of this arm in an epoch. */
  lastAt(epoch: number, arm: ComparedArm): number | null {
    return this.epochs.get(epoch)?.totals[arm].lastAt ?? null;
  }

  /** Counts of one metric by compared epoch and class, in canonical order. The same array for the same array of comparisons until a class or epoch comes. */
  cells(comparisons: readonly Comparison[], metric: WindowMetric): readonly MetricCell[] {
    const kept = this.keptCells[metric];
    if (kept?.comparisons === comparisons && kept.structure === this.structure) return kept.cells;
    const cells: MetricCell[] = [];
    for (const { epoch, weight, baseline } of comparisons) {
      for (const { promptClass, arms } of this.classes(epoch)) {
        cells.push({ promptClass, weight, baseline: arms[baseline].metrics[metric], candidate: arms.candidate.metrics[metric] });
      }
    }
    this.keptCells[metric] = { comparisons, structure: this.structure, cells };
    return cells;
  }

  /** Latencies of an epoch by second (or slice of `sliceMs`) of assignment, in order of time. */
  seconds(epoch: number): readonly LatencySlice[] {
    return this.epochs.get(epoch)?.slices.all() ?? [];
  }

  /** Tells from where on latencies of an epoch changed since last asked; null while nothing of the epoch came. */
  watchSeconds(epoch: number): ChangeMark | null {
    return this.epochs.get(epoch)?.slices.watch() ?? null;
  }

  private addOne(window: Window): void {
    const { key, counts } = window;
    if (key.arm === null || key.epoch === null) return;
    const epoch = this.epochOf(key.epoch);
    const cell = this.classOf(epoch, key.promptClass).arms[key.arm];
    addCounts(cell.counts, window);
    addCounts(epoch.totals[key.arm], window);
    if (counts.responses > 0 && key.arm === 'candidate') this.firstCandidate = Math.min(this.firstCandidate ?? key.secondAt, key.secondAt);
    for (const metric of metrics) {
      // Stored windows may lack a metric that came later.
      const histogram = counts.histograms[metric] ?? noHistogram;
      if (histogram.size === 0) continue;
      const into = cell.metrics[metric];
      for (const [index, count] of histogram) into.add(index, count);
    }
    epoch.slices.add(key.arm, window);
  }

  private epochOf(number: number): LedgerEpoch {
    let epoch = this.epochs.get(number);
    if (!epoch) {
      const totals = { stable: noCounts(), candidate: noCounts(), control: noCounts() };
      epoch = { classes: new Map(), totals, order: null, slices: new LatencySlices(this.slices) };
      this.epochs.set(number, epoch);
      this.structure += 1;
    }
    return epoch;
  }

  private classOf(epoch: LedgerEpoch, promptClass: string): LedgerClass {
    let found = epoch.classes.get(promptClass);
    if (!found) {
      found = { promptClass, arms: { stable: newCell(), candidate: newCell(), control: newCell() } };
      epoch.classes.set(promptClass, found);
      epoch.order = null;
      this.structure += 1;
    }
    return found;
  }
}

function addCounts(sums: ArmCounts, { key, counts }: Window): void {
  sums.responses += counts.responses;
  sums.failures += counts.errors + counts.timeouts + counts.unfinished + counts.nonFinite;
  sums.unfinished += counts.unfinished;
  sums.refusals += counts.refusals;
  sums.loops += counts.loops;
  sums.clientGone += counts.clientGone;
  sums.units += counts.units;
  if (counts.responses > 0) sums.lastAt = Math.max(sums.lastAt ?? 0, key.secondAt);
}

function newCell(): LedgerCell {
  return {
    counts: noCounts(),
    metrics: {
      entropy: new BucketCounts(),
      length: new BucketCounts(),
      ttft: new BucketCounts(),
      interToken: new BucketCounts(),
      total: new BucketCounts(),
      input: new BucketCounts(),
      cost: new BucketCounts(),
      quality: new BucketCounts(),
      nll: new BucketCounts(),
    },
  };
}
