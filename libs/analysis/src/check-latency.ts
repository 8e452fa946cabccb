// Latency of the first token, between tokens and of the whole request, one check each: block signs at the centre and the tails, a gross test of tail
// answers from the first one on, and steps on single requests that may only make a rollout wait.
import type { CheckName } from '#libs/base';
import { BlockCutter, type CutBlocks } from './block-cutter.js';
import { type BlockTest, blockSignLogE, centreSign, type SignCounts, tailSign } from './block-sign.js';
import type { Comparison, Epoch } from './epoch-counts.js';
import { EventRatioTest } from './event-sums.js';
import { type FrozenScores, latencyThresholds } from './frozen-scores.js';
import type { LatencyMetric } from './latency-slices.js';
import type { CheckLook } from './measured.js';
import type { MergedCounts } from './merged-counts.js';
import { logMeanExp } from './mixture.js';
import { gamma } from './sketch.js';
import { OverCounts, stepLogE } from './step-counts.js';
import type { MetricCell } from './tilt-sums.js';

/** What a plan says of the three latencies; the shape of `Plan['checks']['latency']`. */
export interface LatencyOptions {
  /** Rollback: tolerated relative growth of the centre, and of the P95 and P99 thresholds. */
  readonly margin: number;
  /** Rollback from the first answer: tolerated relative growth of the P99 threshold. */
  readonly gross: number;
  /** Promotion proves less than this, over at least `proofBlocks` blocks. */
  readonly proofMargin: number;
  readonly proofBlocks: number;
  /** Length of a block of the centre, seconds; those of the tails are twice as long. And how long after a block's end answers are waited for. */
  readonly blockS: number;
  readonly settleS: number;
  /** Tails are judged in epochs of at least this weight, percent: below it blocks hold too few tail answers. */
  readonly tailsFromPct: number;
}

export interface LatencyInput {
  readonly options: LatencyOptions;
  readonly epochs: readonly Epoch[];
  readonly comparisons: readonly Comparison[];
  readonly scores: FrozenScores | null;
  readonly now: number;
  /** ln of the e-value from which single requests turn a check amber. */
  readonly amberLogE: number;
}

export const latencyChecks = { ttft: 'ttft', interToken: 'interToken', latency: 'total' } as const satisfies Partial<
  Record<CheckName, LatencyMetric>
>;

export type LatencyCheckName = keyof typeof latencyChecks;

/**
 * What each test has of a check's weight, fixed in advance: 0.10, 0.10 and 0.05 of 0.25 for centre, P95 and P99, of which the gross test at the P99
 * threshold has half. A test that has nothing to look at keeps its part with e = 1.
 */
export const latencyShares = { block: 0.4, p95: 0.4, p99: 0.1, gross: 0.1 } as const;

type Part = keyof typeof latencyShares;
const parts = Object.keys(latencyShares) as Part[];
const noProof = 0;

/** The three checks over one rollout's counts. Keeps cut blocks and counts between looks; the answer depends on counts and input alone. */
export class LatencyChecks {
  private readonly checks: readonly OneLatency[];

  constructor(private readonly counts: MergedCounts) {
    this.checks = (Object.keys(latencyChecks) as LatencyCheckName[]).map((check) => new OneLatency(check, this.counts));
  }

  /**
   * ttft, interToken, latency, in this order. The proof of `latency` stands for all three: the weakest of those that both arms have answers for; 0 (none)
   * before `proofBlocks` blocks. Its tests are each a proof of its own at the plan's level, and all must hold.
   */
  look(input: LatencyInput): CheckLook[] {
    const looks = this.checks.map((check) => check.look(input));
    const proofs = looks.flatMap(({ measured, proofLogE }) => (measured.measured ? [proofLogE ?? noProof] : []));
    const all = proofs.length > 0 ? Math.min(...proofs) : noProof;
    return looks.map(({ measured }) => ({ measured, proofLogE: measured.check === 'latency' ? all : null }));
  }
}

/** Bucket edges of one latency: stable's, and where the candidate's lies for each margin, moved by whole buckets so that rounding is alike in both arms. */
interface Edges {
  readonly all: readonly number[];
  at(tail: 'p50' | 'p95' | 'p99', margin: 'none' | 'margin' | 'proof' | 'gross'): number | null;
}

const margins = ['none', 'margin', 'proof', 'gross'] as const;

