// What the engine has to reach, and whether it did. Judged by the median of the ratios within the rounds; the best rounds stand beside it.
import { median } from './measure.mjs';

const entropyCostAt = { 32000: 0.03, 128256: 0.05 };
const manyAtOnce = [16, 32];
const loopDelayLimitMs = 10;
const turnOfGoal = 5;

/** Tokens per second in the best round of one over those in the best of the other; null when either was not measured. */
export function bestRatio({ rounds }, over, under) {
  if (!rounds[over]?.length || !rounds[under]?.length) return null;
  const best = (letter) => Math.max(...rounds[letter].map((result) => result.tokensPerS));
  return best(over) / best(under);
}

/** The median of the ratios within a round: both runs had the same neighbours. */
export function medianRatio({ rounds }, over, under) {
  const values = (rounds[over] ?? []).flatMap((result, at) => {
    const other = rounds[under]?.[at]?.tokensPerS;
    return other ? [result.tokensPerS / other] : [];
  });
  return median(values);
}

/** @returns {{goal: string, model: string, parallel: number | null, value: number | null, byMedian: number | null, met: boolean | null}[]} */
export function judge({ model, vocabularySize, cases, queueCase, turns }) {
  const lines = [];
  /** A figure without rounds of its own is its own median. */
  const line = (goal, parallel, value, met, byMedian = value) =>
    lines.push({ goal, model, parallel, value, byMedian, met: byMedian === null ? null : met(byMedian) });
  const atLeast = (goal, one, over, under, least) =>
    line(goal, one.parallel, bestRatio(one, over, under), (value) => value >= least, medianRatio(one, over, under));
  for (const one of cases) {
    if (manyAtOnce.includes(one.parallel)) {
      atLeast('a/f >= 0.95', one, 'a', 'f', 0.95);
      atLeast('a/c >= 1.5', one, 'a', 'c', 1.5);
      atLeast('a/e >= 1.1', one, 'a', 'e', 1.1);
      const most = entropyCostAt[vocabularySize];
      const leftOut = one.medians.b?.uncertainty === 'none';
      const cost = (ratio) => (leftOut ? 1 - ratio(one, 'a', 'b') : null);
      line(`entropy <= ${most * 100} %`, one.parallel, cost(bestRatio), (value) => value <= most, cost(medianRatio));
    }
    if (one.medians.a) line('event loop p99 < 10 ms', one.parallel, one.medians.a.loopDelayP99Ms, (value) => value < loopDelayLimitMs);
  }
  if (queueCase) atLeast('a/d >= 3, 2 threads', queueCase, 'a', 'd', 3);
  for (const grows of turns ? ['prompt', 'chat'] : []) {
    const gain = turns.find(({ growth, turn }) => growth === grows && turn === turnOfGoal)?.gain ?? null;
    line(`turn 5 >= 5x, ${grows}`, null, gain, (value) => value >= 5);
  }
  return lines;
}
