// Averages of e-values in logs: a mixture over a grid, or over checks, is again an e-value.

/** ln of the weighted mean of exp(logs); weights default to equal and should sum to 1. Stable for any size of logs. */
export function logMeanExp(logs: readonly number[], weights?: readonly number[]): number {
  if (logs.length === 0) throw new Error('the mean of no e-values');
  const equal = 1 / logs.length;
  const largest = Math.max(...logs);
  if (largest === -Infinity) return -Infinity;
  let sum = 0;
  for (let i = 0; i < logs.length; i += 1) {
    const weight = weights ? (weights[i] ?? 0) : equal;
    if (weight > 0) sum += weight * Math.exp((logs[i] ?? -Infinity) - largest);
  }
  return largest + Math.log(sum);
}

/** ln of the mean of exp of a part of an array, in order; the same as `logMeanExp` of the part, without a copy. -Infinity when all are. */
export function logMeanExpOf(logs: Float64Array, from = 0, to = logs.length): number {
  let largest = -Infinity;
  for (let at = from; at < to; at += 1) largest = Math.max(largest, logs[at] ?? -Infinity);
  if (largest === -Infinity) return -Infinity;
  let sum = 0;
  for (let at = from; at < to; at += 1) sum += Math.exp((logs[at] ?? -Infinity) - largest);
  return largest + Math.log(sum / (to - from));
}

/** Weighted average of e-values over checks: dominates weighted Bonferroni under any dependence. `share` is each check's part of the total. */
export function combine<Name extends string>(
  logE: Readonly<Partial<Record<Name, number>>>,
  weights?: Readonly<Partial<Record<Name, number>>>,
): { readonly logE: number; readonly share: Partial<Record<Name, number>> } {
  const names = (Object.keys(logE) as Name[]).sort();
  const weightOf = (name: Name): number => (weights ? (weights[name] ?? 0) : 1 / names.length);
  const total = logMeanExp(
    names.map((name) => logE[name] ?? 0),
    names.map(weightOf),
  );
  const share: Partial<Record<Name, number>> = {};
  for (const name of names) share[name] = weightOf(name) * Math.exp((logE[name] ?? 0) - total);
  return { logE: total, share };
}