function edgesOf(scores: FrozenScores | null, metric: LatencyMetric, options: LatencyOptions): Edges {
  const thresholds = scores ? latencyThresholds(scores, metric) : null;
  const buckets = (ratio: number): number => Math.round(Math.log(ratio) / Math.log(gamma));
  const by = { none: 0, margin: options.margin, proof: options.proofMargin, gross: options.gross };
  const known = (['p50', 'p95', 'p99'] as const).flatMap((tail) => {
    const ms = thresholds?.[`${tail}Ms`];
    return ms === undefined || ms === null ? [] : [{ tail, edge: buckets(ms) }];
  });
  return {
    all: known.flatMap(({ edge }) => margins.map((margin) => edge + buckets(1 + by[margin]))),
    at: (tail, margin) => {
      const position = known.findIndex((one) => one.tail === tail);
      return position < 0 ? null : position * margins.length + margins.indexOf(margin);
    },
  };
}

interface Kept {
  readonly key: string;
  readonly edges: Edges;
  readonly over: OverCounts;
  /** By epoch and baseline. */
  readonly cutters: Map<string, Cutters>;
}

interface Cutters {
  readonly centre: BlockCutter;
  readonly tails: BlockCutter;
}

const noSigns: SignCounts = { slower: 0, alike: 0, faster: 0 };

/** Blocks and their signs, by test, added up over epochs. */
class Signs {
  blocks = 0;
  readonly signs: SignCounts[] = [];

  add({ blocks, signs }: CutBlocks): void {
    this.blocks += blocks.length;
    for (const [test, one] of signs.entries()) {
      const sum = this.signs[test] ?? noSigns;
      this.signs[test] = { slower: sum.slower + one.slower, alike: sum.alike + one.alike, faster: sum.faster + one.faster };
    }
  }
}

class OneLatency {
  private readonly metric: LatencyMetric;
  private readonly gross = new EventRatioTest(1);
  private kept: Kept | null = null;

  constructor(
    private readonly check: LatencyCheckName,
    private readonly counts: MergedCounts,
  ) {
    this.metric = latencyChecks[check];
  }

  look(input: LatencyInput): CheckLook {
    const { options, scores, comparisons, amberLogE } = input;
    const { margin, proofBlocks, blockS } = options;
    const { edges, over, cutters } = this.keptFor(scores, options);
    const { centre, tails } = this.blocks(input, cutters);
    const cells = this.counts.cells(comparisons, this.metric);
    const sums = sumsOf(cells);
    const measured = sums.nStable > 0 && sums.nCandidate > 0;

    const stepAt = (tail: 'p50' | 'p95' | 'p99'): number | null => {
      const [baseline, candidate] = [edges.at(tail, 'none'), edges.at(tail, 'margin')];
      if (baseline === null || candidate === null) return null;
      return stepLogE(over.sum(cells, baseline, candidate), tailShares[tail]);
    };

    const logE: Record<Part, number> = {
      block: blockSignLogE(centre.signs[0] ?? noSigns),
      p95: blockSignLogE(tails?.signs[0] ?? noSigns),
      p99: blockSignLogE(tails?.signs[1] ?? noSigns),
      gross: this.grossLogE(edges, over, cells),
    };
    const strongest = parts.reduce((best, part) => (weighted(part, logE) > weighted(best, logE) ? part : best));
    const single = [stepAt('p50'), stepAt('p95'), stepAt('p99')].filter((one) => one !== null);
    const amber = single.length > 0 && logMeanExp(single) >= amberLogE;

    // Every proof that can be asked for: of the tails where they were judged.
    const proofs = [centre.signs[1], ...(tails && edges.all.length > 0 ? [tails.signs[2], tails.signs[3]] : [])].map((signs) =>
      blockSignLogE(signs ?? noSigns, -1),
    );
    const tailNote = tails ? `, ${tails.blocks} of ${2 * blockS} s for the tails` : '';
    return {
      measured: {
        check: this.check,
        measured,
        // Labels alone are no evidence of latency: while one arm has no answers yet they are all of one kind.
        logE: measured ? average(logE) : 0,
        direction: strongest,
        effect: measured ? sums.effect : null,
        lower: null,
        upper: null,
        marginUp: margin,
        marginDown: null,
        unit: 'ratio',
        nStable: sums.nStable,
        nCandidate: sums.nCandidate,
        ...(amber ? { amber: true } : {}),
        note: `${centre.blocks} blocks of ${blockS} s judged${tailNote}`,
      },
      proofLogE: centre.blocks < proofBlocks ? Math.min(noProof, ...proofs) : Math.min(...proofs),
    };
  }

