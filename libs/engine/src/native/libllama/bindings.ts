// libllama's C functions as typed calls, bound only after the library proved to be the pinned one.
import koffi from 'koffi';
import { fail, type Outcome, ok } from '#libs/base';
import { findLoadedLibraries } from './find-library.js';
import { type Batch, type ContextParams, firstMismatch, layouts, type ModelParams, type Pointer } from './layouts.js';

const pinnedVersion = '0.5.0-dev';

type Asynchronous<A extends unknown[], R> = ((...args: A) => R) & {
  readonly async: (...args: [...A, (error: Error | null, result: R) => void]) => void;
};

/** The calls we make; names are the library's. */
export interface Libllama {
  llama_version(): string;
  llama_model_default_params(): ModelParams;
  llama_context_default_params(): ContextParams;
  readonly llama_model_load_from_file: Asynchronous<[string, ModelParams], Pointer>;
  readonly llama_init_from_model: Asynchronous<[Pointer, ContextParams], Pointer>;
  llama_model_get_vocab(model: Pointer): Pointer;
  llama_model_n_embd_out(model: Pointer): number;
  llama_model_is_recurrent(model: Pointer): boolean;
  llama_model_is_hybrid(model: Pointer): boolean;
  llama_free(context: Pointer): void;
  llama_n_ctx(context: Pointer): number;
  llama_n_batch(context: Pointer): number;
  llama_n_seq_max(context: Pointer): number;
  llama_get_memory(context: Pointer): Pointer;
  llama_memory_seq_rm(memory: Pointer, slot: number, from: number, to: number): boolean;
  llama_memory_seq_cp(memory: Pointer, from: number, to: number, begin: number, end: number): void;
  readonly llama_decode: Asynchronous<[Pointer, Batch], number>;
  llama_get_logits(context: Pointer): Pointer;
  llama_get_embeddings_seq(context: Pointer, slot: number): Pointer;
  llama_pooling_type(context: Pointer): number;
  llama_vocab_n_tokens(vocabulary: Pointer): number;
  llama_vocab_is_eog(vocabulary: Pointer, token: number): boolean;
  llama_vocab_get_add_bos(vocabulary: Pointer): boolean;
  llama_vocab_bos(vocabulary: Pointer): number;
  llama_token_to_piece(vocabulary: Pointer, token: number, into: Uint8Array, length: number, strip: number, special: boolean): number;
  llama_tokenize(
    vocabulary: Pointer,
    text: Uint8Array,
    length: number,
    into: Int32Array,
    capacity: number,
    addSpecial: boolean,
    parseSpecial: boolean,
  ): number;
  llama_adapter_lora_init(model: Pointer, path: string): Pointer;
  llama_set_adapters_lora(context: Pointer, adapters: BigUint64Array, count: number, scales: Float32Array): number;
  llama_sampler_init_grammar(vocabulary: Pointer, grammar: string, root: string): Pointer;
  llama_sampler_apply(sampler: Pointer, candidates: Pointer): void;
  llama_sampler_accept(sampler: Pointer, token: number): void;
  llama_sampler_free(sampler: Pointer): void;
  memcpy(into: Float32Array, from: Pointer, bytes: number): unknown;
  llama_attach_threadpool(context: Pointer, pool: Pointer, batchPool: Pointer): void;
  ggml_threadpool_params_default(threads: number): Record<string, unknown>;
  ggml_threadpool_new(params: Record<string, unknown>): Pointer;
}

const llamaFunctions = [
  'const char *llama_version()',
  'llama_model_params llama_model_default_params()',
  'llama_context_params llama_context_default_params()',
  'void *llama_model_load_from_file(const char *path, llama_model_params params)',
  'void *llama_init_from_model(void *model, llama_context_params params)',
  'void *llama_model_get_vocab(void *model)',
  'int32_t llama_model_n_embd_out(void *model)',
  'bool llama_model_is_recurrent(void *model)',
  'bool llama_model_is_hybrid(void *model)',
  'void llama_free(void *context)',
  'uint32_t llama_n_ctx(void *context)',
  'uint32_t llama_n_batch(void *context)',
  'uint32_t llama_n_seq_max(void *context)',
  'void *llama_get_memory(void *context)',
  'bool llama_memory_seq_rm(void *memory, int32_t slot, int32_t from, int32_t to)',
  'void llama_memory_seq_cp(void *memory, int32_t from, int32_t to, int32_t begin, int32_t end)',
  'int32_t llama_decode(void *context, llama_batch batch)',
  'void *llama_get_logits(void *context)',
  'void *llama_get_embeddings_seq(void *context, int32_t slot)',
  'int32_t llama_pooling_type(void *context)',
  'int32_t llama_vocab_n_tokens(void *vocabulary)',
  'bool llama_vocab_is_eog(void *vocabulary, int32_t token)',
  'bool llama_vocab_get_add_bos(void *vocabulary)',
  'int32_t llama_vocab_bos(void *vocabulary)',
  'int32_t llama_token_to_piece(void *vocabulary, int32_t token, _Out_ uint8_t *into, int32_t length, int32_t strip, bool special)',
  'int32_t llama_tokenize(void *vocabulary, const uint8_t *text, int32_t length, _Out_ int32_t *into, int32_t capacity, bool addSpecial, bool parseSpecial)',
  'void *llama_adapter_lora_init(void *model, const char *path)',
  'int32_t llama_set_adapters_lora(void *context, const uint64_t *adapters, size_t count, const float *scales)',
  'void *llama_sampler_init_grammar(void *vocabulary, const char *grammar, const char *root)',
  'void llama_sampler_apply(void *sampler, void *candidates)',
  'void llama_sampler_accept(void *sampler, int32_t token)',
  'void llama_sampler_free(void *sampler)',
  'void *memcpy(_Out_ float *into, const void *from, size_t bytes)',
  'void llama_attach_threadpool(void *context, void *pool, void *batchPool)',
];

/**
 * Binds the library that node-llama-cpp has loaded into this process (call `getLlama` first). A fault says which part of the proof failed:
 * a wrong layout would corrupt memory silently, so nothing is tried without it.
 */
export function bindLibllama(): Outcome<Libllama> {
  const refuse = (message: string): Outcome<never> => fail({ code: 'libllama.mismatch', message });
  const loaded = findLoadedLibraries();
  if (!loaded) return refuse('no libllama with shared ggml libraries was found in this process');
  try {
    const llama = koffi.load(loaded.llama);
    const base = koffi.load(loaded.ggmlBase);
    const cpu = koffi.load(loaded.ggmlCpu);
    const bound: Record<string, unknown> = {};
    for (const definition of llamaFunctions) bound[nameOf(definition)] = llama.func(definition);
    bound['ggml_threadpool_params_default'] = base.func('ggml_threadpool_params ggml_threadpool_params_default(int32_t threads)');
    bound['ggml_threadpool_new'] = cpu.func('void *ggml_threadpool_new(ggml_threadpool_params *params)');
    const library = bound as unknown as Libllama;
    const version = library.llama_version();
    if (version !== pinnedVersion) return refuse(`libllama is ${version}, our layouts are those of ${pinnedVersion}`);
    const wrong =
      firstMismatch('model', library.llama_model_default_params()) ?? firstMismatch('context', library.llama_context_default_params());
    if (wrong) return refuse(wrong);
    if (koffi.sizeof(layouts.batch) !== 56) return refuse('a batch does not have 56 bytes on this platform');
    return ok(library);
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

function nameOf(definition: string): string {
  return /(\w+)\(/.exec(definition)?.[1] ?? definition;
}
