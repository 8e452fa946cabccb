// The gateway's memory of mirrored prompts: adds each ended mirror to its window and hands all windows over once a second.
import { decodeNamed, encodeNamed } from './histogram-codec.js';
import type { PairedCounts, PairedMetric, PairedWindow } from './paired-window.js';
import { addTo, bucketOf, floorValue } from './sketch.js';
import type { Histogram } from './window.js';

/** Order is the format: append only. */
const pairedMetrics: readonly PairedMetric[] = ['forcedNll', 'forcedEntropy', 'entropy', 'length'];
const secondMs = 1_000;
const maxClasses = 32;
/** An answer without a token is the shortest of all. */
const emptyAnswerTokens = 0.5;

/** One measure of both answers; null where one of them was not measured. Nats per token, or tokens. */
export type BothOf = { readonly stable: number; readonly candidate: number } | null;

/** One ended mirror of a rollout. */
export interface MirroredPrompt {
  readonly rolloutId: string;
  readonly promptClass: string;
  /** Of stable's answer, milliseconds since the Unix epoch. */
  readonly assignedAt: number;
  /** `none`: it was taken back or had no room, and says nothing but what was read before. */
  readonly outcome: 'pair' | 'failure' | 'none';
  readonly entropy: BothOf;
  readonly length: BothOf;
  readonly loopedStable: boolean;
  readonly loopedCandidate: boolean;
  /** Stable's answer as both versions read it; null: the candidate did not. */
  readonly forced: { readonly nll: BothOf; readonly entropy: BothOf } | null;
}

/** Additive windows by rollout, class and second. Memory is bounded by the caller draining it each second. */
export class PairedBook {
  private open = new Map<string, PairedWindow>();
  private readonly classes = new Set<string>();

  add(prompt: MirroredPrompt): void {
    if (prompt.outcome === 'none' && prompt.forced === null) return;
    const { counts } = this.windowOf(prompt);
    if (prompt.forced) {
      counts.forced += 1;
      addRatio(counts.ratios.forcedNll, prompt.forced.nll);
      addRatio(counts.ratios.forcedEntropy, prompt.forced.entropy);
    }
    if (prompt.outcome === 'failure') counts.failures += 1;
    if (prompt.outcome !== 'pair') return;
    counts.pairs += 1;
    if (prompt.loopedStable) counts.loopsStable += 1;
    if (prompt.loopedCandidate) counts.loopsCandidate += 1;
    addRatio(counts.ratios.entropy, prompt.entropy);
    addRatio(counts.ratios.length, prompt.length, emptyAnswerTokens);
  }

  /** All windows since the last call. */
  drain(): PairedWindow[] {
    const windows = [...this.open.values()];
    this.open = new Map();
    return windows;
  }

  private windowOf({ rolloutId, promptClass: asked, assignedAt }: MirroredPrompt): PairedWindow {
    const promptClass = this.boundedClass(asked);
    const secondAt = Math.floor(assignedAt / secondMs) * secondMs;
    const name = `${secondAt} ${rolloutId} ${promptClass}`;
    let window = this.open.get(name);
    if (!window) {
      window = { rolloutId, promptClass, secondAt, counts: emptyPairedCounts() };
      this.open.set(name, window);
    }
    return window;
  }

  /** Clients name classes: beyond the bound they share one. */
  private boundedClass(promptClass: string): string {
    if (this.classes.has(promptClass)) return promptClass;
    if (this.classes.size >= maxClasses - 1) return 'other';
    this.classes.add(promptClass);
    return promptClass;
  }
}

export function emptyPairedCounts(): PairedCounts {
  return { pairs: 0, forced: 0, failures: 0, loopsStable: 0, loopsCandidate: 0, ratios: emptyRatios() };
}

export function encodeRatios(ratios: Record<PairedMetric, Histogram>): Uint8Array {
  return encodeNamed(pairedMetrics, ratios);
}

/** Inverse of `encodeRatios`. Throws HistogramFormatError for anything it did not write. */
export function decodeRatios(bytes: Uint8Array): Record<PairedMetric, Histogram> {
  return decodeNamed(pairedMetrics, bytes, emptyRatios());
}

function emptyRatios(): Record<PairedMetric, Histogram> {
  return { forcedNll: new Map(), forcedEntropy: new Map(), entropy: new Map(), length: new Map() };
}

/** What is not a number is no ratio. Values below the floor of all histograms are as good as that: two sure answers are alike. */
function addRatio(histogram: Histogram, both: BothOf, least = floorValue): void {
  if (both === null) return;
  const ratio = Math.max(both.candidate, least) / Math.max(both.stable, least);
  if (Number.isFinite(ratio)) addTo(histogram, bucketOf(ratio));
}