  /**
   * Answers above the candidate's gross threshold against those above stable's P99, by their labels alone. Not the step over all answers: a slower
   * candidate's answers also come later, and at a thousand requests a second the lack of them in the first moments would be evidence by itself.
   */
  private grossLogE(edges: Edges, over: OverCounts, cells: readonly MetricCell[]): number {
    const [baseline, candidate] = [edges.at('p99', 'none'), edges.at('p99', 'gross')];
    if (baseline === null || candidate === null) return 0;
    const counts = over.sum(cells, baseline, candidate);
    return this.gross.logE(
      counts.map(({ weight, baselineOver, candidateOver }) => ({ weight, stable: baselineOver, candidate: candidateOver })),
    );
  }

  /** Signs over all compared epochs; `tails` is null where none had enough traffic for them. */
  private blocks({ options, epochs, comparisons, now }: LatencyInput, cutters: Kept['cutters']): { centre: Signs; tails: Signs | null } {
    const shareOf = new Map(epochs.map(({ epoch, weight }) => [epoch, weight]));
    const centre = new Signs();
    let tails: Signs | null = null;
    // A block lies within one epoch: across a change of weight the arms' means would rest on different times.
    for (const { epoch, baseline } of comparisons) {
      const name = `${epoch} ${baseline}`;
      const found = cutters.get(name) ?? this.newCutters(epoch, baseline, options);
      if (!found) continue;
      cutters.set(name, found);
      const slices = this.counts.seconds(epoch);
      centre.add(found.centre.cut(slices, now));
      if ((shareOf.get(epoch) ?? 0) * 100 < options.tailsFromPct) continue;
      tails ??= new Signs();
      tails.add(found.tails.cut(slices, now));
    }
    return { centre, tails };
  }

  private newCutters(epoch: number, baseline: Comparison['baseline'], options: LatencyOptions): Cutters | null {
    const [centre, tails] = [this.counts.watchSeconds(epoch), this.counts.watchSeconds(epoch)];
    if (!centre || !tails || !this.kept) return null;
    const { edges } = this.kept;
    const { margin, proofMargin, blockS, settleS } = options;
    const shared = { metric: this.metric, baseline, settleMs: settleS * 1_000 };
    const tail = (of: 'p95' | 'p99', by: 'margin' | 'proof'): BlockTest => {
      const [own, moved] = [edges.at(of, 'none') ?? -1, edges.at(of, by) ?? -1];
      return (block) => tailSign(block, own, moved);
    };
    return {
      centre: new BlockCutter(
        {
          ...shared,
          blockMs: blockS * 1_000,
          edges: [],
          tests: [(block) => centreSign(block, margin), (block) => centreSign(block, proofMargin)],
        },
        centre,
      ),
      tails: new BlockCutter(
        {
          ...shared,
          blockMs: 2 * blockS * 1_000,
          edges: edges.all,
          tests: [tail('p95', 'margin'), tail('p99', 'margin'), tail('p95', 'proof'), tail('p99', 'proof')],
        },
        tails,
      ),
    };
  }

  private keptFor(scores: FrozenScores | null, options: LatencyOptions): Kept {
    const edges = edgesOf(scores, this.metric, options);
    const key = `${edges.all.join()} ${options.margin} ${options.proofMargin} ${options.blockS} ${options.settleS}`;
    if (this.kept?.key !== key) this.kept = { key, edges, over: new OverCounts(edges.all), cutters: new Map() };
    return this.kept;
  }
}

const tailShares = { p50: 0.5, p95: 0.05, p99: 0.01 } as const;

function average(logE: Record<Part, number>): number {
  return logMeanExp(
    parts.map((part) => logE[part]),
    parts.map((part) => latencyShares[part]),
  );
}

function weighted(part: Part, logE: Record<Part, number>): number {
  return Math.log(latencyShares[part]) + logE[part];
}

/** Answers of both arms, and the candidate's mean ln against the baseline's as a relative change. */
function sumsOf(cells: readonly MetricCell[]): { readonly nStable: number; readonly nCandidate: number; readonly effect: number } {
  let [nStable, nCandidate, stable, candidate] = [0, 0, 0, 0];
  for (const cell of cells) {
    nStable += cell.baseline.total;
    nCandidate += cell.candidate.total;
    stable += cell.baseline.indexSum;
    candidate += cell.candidate.indexSum;
  }
  return { nStable, nCandidate, effect: gamma ** (candidate / nCandidate - stable / nStable) - 1 };
}
