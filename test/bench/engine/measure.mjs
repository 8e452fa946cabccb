// Clocks of a run: when each token came, what the process that computes has burnt, what remains of it in one line of figures.
import { readFileSync } from 'node:fs';

const ticksPerS = 100;

/** CPU seconds, user and system, of a process and all its threads. */
export function cpuSeconds(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name in parentheses may hold blanks; fields count from behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerS;
}

export function percentile(values, share) {
  if (values.length === 0) return null;
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? null;
}

export function median(values) {
  if (values.length === 0) return null;
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Asks all requests, together or one after the other, and times every token.
 * @param {{requests: {tokens: number[], outputTokens: number}[], together: boolean, pid: number,
 *   ask: (request: object, index: number, onToken: () => void) => Promise<void>}} run
 */
export async function timeRequests({ requests, together, pid, ask }) {
  const ttftMs = [];
  const gapsMs = [];
  let outputTokens = 0;
  const startMs = performance.now();
  const cpuBefore = cpuSeconds(pid);
  const one = async (request, index) => {
    const askedMs = performance.now();
    let lastMs = null;
    await ask(request, index, () => {
      const nowMs = performance.now();
      if (lastMs === null) ttftMs.push(nowMs - askedMs);
      else gapsMs.push(nowMs - lastMs);
      lastMs = nowMs;
      outputTokens += 1;
    });
  };
  if (together) await Promise.all(requests.map(one));
  else for (const [index, request] of requests.entries()) await one(request, index);
  const wallMs = performance.now() - startMs;
  return figures({ outputTokens, wallMs, cpuS: cpuSeconds(pid) - cpuBefore, ttftMs, gapsMs });
}

/** The columns that every participant reports. */
export function figures({ outputTokens, wallMs, cpuS, ttftMs, gapsMs }) {
  return {
    outputTokens,
    tokensPerS: (outputTokens / wallMs) * 1_000,
    tokensPerCpuS: cpuS > 0 ? outputTokens / cpuS : null,
    ttftP50Ms: percentile(ttftMs, 0.5),
    ttftP99Ms: percentile(ttftMs, 0.99),
    gapP50Ms: percentile(gapsMs, 0.5),
    gapP99Ms: percentile(gapsMs, 0.99),
  };
}
