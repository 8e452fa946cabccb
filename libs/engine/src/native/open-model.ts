// Opens a GGUF file for the decode loop: node-llama-cpp brings binaries, tokenizer and chat template, our own calls into the same libllama evaluate.
import { getLlama, type Llama, LlamaLogLevel } from 'node-llama-cpp';
import type { Prompt } from '../engine.js';
import { AddonDecoder, AddonVocabulary } from './addon-decoder.js';
import { type ChatPrompt, chatPromptOf } from './chat-prompt.js';
import type { Decoder, Vocabulary } from './decoder.js';
import type { GrammarState } from './grammar-state.js';
import { bindLibllama, type Libllama } from './libllama/bindings.js';
import { Embedder } from './libllama/embedder.js';
import { CandidateRoom, LibllamaGrammar } from './libllama/grammar.js';
import type { Pointer } from './libllama/layouts.js';
import { LibllamaDecoder } from './libllama/libllama-decoder.js';
import { loadModel, openContext } from './libllama/open-context.js';
import { LibllamaVocabulary } from './libllama/vocabulary.js';
import type { LoadRequest } from './protocol.js';

export interface OpenModel {
  readonly decoder: Decoder;
  readonly vocabulary: Vocabulary;
  /** True: our own calls into libllama. */
  readonly ownLoop: boolean;
  /** Token ids ready to be continued. Text of messages is never read as special tokens. */
  tokenize(prompt: Prompt): number[];
  /** Null: the model has no chat template. */
  readonly chat: ChatPrompt | null;
  /** Null: not to be had (the fall-back has none), or the grammar does not parse. */
  openGrammar(gbnf: string): GrammarState | null;
  readonly embedder: Embedder | null;
}

/** Rejects with the library's message; a native assertion ends the process, which is why this runs in a child. */
export async function openModel(load: LoadRequest): Promise<OpenModel> {
  const llama = await getLlama({
    gpu: load.gpuLayers > 0 ? 'auto' : false,
    build: 'never',
    logLevel: LlamaLogLevel.error,
    maxThreads: load.threads,
  });
  const bound = load.evaluation === 'auto' ? bindLibllama() : null;
  if (bound?.ok) return await openOwn(llama, bound.value, load);
  return await openFallback(llama, load, bound ? bound.fault.message : 'asked for');
}

async function openOwn(llama: Llama, library: Libllama, load: LoadRequest): Promise<OpenModel> {
  const pointer = await loadModel(library, load);
  const context = await openContext(library, pointer, load);
  setAdapters(library, pointer, context.pointer, load);
  const native = library.llama_model_get_vocab(pointer);
  const vocabulary = new LibllamaVocabulary(library, native);
  const model = await llama.loadModel({ modelPath: load.file, vocabOnly: true, gpuLayers: 0 });
  const chat = chatPromptOf(model, vocabulary);
  let room: CandidateRoom | null = null;
  return {
    decoder: new LibllamaDecoder(library, pointer, context, load),
    vocabulary,
    ownLoop: true,
    tokenize: tokenizer(chat, vocabulary),
    chat,
    openGrammar: (gbnf) => {
      room ??= new CandidateRoom(vocabulary.size);
      return LibllamaGrammar.open(library, native, room, gbnf);
    },
    embedder: new Embedder(library, pointer, load),
  };
}

async function openFallback(llama: Llama, load: LoadRequest, reason: string): Promise<OpenModel> {
  const model = await llama.loadModel({ modelPath: load.file, gpuLayers: load.gpuLayers });
  const vocabulary = new AddonVocabulary(model);
  const chat = chatPromptOf(model, vocabulary);
  return {
    decoder: await AddonDecoder.open(llama, model, load, reason),
    vocabulary,
    ownLoop: false,
    tokenize: tokenizer(chat, vocabulary),
    chat,
    openGrammar: () => null,
    embedder: null,
  };
}

function setAdapters(library: Libllama, model: Pointer, context: Pointer, load: LoadRequest): void {
  if (load.lora.length === 0) return;
  const adapters = load.lora.map(({ file }) => {
    const adapter = library.llama_adapter_lora_init(model, file);
    if (!adapter) throw new Error('a LoRA adapter does not fit this model');
    return adapter;
  });
  const scales = Float32Array.from(load.lora, ({ scale }) => scale);
  if (library.llama_set_adapters_lora(context, BigUint64Array.from(adapters), adapters.length, scales) !== 0) {
    throw new Error('the library refused the LoRA adapters');
  }
}

function tokenizer(chat: ChatPrompt | null, vocabulary: Vocabulary): (prompt: Prompt) => number[] {
  return (prompt) => {
    if (prompt.kind === 'tokens') {
      const wrong = prompt.tokens.find((token) => !Number.isInteger(token) || token < 0 || token >= vocabulary.size);
      if (wrong !== undefined) throw new Error(`token ${wrong} is not in the vocabulary of ${vocabulary.size} tokens`);
      return [...prompt.tokens];
    }
    if (prompt.kind === 'text') return vocabulary.tokenize(prompt.text, true);
    if (!chat) throw new Error('the model has no chat template that could be resolved: use /v1/completions');
    return chat.tokens(prompt.messages, [], 'free');
  };
}
