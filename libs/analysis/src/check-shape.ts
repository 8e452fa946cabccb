// The shape of entropy: answers that loop, or are far more or less certain than stable's ever are. Sees what leaves the centre where it was: half of a class broken.
import type { BucketCounts } from './bucket-counts.js';
import { strongestFirst } from './check-events.js';
import type { Comparison } from './epoch-counts.js';
import type { EpochEvents } from './event-ratio.js';
import { EventRatioTest } from './event-sums.js';
import { pooledClass, type ShapeBounds } from './frozen-scores.js';
import type { CheckLook } from './measured.js';
import type { MergedCounts } from './merged-counts.js';
import { logMeanExp } from './mixture.js';
import { gamma } from './sketch.js';

export interface ShapeQuestion {
  /** Tolerated multiple of stable's rate of each event. */
  readonly ratio: number;
  /** By class, `*` for the pool; null or empty: only loops are seen. */
  readonly bounds: Readonly<Record<string, ShapeBounds>> | null;
  /** How far entropy itself may move in a class: the candidate's bounds are moved by as much, so that a tolerated shift is no event. */
  readonly marginsOf: (judgedClass: string) => { readonly up: number; readonly down: number };
  /** Names everything above but `bounds`. */
  readonly key: string;
}

const kinds = ['loop', 'low', 'high'] as const;
type Kind = (typeof kinds)[number];
type Events = Record<Kind, EpochEvents[]>;

/** First bucket that is not too low, last that is not too high. */
interface Edges {
  readonly low: number;
  readonly high: number;
}

const lnGamma = Math.log(gamma);

/** Average over three event ratios, each against `ratio` x stable's rate: loops, below stable's P1, above its P99. All on whole buckets. */
export class ShapeCheck {
  private kept: {
    readonly key: string;
    readonly bounds: ShapeQuestion['bounds'];
    readonly test: EventRatioTest;
    readonly edges: Map<string, { readonly baseline: Edges; readonly candidate: Edges } | null>;
  } | null = null;
  private outside = new WeakMap<
    BucketCounts,
    { readonly version: number; readonly edges: Edges; readonly low: number; readonly high: number }
  >();

  constructor(private readonly counts: MergedCounts) {}

  look(question: ShapeQuestion, comparisons: readonly Comparison[]): CheckLook {
    if (this.kept?.key !== question.key || this.kept.bounds !== question.bounds) {
      this.kept = { key: question.key, bounds: question.bounds, test: new EventRatioTest(question.ratio), edges: new Map() };
    }
    const { test } = this.kept;
    const classes = new Map<string, { readonly events: Events; n: number }>();
    const all: Events = { loop: [], low: [], high: [] };
    const totals = { nStable: 0, nCandidate: 0, stable: { loop: 0, low: 0, high: 0 }, candidate: { loop: 0, low: 0, high: 0 } };
    for (const { epoch, weight, baseline } of comparisons) {
      const sums = kinds.map(() => ({ weight, stable: 0, candidate: 0 }));
      for (const { promptClass, arms } of this.counts.classes(epoch)) {
        const [stable, candidate] = [arms[baseline], arms.candidate];
        const judged = question.bounds && Object.hasOwn(question.bounds, promptClass) ? promptClass : pooledClass;
        const edges = this.edgesOf(question, judged);
        const [low, high] = edges
          ? [this.outsideOf(stable.metrics.entropy, edges.baseline), this.outsideOf(candidate.metrics.entropy, edges.candidate)]
          : [none, none];
        const found = [
          [stable.counts.loops, candidate.counts.loops],
          [low.low, high.low],
          [low.high, high.high],
        ] as const;
        totals.nStable += stable.counts.responses;
        totals.nCandidate += candidate.counts.responses;
        if (found.every(([one, other]) => one + other === 0)) continue;
        const own = classes.get(judged) ?? { events: { loop: [], low: [], high: [] }, n: 0 };
        classes.set(judged, own);
        own.n += candidate.counts.responses;
        kinds.forEach((kind, at) => {
          const [one, other] = found[at] ?? [0, 0];
          own.events[kind].push({ weight, stable: one, candidate: other });
          const sum = sums[at];
          if (sum) {
            sum.stable += one;
            sum.candidate += other;
          }
          totals.stable[kind] += one;
          totals.candidate[kind] += other;
        });
      }
      kinds.forEach((kind, at) => {
        const sum = sums[at];
        if (sum) all[kind].push(sum);
      });
    }
    const logs = kinds.map((kind) => test.logE(all[kind]));
    const share = (arm: 'stable' | 'candidate', n: number): number => (totals[arm].loop + totals[arm].low + totals[arm].high) / n;
    const { nStable, nCandidate } = totals;
    const told = (arm: 'stable' | 'candidate'): string =>
      `${totals[arm].loop} looped, ${totals[arm].low} too certain, ${totals[arm].high} too uncertain`;
    return {
      measured: {
        check: 'shape',
        measured: nCandidate > 0,
        logE: logMeanExp(logs),
        direction: kinds[logs.indexOf(Math.max(...logs))] ?? 'loop',
        effect: nStable > 0 && nCandidate > 0 ? share('candidate', nCandidate) - share('stable', nStable) : null,
        lower: null,
        upper: null,
        marginUp: null,
        marginDown: null,
        unit: 'points',
        nStable,
        nCandidate,
        classes: [...classes]
          .map(([promptClass, { events, n }]) => ({
            promptClass,
            logE: logMeanExp(kinds.map((kind) => test.logE(events[kind]))),
            nCandidate: n,
          }))
          .sort(strongestFirst),
        note: `of ${nCandidate} candidate answers ${told('candidate')}; of ${nStable} of stable ${told('stable')}`,
      },
      proofLogE: null,
    };
  }

  private edgesOf({ bounds, marginsOf }: ShapeQuestion, judged: string): { readonly baseline: Edges; readonly candidate: Edges } | null {
    const known = this.kept?.edges.get(judged);
    if (known !== undefined) return known;
    const own = bounds?.[judged];
    const { up, down } = marginsOf(judged);
    const low = own ? Math.round(Math.log(own.p1Nats) / lnGamma) + 1 : 0;
    const high = own ? Math.round(Math.log(own.p99Nats) / lnGamma) : 0;
    const edges = own && {
      baseline: { low, high },
      candidate: { low: low + Math.floor(Math.log(1 - down) / lnGamma), high: high + Math.ceil(Math.log1p(up) / lnGamma) },
    };
    this.kept?.edges.set(judged, edges ?? null);
    return edges ?? null;
  }

  private outsideOf(counts: BucketCounts, edges: Edges): { readonly low: number; readonly high: number } {
    const known = this.outside.get(counts);
    if (known?.version === counts.version && known.edges === edges) return known;
    let [low, high] = [0, 0];
    for (const [index, count] of counts) {
      if (index < edges.low) low += count;
      else if (index > edges.high) high += count;
    }
    const found = { version: counts.version, edges, low, high };
    this.outside.set(counts, found);
    return found;
  }
}

const none = { low: 0, high: 0 };
