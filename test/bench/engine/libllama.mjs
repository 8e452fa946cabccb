// The few calls of libllama that the bare loop needs. Self-contained, so that the limit does not depend on the engine it is the limit of.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import koffi from 'koffi';

koffi.struct('bench_batch', {
  n_tokens: 'int32_t',
  token: 'void *',
  embd: 'void *',
  pos: 'void *',
  n_seq_id: 'void *',
  seq_id: 'void *',
  logits: 'void *',
});

koffi.struct('bench_model_params', {
  devices: 'void *',
  tensor_buft_overrides: 'void *',
  n_gpu_layers: 'int32_t',
  split_mode: 'int32_t',
  load_mode: 'int32_t',
  lazy_mode: 'int32_t',
  main_gpu: 'int32_t',
  tensor_split: 'void *',
  progress_callback: 'void *',
  progress_callback_user_data: 'void *',
  kv_overrides: 'void *',
  vocab_only: 'bool',
  check_tensors: 'bool',
  use_extra_bufts: 'bool',
  no_host: 'bool',
  no_alloc: 'bool',
  load_mtp: 'bool',
});

koffi.struct('bench_context_params', {
  n_ctx: 'uint32_t',
  n_batch: 'uint32_t',
  n_ubatch: 'uint32_t',
  n_seq_max: 'uint32_t',
  n_rs_seq: 'uint32_t',
  n_outputs_max: 'uint32_t',
  n_outputs_max_per_seq: 'uint32_t',
  n_threads: 'int32_t',
  n_threads_batch: 'int32_t',
  ctx_type: 'int32_t',
  rope_scaling_type: 'int32_t',
  pooling_type: 'int32_t',
  attention_type: 'int32_t',
  flash_attn_type: 'int32_t',
  rope_freq_base: 'float',
  rope_freq_scale: 'float',
  yarn_ext_factor: 'float',
  yarn_attn_factor: 'float',
  yarn_beta_fast: 'float',
  yarn_beta_slow: 'float',
  yarn_orig_ctx: 'uint32_t',
  defrag_thold: 'float',
  cb_eval: 'void *',
  cb_eval_user_data: 'void *',
  type_k: 'int32_t',
  type_v: 'int32_t',
  abort_callback: 'void *',
  abort_callback_data: 'void *',
  embeddings: 'bool',
  offload_kqv: 'bool',
  no_perf: 'bool',
  op_offload: 'bool',
  swa_full: 'bool',
  kv_unified: 'bool',
  samplers: 'void *',
  n_samplers: 'size_t',
  ctx_other: 'void *',
});

/** More than ggml_threadpool_params has. */
const poolParamsBytes = 1_024;

const silence = koffi.proto('void bench_log(int level, const char *text, void *data)');

/** The CPU libraries that node-llama-cpp ships for this machine, and the calls bound to them. */
export async function openLibllama() {
  const name = `${process.platform}-${process.arch}`;
  const { getBinsDir } = await import(`@node-llama-cpp/${name}`);
  const folder = join(getBinsDir().binsDir, name);
  const find = (pattern) => koffi.load(join(folder, readdirSync(folder).find((file) => pattern.test(file)) ?? ''));
  const llama = find(/^libllama\.(?!.*common)/);
  const quiet = koffi.register(() => undefined, koffi.pointer(silence));
  llama.func('void llama_log_set(void *callback, void *data)')(quiet, null);
  const base = find(/^libggml-base/);
  find(/^libggml\.v/).func('void ggml_backend_load_all_from_path(const char *folder)')(folder);
  llama.func('void llama_backend_init()')();
  const calls = [
    'bench_model_params llama_model_default_params()',
    'bench_context_params llama_context_default_params()',
    'void *llama_model_load_from_file(const char *path, bench_model_params params)',
    'void *llama_init_from_model(void *model, bench_context_params params)',
    'void *llama_get_memory(void *context)',
    'void llama_memory_clear(void *memory, bool data)',
    'int32_t llama_decode(void *context, bench_batch batch)',
    'void llama_synchronize(void *context)',
  ];
  const bound = Object.fromEntries(calls.map((call) => [/(\w+)\(/.exec(call)[1], llama.func(call)]));
  return { ...bound, attachThreadPool: (context, threads) => attachThreadPool({ folder, llama, base }, context, threads) };
}

/** Without a pool of its own a context starts and joins threads in every step. */
function attachThreadPool({ folder, llama, base }, context, threads) {
  // Which of the CPU back ends was chosen is known only from what the process has loaded.
  const loaded = readFileSync('/proc/self/maps', 'utf8');
  const name = readdirSync(folder).find((file) => file.startsWith('libggml-cpu') && loaded.includes(file));
  const params = new Uint8Array(poolParamsBytes);
  base.func('void ggml_threadpool_params_init(_Inout_ uint8_t *params, int threads)')(params, threads);
  const pool = koffi.load(join(folder, name)).func('void *ggml_threadpool_new(uint8_t *params)')(params);
  llama.func('void llama_attach_threadpool(void *context, void *pool, void *batchPool)')(context, pool, pool);
}

/** A batch of up to `capacity` tokens in native memory; `write` fills it from [sequence, position, token, wanted] rows. */
export function openBatch(capacity) {
  const ints = () => {
    const pointer = koffi.alloc('int32_t', capacity);
    return [pointer, new Int32Array(koffi.view(pointer, capacity * 4))];
  };
  const [token, tokens] = ints();
  const [pos, positions] = ints();
  const [counts, ones] = ints();
  const [ids, sequences] = ints();
  ones.fill(1);
  const pointers = koffi.alloc('uint64_t', capacity);
  const perToken = new BigUint64Array(koffi.view(pointers, capacity * 8));
  for (let i = 0; i < capacity; i += 1) perToken[i] = koffi.address(ids) + BigInt(i * 4);
  const flags = koffi.alloc('int8_t', capacity);
  const wanted = new Int8Array(koffi.view(flags, capacity));
  return (rows) => {
    rows.forEach(([sequence, position, id, want], at) => {
      tokens[at] = id;
      positions[at] = position;
      sequences[at] = sequence;
      wanted[at] = want ? 1 : 0;
    });
    return { n_tokens: rows.length, token, embd: null, pos, n_seq_id: counts, seq_id: pointers, logits: flags };
  };
}
