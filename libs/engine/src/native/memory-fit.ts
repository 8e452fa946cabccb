// Whether a version fits into the memory that is free, and if not, which setting would make it fit. Pure.
import type { Fault } from '#libs/base';
import type { ModelFacts } from '../gguf/facts.js';
import { type MemoryNeed, type MemoryPart, type MemoryPlan, memoryNeed } from './memory-need.js';
import { wholeMiB } from './memory-size.js';

/** Null where nobody knows: what is not known refuses nothing. */
export interface FreeMemory {
  readonly hostBytes: number | null;
  readonly gpuBytes: number | null;
}

export interface MemoryFit {
  readonly need: MemoryNeed;
  readonly free: FreeMemory;
  /** Null: not refuted, but something needed for an answer is not known. */
  readonly fits: boolean | null;
  /** Why not, with the settings that would do; null unless `fits` is false. */
  readonly fault: Fault<'version.memory-short'> | null;
}

const leastContextSize = 64;

export function memoryFit(facts: ModelFacts, plan: MemoryPlan, free: FreeMemory): MemoryFit {
  const need = memoryNeed(facts, plan);
  const hostShort = free.hostBytes !== null && need.hostBytes > free.hostBytes;
  const gpuShort = free.gpuBytes !== null && need.gpuBytes > free.gpuBytes;
  if (hostShort || gpuShort) return { need, free, fits: false, fault: shortage(facts, plan, need, free, gpuShort) };
  const known = free.hostBytes !== null && (plan.gpuLayers === 0 || free.gpuBytes !== null) && need.complete;
  return { need, free, fits: known ? true : null, fault: null };
}

interface Setting {
  readonly field: string;
  readonly advice: string;
}

function shortage(
  facts: ModelFacts,
  plan: MemoryPlan,
  need: MemoryNeed,
  free: FreeMemory,
  gpuShort: boolean,
): Fault<'version.memory-short'> {
  const fitsWith = (change: Partial<MemoryPlan>): boolean => {
    const changed = memoryNeed(facts, { ...plan, ...change });
    return changed.hostBytes <= (free.hostBytes ?? Infinity) && changed.gpuBytes <= (free.gpuBytes ?? Infinity);
  };
  const settings = [
    gpuShort ? atMost('gpuLayers', 0, plan.gpuLayers, (gpuLayers) => fitsWith({ gpuLayers })) : null,
    atMost('contextSize', leastContextSize, plan.contextSize, (contextSize) => fitsWith({ contextSize })),
    atMost('parallel', 1, plan.parallel, (parallel) => fitsWith({ parallel, logitRows: plan.logitRows })),
  ].filter((setting) => setting !== null);
  const where = gpuShort ? 'of GPU memory' : 'of memory';
  const needed = gpuShort ? need.gpuBytes : need.hostBytes;
  const there = (gpuShort ? free.gpuBytes : free.hostBytes) ?? 0;
  return {
    code: 'version.memory-short',
    message: `The version needs ${need.complete ? '' : 'at least '}${wholeMiB(needed)} ${where} (${listed(gpuShort ? need.gpu : need.host)}), ${wholeMiB(there)} are free.`,
    // Memory that others give back makes room without a change here.
    retryable: true,
    field: settings[0]?.field ?? 'spec.engine.file',
    remedy:
      settings.length > 0
        ? `Set ${settings.map(({ advice }) => advice).join(', or ')}; or unload other versions.`
        : 'Use a stronger quantisation of the model or a machine with more memory, or unload other versions.',
  };
}

/** The largest value of a setting that is enough; more of it never needs less memory. Null when even the least is too much. */
function atMost(name: string, least: number, current: number, enough: (value: number) => boolean): Setting | null {
  if (!enough(least)) return null;
  let low = least;
  let high = current;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (enough(middle)) low = middle;
    else high = middle;
  }
  return { field: `spec.engine.${name}`, advice: `${name} to at most ${low}` };
}

function listed(part: MemoryPart): string {
  return Object.entries(part)
    .filter(([, bytes]) => bytes > 0)
    .map(([kind, bytes]) => `${kind} ${wholeMiB(bytes)}`)
    .join(', ');
}
