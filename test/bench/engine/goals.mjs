// What the engine has to reach, and whether it did. Ratios are medians of ratios within one round: both runs had the same neighbours.
import { median } from './measure.mjs';

const entropyCostAt = { 32000: 0.03, 128256: 0.05 };
const manyAtOnce = [16, 32];
const loopDelayLimitMs = 10;
const turnOfGoal = 5;

/** Of tokens per second, or of tokens per CPU second (`key`), round by round; null when either was not measured. */
export function ratio({ rounds }, over, under, key = 'tokensPerS') {
  const values = (rounds[over] ?? []).flatMap((result, at) => {
    const other = rounds[under]?.[at]?.[key];
    return result[key] && other ? [result[key] / other] : [];
  });
  return median(values);
}

/** @returns {{goal: string, model: string, parallel: number | null, value: number | null, onCpu: number | null, met: boolean | null}[]} */
export function judge({ model, vocabularySize, cases, queueCase, turns }) {
  const lines = [];
  const line = (goal, parallel, value, met, onCpu = null) =>
    lines.push({ goal, model, parallel, value, onCpu, met: value === null ? null : met(value) });
  const atLeast = (goal, one, over, under, least) =>
    line(goal, one.parallel, ratio(one, over, under), (value) => value >= least, ratio(one, over, under, 'tokensPerCpuS'));
  for (const one of cases) {
    if (manyAtOnce.includes(one.parallel)) {
      atLeast('a/f >= 0.95', one, 'a', 'f', 0.95);
      atLeast('a/c >= 1.5', one, 'a', 'c', 1.5);
      atLeast('a/e >= 1.1', one, 'a', 'e', 1.1);
      const most = entropyCostAt[vocabularySize];
      const plain = one.medians.b?.uncertainty === 'none' ? ratio(one, 'a', 'b') : null;
      const plainCpu = plain === null ? null : ratio(one, 'a', 'b', 'tokensPerCpuS');
      line(
        `entropy <= ${most * 100} %`,
        one.parallel,
        plain === null ? null : 1 - plain,
        (value) => value <= most,
        plainCpu === null ? null : 1 - plainCpu,
      );
    }
    if (one.medians.a) line('event loop p99 < 10 ms', one.parallel, one.medians.a.loopDelayP99Ms, (value) => value < loopDelayLimitMs);
  }
  if (queueCase) atLeast('a/d >= 3, 2 threads', queueCase, 'a', 'd', 3);
  if (turns)
    line(
      'turn 5 >= 5x',
      null,
      turns.find(({ growth, turn }) => growth === 'chat' && turn === turnOfGoal)?.gain ?? null,
      (value) => value >= 5,
    );
  return lines;
}
