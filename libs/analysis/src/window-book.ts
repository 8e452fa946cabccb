// The gateway's memory of finished requests: adds each observation to its window and hands all windows over once a second.
import { addTo, bucketOf, emptyHistograms } from './sketch.js';
import type { Observation, ObservationStart, Window, WindowCounts, WindowKey, WindowMetric } from './window.js';

const maxClassesPerModel = 32;
/** Where classes beyond the bound go; the bound keeps rows and tables finite whatever clients send. */
export const overflowClass = 'other';
const secondMs = 1000;
/** An answer without a token is the shortest of all, and must not be invisible. Half a token, lest one of them stretch the fitted spread. */
const emptyAnswerTokens = 0.5;

/** What tells the window of an answer. */
export type AnswerKey = Pick<Observation, 'model' | 'versionId' | 'rolloutId' | 'epoch' | 'arm' | 'promptClass' | 'assignedAt' | 'place'>;

interface OpenWindow extends Window {
  readonly unitsSeen: Set<string>;
}

/** Additive windows by key and assignment second. Memory is bounded by the caller draining it each second. */
export class WindowBook {
  private open = new Map<string, OpenWindow>();

  /** `classes`: those met so far by model, to bound them over several books. */
  constructor(private readonly classes = new Map<string, Set<string>>()) {}

  /** A request has ended. */
  add(observation: Observation): void {
    const window = this.windowOf(observation);
    count(window.counts, observation);
    const { outcome, countedUnfinished } = observation;
    // A unit is one that has a response, and is counted with it.
    if (!countedUnfinished && outcome !== 'clientGone' && outcome !== 'shed') seeUnit(window, observation.unit);
  }

  /** A request still runs at the age at which it counts as unfinished. Its end comes by `add` as `countedUnfinished`. */
  unfinished(start: ObservationStart): void {
    const window = this.windowOf(start);
    window.counts.responses += 1;
    window.counts.unfinished += 1;
    seeUnit(window, start.unit);
  }

  /** A score in [0, 1] of an answer that was, or will be, added: under the same key, as nothing but its score. */
  addScore(answer: AnswerKey, score: number): void {
    addTo(this.windowOf(answer).counts.histograms.quality, Math.round(100 * score));
  }

  private windowOf(answer: AnswerKey): OpenWindow {
    const key: WindowKey = {
      model: answer.model,
      versionId: answer.versionId,
      rolloutId: answer.rolloutId,
      epoch: answer.epoch,
      arm: answer.arm,
      promptClass: this.boundedClass(answer.model, answer.promptClass),
      secondAt: Math.floor(answer.assignedAt / secondMs) * secondMs,
    };
    const name = nameOf(key);
    let window = this.open.get(name);
    if (!window) {
      window = { key, counts: emptyCounts(), unitsSeen: new Set() };
      this.open.set(name, window);
    }
    return window;
  }

  /** All windows since the last call; a window that gets later answers comes again with only those. */
  drain(): Window[] {
    const windows = [...this.open.values()].map(({ key, counts }) => ({ key, counts }));
    this.open = new Map();
    return windows;
  }

  private boundedClass(model: string, promptClass: string): string {
    let known = this.classes.get(model);
    if (!known) {
      known = new Set();
      this.classes.set(model, known);
    }
    if (known.has(promptClass)) return promptClass;
    if (known.size >= maxClassesPerModel - 1) return overflowClass;
    known.add(promptClass);
    return promptClass;
  }
}

function seeUnit({ counts, unitsSeen }: OpenWindow, unit: string): void {
  unitsSeen.add(unit);
  counts.units = unitsSeen.size;
}

/** One string per key. What clients choose comes last, so that no choice of theirs reads as another key. Once per request: JSON would cost ten times as much. */
function nameOf({ model, versionId, rolloutId, epoch, arm, promptClass, secondAt }: WindowKey): string {
  return `${secondAt} ${epoch} ${arm} ${versionId} ${rolloutId} ${model.length} ${model}${promptClass}`;
}

export function emptyCounts(): WindowCounts {
  return {
    responses: 0,
    errors: 0,
    timeouts: 0,
    unfinished: 0,
    refusals: 0,
    loops: 0,
    clientGone: 0,
    nonFinite: 0,
    units: 0,
    lnTotalCount: 0,
    lnTotalSum: 0,
    histograms: emptyHistograms(),
  };
}

function count(counts: WindowCounts, observation: Observation): void {
  if (observation.outcome === 'clientGone') {
    counts.clientGone += 1;
    return;
  }
  // Refused before it reached a version: says something about load, nothing about the version.
  if (observation.outcome === 'shed') return;
  if (!observation.countedUnfinished) {
    counts.responses += 1;
    if (observation.outcome === 'error') counts.errors += 1;
    if (observation.outcome === 'timeout') counts.timeouts += 1;
  }
  if (observation.outcome !== 'ok') return;
  if (observation.refused) counts.refusals += 1;
  if (observation.looped) counts.loops += 1;
  const warm = !observation.cold;
  const values: Record<WindowMetric, number | null> = {
    entropy: observation.entropyMeanNats,
    length: Math.max(observation.outputTokens, emptyAnswerTokens),
    ttft: warm ? observation.ttftMs : null,
    interToken: warm ? observation.interTokenMs : null,
    total: warm ? observation.totalMs : null,
    input: observation.inputTokens,
    cost: observation.costMicros,
    quality: null,
    nll: observation.nllMeanNats,
  };
  let finite = true;
  for (const metric of Object.keys(values) as WindowMetric[]) {
    const value = values[metric];
    if (value === null) continue;
    if (Number.isFinite(value)) addTo(counts.histograms[metric], bucketOf(value));
    else finite = false;
  }
  // One event a response, however many of its values are broken: events are counted against responses.
  if (!finite) counts.nonFinite += 1;
  if (warm && Number.isFinite(observation.totalMs) && observation.totalMs > 0) {
    counts.lnTotalCount += 1;
    counts.lnTotalSum += Math.log(observation.totalMs);
  }
}
