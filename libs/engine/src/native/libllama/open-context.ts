// Loads a GGUF file and makes a context by libllama's own calls, on worker threads so that the process keeps answering meanwhile.
import type { LoadRequest } from '../protocol.js';
import type { Libllama } from './bindings.js';
import type { ContextParams, Pointer } from './layouts.js';

const batchTokens = 512;
/** Positions of one batch that can have logits beyond one per slot: what scoring reads at once (128k vocabulary: 33 MB). */
const scoredRows = 64;
const kvPadding = 256;
/**
 * Up to so many cells all sequences share one cache, so that prefixes can be shared and any set of sequences makes one batch. Every token
 * then looks past the cells of all others (split caches decode 3 to 17% faster at 4,096 cells, measured); beyond, each sequence has its own.
 */
const mostSharedCells = 32_768;
/** LLAMA_LOAD_MODE_NONE: weights in memory of their own decode 5 to 15% faster than mapped file pages (measured on CPU). */
const loadUnmapped = 0;

/** Resolves to the model; rejects when the library refuses the file. */
export async function loadModel(library: Libllama, load: LoadRequest): Promise<Pointer> {
  const defaults = library.llama_model_default_params();
  const params = { ...defaults, n_gpu_layers: load.gpuLayers, ...(load.gpuLayers === 0 ? { load_mode: loadUnmapped } : {}) };
  const model = await new Promise<Pointer>((done, failed) => {
    library.llama_model_load_from_file.async(load.file, params, (error, result) => (error ? failed(error) : done(result)));
  });
  if (!model) throw new Error('the library cannot load this file as a model');
  return model;
}

export interface Context {
  readonly pointer: Pointer;
  readonly memory: Pointer;
  readonly cells: number;
  readonly batchSize: number;
  readonly maxRows: number;
  /** One cache for all sequences. */
  readonly unified: boolean;
}

/** One context for all slots. `overrides` serve contexts for other purposes, as embeddings are. */
export async function openContext(library: Libllama, model: Pointer, load: LoadRequest, overrides: ContextParams = {}): Promise<Context> {
  const cells = Math.ceil((load.contextSize * load.parallel) / kvPadding) * kvPadding;
  const batchSize = Math.min(batchTokens, cells);
  const unified = load.parallel === 1 || cells <= mostSharedCells;
  const maxRows = Math.min(batchSize, Math.max(load.parallel, scoredRows));
  const params: ContextParams = {
    ...library.llama_context_default_params(),
    // Split caches have equal parts: each is padded by itself.
    n_ctx: unified ? cells : Math.ceil(load.contextSize / kvPadding) * kvPadding * load.parallel,
    n_batch: batchSize,
    n_ubatch: batchSize,
    n_seq_max: load.parallel,
    n_outputs_max: maxRows,
    n_outputs_max_per_seq: maxRows,
    n_threads: load.threads,
    n_threads_batch: load.threads,
    kv_unified: unified,
    ...overrides,
  };
  const pointer = await new Promise<Pointer>((done, failed) => {
    library.llama_init_from_model.async(model, params, (error, result) => (error ? failed(error) : done(result)));
  });
  if (!pointer) throw new Error(`the library cannot make a context of ${params['n_ctx']} cells: memory does not suffice`);
  // The last part of the layout proof: what we asked for is what the library understood.
  if (library.llama_n_batch(pointer) !== params['n_batch'] || library.llama_n_seq_max(pointer) !== params['n_seq_max']) {
    throw new Error('the library understood other context parameters than were given: its layout differs');
  }
  if (load.threads > 1) {
    // Without a pool of its own the library starts and joins threads in every step.
    const pool = library.ggml_threadpool_new(library.ggml_threadpool_params_default(load.threads));
    library.llama_attach_threadpool(pointer, pool, pool);
  }
  return { pointer, memory: library.llama_get_memory(pointer), cells: library.llama_n_ctx(pointer), batchSize, maxRows, unified };
}
