// All checks as one e-value: a weighted average, valid under any dependence between them, and which of them carry it.
import type { CheckName } from '#libs/base';
import { type LatencyCheckName, latencyChecks } from './check-latency.js';
import { type FrozenScores, pooledClass } from './frozen-scores.js';
import type { CheckOptions } from './judgement.js';
import type { Measured } from './measured.js';
import { surprise } from './surprise.js';

/** e = 20: enough to say that entropy's centre moved, where its tails alone have decided. */
const ownEvidence = Math.log(20);

type Weighted = Exclude<keyof CheckOptions, 'memory'>;

/**
 * Weights of the checks, adding up to 1 (or all 0). They depend on the plan and on what was frozen before the first live response, on nothing that came
 * later: the average of e-processes is one only if its weights are fixed in advance. So a check that has no answers yet keeps its weight with e = 1:
 * handing it to the others while it is silent would let the data choose the weights. A check that can never be measured, because stable's
 * reference held no value of it, is known before exposure and gives its weight to the others.
 */
export function weightsOf(
  checks: CheckOptions,
  asked: readonly CheckName[],
  scores: FrozenScores | null,
): Partial<Record<CheckName, number>> {
  // The three latencies share the plan's one weight.
  const latencies = asked.filter((check) => isLatency(check) && measurable(check, scores)).length;
  const own = (check: CheckName): number => {
    if (!measurable(check, scores)) return 0;
    if (isLatency(check)) return checks.latency.weight / latencies;
    return check in checks && check !== 'memory' ? checks[check as Weighted].weight : 0;
  };
  const total = asked.reduce((sum, check) => sum + own(check), 0);
  return Object.fromEntries(asked.map((check) => [check, total > 0 ? own(check) / total : 0]));
}

function isLatency(check: CheckName): check is LatencyCheckName {
  return Object.hasOwn(latencyChecks, check);
}

/** Whether the frozen scores leave a check anything to see. Without scores nothing is known yet, and every check keeps its weight. */
function measurable(check: CheckName, scores: FrozenScores | null): boolean {
  if (!scores) return true;
  if (check === 'entropy') return surprise(scores) !== null;
  if (check === 'length') return Object.hasOwn(scores.length, pooledClass);
  if (check === 'cost') return scores.cost !== undefined && Object.hasOwn(scores.cost, pooledClass);
  if (isLatency(check)) return scores.latency?.[latencyChecks[check]] !== null;
  return true;
}

/**
 * Every check whose weighted e-value alone reaches the threshold; when only their average does, the one that carries most of it. A centre that moved
 * moves its tails: then entropy is named and not its shape. All of them only name what the average has decided.
 */
export function failingChecks(
  measured: readonly Measured[],
  weights: Partial<Record<CheckName, number>>,
  threshold: number,
  share: Partial<Record<CheckName, number>>,
): CheckName[] {
  const alone = measured
    .filter((one) => one.measured && one.logE + Math.log(weights[one.check] ?? 0) >= threshold)
    .map(({ check }) => check);
  const largest = largestShare(share);
  const failing = alone.length > 0 ? alone : largest ? [largest] : [];
  if (!failing.includes('shape') || !centreMoved(measured)) return failing;
  return [...new Set(failing.map((check) => (check === 'shape' ? ('entropy' as const) : check)))];
}

/** Entropy's own evidence, the same way as the tail's. */
function centreMoved(measured: readonly Measured[]): boolean {
  const shape = measured.find(({ check }) => check === 'shape');
  const entropy = measured.find(({ check }) => check === 'entropy');
  if (!entropy?.measured || entropy.logE < ownEvidence) return false;
  return (shape?.direction === 'high' && entropy.direction === 'up') || (shape?.direction === 'low' && entropy.direction === 'down');
}

function largestShare(share: Partial<Record<CheckName, number>>): CheckName | null {
  let best: CheckName | null = null;
  for (const check of Object.keys(share) as CheckName[]) {
    if (best === null || (share[check] ?? 0) > (share[best] ?? 0)) best = check;
  }
  return best;
}
