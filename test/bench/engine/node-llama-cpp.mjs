// Participant (c): node-llama-cpp as its documentation uses it: one context with n sequences, its own batching, no option changed but sizes.
import { getLlama, LlamaLogLevel } from 'node-llama-cpp';
import { timeRequests } from './measure.mjs';
import { participate } from './participant.mjs';

const batchTokens = 512;

participate(async ({ file, parallel, contextSize, threads }) => {
  const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error, maxThreads: threads });
  const model = await llama.loadModel({ modelPath: file, gpuLayers: 0 });
  const context = await model.createContext({ contextSize, sequences: parallel, batchSize: batchTokens, threads });
  const sequences = Array.from({ length: parallel }, () => context.getSequence());
  const batches = countBatches(context);

  const together = async ({ requests }) => {
    for (const sequence of sequences) await sequence.clearHistory();
    batches.reset();
    const result = await timeRequests({
      requests,
      together: true,
      pid: process.pid,
      ask: async ({ tokens, outputTokens }, index, onToken) => {
        let count = 0;
        for await (const token of sequences[index].evaluate(tokens, { temperature: 0 })) {
          model.detokenize([token]);
          onToken();
          count += 1;
          if (count === outputTokens) break;
        }
      },
    });
    return { ...result, occupancy: batches.sequencesPerDecode() === null ? null : batches.sequencesPerDecode() / requests.length };
  };
  // Not disposed of: with sequences open that may wait for ever, and the end of the process frees all.
  return { runs: { together } };
});

/** Looks on, changes nothing: how many sequences were in each batch. */
function countBatches(context) {
  const native = context._ctx;
  let decodes = 0;
  let parts = 0;
  const onCall = (name, count) => {
    const original = native?.[name];
    if (typeof original !== 'function') return;
    const value = (...args) => {
      count();
      return original.apply(native, args);
    };
    Object.defineProperty(native, name, { value });
  };
  onCall('addToBatch', () => {
    parts += 1;
  });
  onCall('decodeBatch', () => {
    decodes += 1;
  });
  return {
    reset() {
      decodes = 0;
      parts = 0;
    },
    sequencesPerDecode: () => (decodes > 0 ? parts / decodes : null),
  };
}
