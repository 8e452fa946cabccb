// How much memory a version will take, from its file's header and its spec, before anything is loaded. Pure; held against reality by test/bench/memory.mjs.
import type { ModelFacts } from '../gguf/facts.js';

export interface MemoryPlan {
  /** Positions of one sequence. */
  readonly contextSize: number;
  readonly parallel: number;
  /** Layers on the GPU, from the last one back; above the number of layers the output goes there too. 0: none. */
  readonly gpuLayers: number;
  /** Tokens evaluated at once. */
  readonly batchTokens: number;
  /** Positions of a batch that can have logits. */
  readonly logitRows: number;
  /** Bytes of one element in the cache. */
  readonly keyBytes: number;
  readonly valueBytes: number;
  /** Whether layers with a sliding window keep all positions all the same: needed to cut a sequence back. */
  readonly fullWindow: boolean;
  readonly adapterBytes: number;
}

/** What our own decode loop asks of the library, for a version's spec. */
export function usualPlan(spec: { readonly contextSize: number; readonly parallel: number; readonly gpuLayers: number }): MemoryPlan {
  return {
    contextSize: spec.contextSize,
    parallel: spec.parallel,
    gpuLayers: spec.gpuLayers,
    batchTokens: 512,
    logitRows: Math.min(512, Math.max(spec.parallel, 64)),
    keyBytes: 2,
    valueBytes: 2,
    fullWindow: true,
    adapterBytes: 0,
  };
}

/** Bytes by what they are for. */
export interface MemoryPart {
  readonly weights: number;
  readonly cache: number;
  /** Intermediate results and logits. */
  readonly buffers: number;
  readonly adapters: number;
  /** The process itself: runtime, libraries, driver. */
  readonly process: number;
}

export interface MemoryNeed {
  readonly host: MemoryPart;
  readonly gpu: MemoryPart;
  readonly hostBytes: number;
  readonly gpuBytes: number;
  /** False: the model keeps something whose size the header does not tell, so this is only what it takes at least. */
  readonly complete: boolean;
  /** What the process may show as resident while all is well: file pages that are mapped beside repacked weights count there and cost nothing. */
  readonly residentBytes: number;
}

const cellPadding = 256;
/** Node, node-llama-cpp and libllama without a model (95 MiB measured) and what loading any model adds (10 MiB). */
const processBytes = 105 * 2 ** 20;
/** Vocabulary and merges in native maps and in JavaScript: 650 to 750 bytes per token measured, vocabularies of 2k to 128k. */
const bytesPerToken = 750;
/** A CUDA context and its kernels. Not measured: no GPU was at hand. */
const gpuProcessBytes = 512 * 2 ** 20;
/** Live intermediate results of a batch, in units of its widest row: 3.2 to 3.9 measured on llama models of 2M to 300M parameters. */
const widestRows = 4;

export function memoryNeed(facts: ModelFacts, plan: MemoryPlan): MemoryNeed {
  const layers = facts.blockCount;
  // The library puts the output first, then the last layers.
  const firstOnGpu = plan.gpuLayers > 0 ? Math.max(0, layers + 1 - plan.gpuLayers) : layers;
  const outputOnGpu = plan.gpuLayers > 0;
  const gpuShare = (layers - firstOnGpu) / layers;
  const sum = (values: readonly number[], from: number, to: number): number =>
    values.slice(from, to).reduce((total, one) => total + one, 0);
  const { byLayer, outputBytes, restBytes } = facts.weights;
  const tied = facts.tensorBytes === sum(byLayer, 0, layers) + restBytes;
  const gpuWeights = sum(byLayer, firstOnGpu, layers) + (outputOnGpu ? outputBytes : 0);
  const hostWeights = sum(byLayer, 0, firstOnGpu) + restBytes + (outputOnGpu || tied ? 0 : outputBytes);
  const cache = cacheByLayer(facts, plan);
  const buffers = bufferBytes(facts, plan);
  const logits = plan.logitRows * (facts.vocabularySize ?? 0) * 4;
  const host: MemoryPart = {
    weights: hostWeights,
    cache: sum(cache ?? [], 0, firstOnGpu),
    // Logits come back to the host wherever they were computed.
    buffers: logits + (plan.gpuLayers > layers ? 0 : buffers),
    adapters: Math.round(plan.adapterBytes * (1 - gpuShare)),
    process: processBytes + (facts.vocabularySize ?? 0) * bytesPerToken,
  };
  const gpu: MemoryPart =
    plan.gpuLayers > 0
      ? {
          weights: gpuWeights,
          cache: sum(cache ?? [], firstOnGpu, layers),
          buffers,
          adapters: Math.round(plan.adapterBytes * gpuShare),
          process: gpuProcessBytes,
        }
      : { weights: 0, cache: 0, buffers: 0, adapters: 0, process: 0 };
  const hostBytes = total(host);
  return {
    host,
    gpu,
    hostBytes,
    gpuBytes: total(gpu),
    complete: cache !== null && !facts.recurrent && facts.vocabularySize !== null,
    residentBytes: hostBytes + facts.tensorBytes,
  };
}

function total(part: MemoryPart): number {
  return part.weights + part.cache + part.buffers + part.adapters + part.process;
}

/** Positions that all sequences together can hold. */
export function cacheCells(plan: Pick<MemoryPlan, 'contextSize' | 'parallel'>): number {
  return Math.ceil((plan.contextSize * plan.parallel) / cellPadding) * cellPadding;
}

/** Null when the header does not tell heads and their lengths. */
function cacheByLayer(facts: ModelFacts, plan: MemoryPlan): readonly number[] | null {
  const { kvHeadsByLayer, keyLength, valueLength, slidingWindow } = facts;
  if (kvHeadsByLayer === null || keyLength === null || valueLength === null) return null;
  const cells = cacheCells(plan);
  const inWindow = slidingWindow
    ? Math.ceil(Math.min(cells, slidingWindow.positions * plan.parallel + plan.batchTokens) / cellPadding) * cellPadding
    : cells;
  return kvHeadsByLayer.map((heads, layer) => {
    const held = !plan.fullWindow && slidingWindow?.layers[layer] ? inWindow : cells;
    return held * heads * (keyLength * plan.keyBytes + valueLength * plan.valueBytes);
  });
}

/** The compute graph of one batch: its widest rows, the logits it computes, and the mask over the cache. */
function bufferBytes(facts: ModelFacts, plan: MemoryPlan): number {
  const widest = Math.max(facts.feedForwardLength ?? 0, 3 * (facts.embeddingLength ?? 0));
  const experts = facts.experts?.usedPerToken ?? 1;
  const rows = plan.batchTokens * widest * experts * 4 * widestRows;
  const logits = plan.logitRows * (facts.vocabularySize ?? 0) * 4;
  const mask = plan.batchTokens * cacheCells(plan) * 4;
  return rows + logits + mask;
}
