// node-llama-cpp as a Decoder: it brings the binaries, the model, tokenizer and chat template; batches are filled by us through its binding.
import {
  type ChatHistoryItem,
  getLlama,
  type LlamaContext,
  LlamaLogLevel,
  type LlamaModel,
  resolveChatWrapper,
  type Token,
} from 'node-llama-cpp';
import type { ChatMessage } from '../engine.js';
import type { BatchPart, Decoder } from './decode-loop.js';
import type { RankedLogits } from './next-token.js';
import type { LoadRequest } from './protocol.js';

/** The part of the library's native context that we drive. Internal there: the package is pinned exactly and `openModel` checks the shape. */
interface NativeContext {
  initBatch(size: number): void;
  addToBatch(sequence: number, firstPosition: number, tokens: Uint32Array, logitIndexes: Uint32Array): Uint32Array;
  decodeBatch(): Promise<void>;
  sampleToken(
    batchLogitIndex: number,
    sampler: NativeSampler,
    probabilities: boolean,
    confidence: boolean,
    logits: boolean,
    totalWeight: boolean,
  ): Promise<[token: number, probabilities: undefined, confidence: undefined, logits: number[] | undefined]>;
  disposeSequence(sequence: number): void;
}

interface NativeSampler {
  applyConfig(config: { temperature: number }): void;
}

export interface OpenModel extends Decoder {
  /** Token ids of a chat, begin token first, ready for the assistant's turn. Text of messages is never read as special tokens. */
  tokenizeChat(messages: readonly ChatMessage[]): number[];
}

const batchTokens = 512;

function nativeContext(context: LlamaContext): NativeContext {
  const native = (context as unknown as { _ctx?: Partial<NativeContext> })._ctx;
  for (const name of ['initBatch', 'addToBatch', 'decodeBatch', 'sampleToken', 'disposeSequence'] as const) {
    if (typeof native?.[name] !== 'function')
      throw new Error(`this release of node-llama-cpp has no native ${name}; install the pinned one`);
  }
  return native as NativeContext;
}

/** A greedy sampler of the library leaves the logits it reports raw: nothing scales, cuts or penalises them. */
function greedySampler(llama: unknown, model: LlamaModel): NativeSampler {
  const Sampler = (llama as { _bindings?: { AddonSampler?: new (model: unknown) => NativeSampler } })._bindings?.AddonSampler;
  if (!Sampler) throw new Error('this release of node-llama-cpp has no native sampler; install the pinned one');
  const sampler = new Sampler((model as unknown as { _model: unknown })._model);
  sampler.applyConfig({ temperature: 0 });
  return sampler;
}

/** Loads the file. Rejects with the library's message; a native assertion ends the process, which is why this runs in a child. */
export async function openModel(load: LoadRequest): Promise<OpenModel> {
  const llama = await getLlama({
    gpu: load.gpuLayers > 0 ? 'auto' : false,
    build: 'never',
    logLevel: LlamaLogLevel.error,
    maxThreads: load.threads,
  });
  const model = await llama.loadModel({ modelPath: load.file, gpuLayers: load.gpuLayers });
  const context = await model.createContext({
    contextSize: load.contextSize,
    sequences: load.parallel,
    batchSize: batchTokens,
    threads: load.threads,
  });
  const native = nativeContext(context);
  // One sampler per slot: sampling of different slots runs on different threads at once.
  const samplers = Array.from({ length: load.parallel }, () => greedySampler(llama, model));
  const wrapper = resolveChatWrapper(model);
  if (!wrapper) throw new Error('the model has no chat template that could be resolved');
  const begin = model.tokens.bos;
  return {
    slots: load.parallel,
    contextSize: context.contextSize,
    batchSize: batchTokens,
    isEnd: (token) => model.isEogToken(token as Token),
    detokenize: (tokens, before) => model.detokenize(tokens as Token[], false, before as Token[]),
    tokenizeChat: (messages) => {
      const { contextText } = wrapper.generateContextState({ chatHistory: chatHistory(messages) });
      const tokens: number[] = contextText.tokenize(model.tokenizer);
      return begin !== null && model.tokens.shouldPrependBosToken && tokens[0] !== begin ? [begin, ...tokens] : tokens;
    },
    clear: (slot) => native.disposeSequence(slot),
    decode: async (parts) => await decode(native, samplers, parts),
  };
}

async function decode(
  native: NativeContext,
  samplers: readonly NativeSampler[],
  parts: readonly BatchPart[],
): Promise<(RankedLogits | null)[]> {
  native.initBatch(parts.reduce((sum, part) => sum + part.tokens.length, 0));
  const indexes = parts.map((part) => {
    const wanted = part.wanted ? Uint32Array.of(part.tokens.length - 1) : new Uint32Array(0);
    return native.addToBatch(part.slot, part.position, Uint32Array.from(part.tokens), wanted)[0];
  });
  await native.decodeBatch();
  return await Promise.all(
    indexes.map(async (index, at) => {
      const sampler = samplers[parts[at]?.slot ?? -1];
      if (index === undefined || !sampler) return null;
      const [, , , logits] = await native.sampleToken(index, sampler, false, false, true, false);
      if (!logits || logits.length === 0) throw new Error('the model gave no logits');
      return logits;
    }),
  );
}

/** OpenAI roles in the library's words, with an open assistant turn at the end. */
function chatHistory(messages: readonly ChatMessage[]): ChatHistoryItem[] {
  return [...messages.map(turnOf), { type: 'model', response: [] }];
}

function turnOf({ role, content }: ChatMessage): ChatHistoryItem {
  if (role === 'system' || role === 'developer') return { type: 'system', text: content };
  if (role === 'assistant') return { type: 'model', response: [content] };
  return { type: 'user', text: content };
}
