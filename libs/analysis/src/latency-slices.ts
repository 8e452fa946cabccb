// What the block tests read of latencies: by slice of assignment time and arm, how many answers, their mean ln, and the tail. Never all of an hour's values.
import type { ComparedArm } from '#libs/base';
import { addTo, lnRepresentative } from './sketch.js';
import type { Histogram, Window } from './window.js';

export type LatencyMetric = 'ttft' | 'interToken' | 'total';

export const latencyMetrics: readonly LatencyMetric[] = ['ttft', 'interToken', 'total'];

/** One latency of one arm in one slice. */
export interface LatencyCell {
  n: number;
  /** Sum of bucket index x count. */
  indexSum: number;
  /** Counts by bucket, from the `tailFrom` of the ledger on. */
  tail: Histogram;
}

export type ArmSlice = Readonly<Record<LatencyMetric, LatencyCell>>;

export interface LatencySlice {
  /** Start of the slice, milliseconds since the Unix epoch; slices are cut at whole multiples of their length. */
  readonly at: number;
  readonly arms: Readonly<Record<ComparedArm, ArmSlice>>;
}

interface OpenSlice extends LatencySlice {
  readonly arms: Record<ComparedArm, ArmSlice>;
}

/** Most arms of most slices are empty: they share one. Never written. */
const noTail: Histogram = new Map();
const emptyCell = (): LatencyCell => ({ n: 0, indexSum: 0, tail: noTail });
const emptyArm = (): ArmSlice => ({ ttft: emptyCell(), interToken: emptyCell(), total: emptyCell() });
const noArm: ArmSlice = emptyArm();

/** Mean ln(milliseconds) of a cell, each value as its bucket's representative (within 1%, alike in both arms). NaN when empty. */
export function meanLn({ n, indexSum }: { readonly n: number; readonly indexSum: number }): number {
  return lnRepresentative(indexSum / n);
}

export interface SliceOptions {
  /** Length of a slice, milliseconds, a multiple of 1,000: 1,000 unless given. The plan's block length makes a look cheapest. */
  readonly sliceMs?: number;
  /** Least bucket index that is kept apart, by metric; all without. With stable's P95 a week at 10 answers a second takes some megabytes. */
  readonly tailFrom?: Partial<Record<LatencyMetric, number>>;
}

/** Lowered to the start of each slice that changed; its owner sets it back to Infinity when it has looked. */
export interface ChangeMark {
  at: number;
}

/** Slices of one epoch. */
export class LatencySlices {
  private readonly slices = new Map<number, OpenSlice>();
  private readonly order: LatencySlice[] = [];
  private readonly marks: ChangeMark[] = [];
  private readonly sliceMs: number;
  private readonly tailFrom: Partial<Record<LatencyMetric, number>>;

  constructor({ sliceMs = 1_000, tailFrom = {} }: SliceOptions = {}) {
    this.sliceMs = sliceMs;
    this.tailFrom = tailFrom;
  }

  add(arm: ComparedArm, { key, counts }: Window): void {
    const { histograms } = counts;
    if (histograms.total.size === 0 && histograms.ttft.size === 0 && histograms.interToken.size === 0) return;
    const at = Math.floor(key.secondAt / this.sliceMs) * this.sliceMs;
    let slice = this.slices.get(at);
    if (!slice) {
      slice = { at, arms: { stable: noArm, candidate: noArm, control: noArm } };
      this.slices.set(at, slice);
      this.place(slice);
    }
    for (const mark of this.marks) mark.at = Math.min(mark.at, at);
    if (slice.arms[arm] === noArm) slice.arms[arm] = emptyArm();
    const cells = slice.arms[arm];
    for (const metric of latencyMetrics) {
      const cell = cells[metric];
      const from = this.tailFrom[metric] ?? -Infinity;
      for (const [index, count] of histograms[metric]) {
        cell.n += count;
        cell.indexSum += index * count;
        if (index < from) continue;
        if (cell.tail === noTail) cell.tail = new Map();
        addTo(cell.tail, index, count);
      }
    }
  }

  /** In order of time. */
  all(): readonly LatencySlice[] {
    return this.order;
  }

  /** A mark that tells from where on slices changed since its owner last looked. Begins at -Infinity. */
  watch(): ChangeMark {
    const mark = { at: -Infinity };
    this.marks.push(mark);
    return mark;
  }

  /** Nearly always at the end. */
  private place(slice: LatencySlice): void {
    this.order.splice(firstFrom(this.order, slice.at), 0, slice);
  }
}

/** Position of the first slice that starts at `at` or later. */
export function firstFrom(slices: readonly LatencySlice[], at: number): number {
  let [low, high] = [0, slices.length];
  const last = slices[high - 1];
  if (last === undefined || last.at < at) return high;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((slices[middle]?.at ?? 0) < at) low = middle + 1;
    else high = middle;
  }
  return low;
}
