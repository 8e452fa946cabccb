// Participant (f): what the library itself can do. The same batches, decoded in a bare loop: no sampling, no text, no messages.
import { openBatch, openLibllama } from './libllama.mjs';
import { cpuSeconds, figures } from './measure.mjs';
import { participate } from './participant.mjs';
import { pieceAt } from './prompts.mjs';

const batchTokens = 512;
const noMapping = 0;

participate(async ({ file, parallel, contextSize, threads, unified }) => {
  const library = await openLibllama();
  // Without the mapping all weights are repacked for this processor's instructions.
  const model = library.llama_model_load_from_file(file, {
    ...library.llama_model_default_params(),
    n_gpu_layers: 0,
    load_mode: noMapping,
  });
  if (!model) throw new Error(`the library cannot load ${file}`);
  const context = library.llama_init_from_model(model, {
    ...library.llama_context_default_params(),
    n_ctx: contextSize * parallel,
    n_batch: batchTokens,
    n_ubatch: batchTokens,
    n_seq_max: parallel,
    n_threads: threads,
    n_threads_batch: threads,
    kv_unified: unified,
    no_perf: true,
  });
  if (!context) throw new Error('the library cannot make the context');
  if (threads > 1) library.attachThreadPool(context, threads);
  const memory = library.llama_get_memory(context);
  const fill = openBatch(batchTokens);

  const decode = (rows) => {
    const code = library.llama_decode(context, fill(rows));
    if (code !== 0) throw new Error(`llama_decode answered ${code}`);
    // Waits for the computation, as everyone must who wants the logits.
    library.llama_synchronize(context);
  };

  const together = ({ requests }) => {
    library.llama_memory_clear(memory, false);
    const prompts = requests.flatMap(({ tokens }, sequence) =>
      tokens.map((token, position) => [sequence, position, token, position === tokens.length - 1]),
    );
    const ttftMs = [];
    const gapsMs = [];
    let outputTokens = 0;
    const cpuBefore = cpuSeconds(process.pid);
    const startMs = performance.now();
    for (let at = 0; at < prompts.length; at += batchTokens) {
      const rows = prompts.slice(at, at + batchTokens);
      decode(rows);
      for (const [, , , last] of rows) {
        if (!last) continue;
        ttftMs.push(performance.now() - startMs);
        outputTokens += 1;
      }
    }
    for (let step = 1; step < requests[0].outputTokens; step += 1) {
      const stepMs = performance.now();
      decode(requests.map(({ tokens }, sequence) => [sequence, tokens.length + step - 1, pieceAt(sequence * 31 + step * 7_919), true]));
      outputTokens += requests.length;
      const gapMs = performance.now() - stepMs;
      for (let i = 0; i < requests.length; i += 1) gapsMs.push(gapMs);
    }
    const wallMs = performance.now() - startMs;
    return { ...figures({ outputTokens, wallMs, cpuS: cpuSeconds(process.pid) - cpuBefore, ttftMs, gapsMs }), occupancy: 1 };
  };
  return { runs: { together } };
});
