// Evaluation through node-llama-cpp's own binding: what serves where our calls into libllama do not fit the platform. Slower, same numbers.
import type { Llama, LlamaContext, LlamaModel, Token } from 'node-llama-cpp';
import { type BatchPart, DecodeError, type Decoder, type Vocabulary } from './decoder.js';
import type { LoadRequest } from './protocol.js';
import { tokenBytes } from './token-bytes.js';

/** The part of the library's native context that we drive. Internal there: the package is pinned exactly and the shape is checked. */
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
  removeTokenCellsFromSequence(sequence: number, from: number, to: number): boolean;
  disposeSequence(sequence: number): void;
}

interface NativeSampler {
  applyConfig(config: { temperature: number }): void;
}

const batchTokens = 512;
const rows = 64;

function nativeContext(context: LlamaContext): NativeContext {
  const native = (context as unknown as { _ctx?: Partial<NativeContext> })._ctx;
  for (const name of [
    'initBatch',
    'addToBatch',
    'decodeBatch',
    'sampleToken',
    'disposeSequence',
    'removeTokenCellsFromSequence',
  ] as const) {
    if (typeof native?.[name] !== 'function')
      throw new Error(`this release of node-llama-cpp has no native ${name}; install the pinned one`);
  }
  return native as NativeContext;
}

/** A greedy sampler of the library leaves the logits it reports raw: nothing scales, cuts or penalises them. */
function greedySampler(llama: Llama, model: LlamaModel): NativeSampler {
  const Sampler = (llama as unknown as { _bindings?: { AddonSampler?: new (model: unknown) => NativeSampler } })._bindings?.AddonSampler;
  if (!Sampler) throw new Error('this release of node-llama-cpp has no native sampler; install the pinned one');
  const sampler = new Sampler((model as unknown as { _model: unknown })._model);
  sampler.applyConfig({ temperature: 0 });
  return sampler;
}

export class AddonDecoder implements Decoder {
  readonly evaluation: string;
  readonly slots: number;
  readonly contextSize: number;
  readonly cells: number;
  readonly sharesPrefixes = false;
  readonly cuts = 'any';
  readonly batchSize = batchTokens;
  readonly maxRows = rows;
  /** [token, logit, token, logit ...] per wanted position of the last batch. */
  private ranked: number[][] = [];

  private constructor(
    private readonly native: NativeContext,
    private readonly sampler: NativeSampler,
    contextSize: number,
    parallel: number,
    reason: string,
  ) {
    this.slots = parallel;
    this.contextSize = contextSize;
    this.cells = contextSize * parallel;
    this.evaluation = `node-llama-cpp's own evaluation (${reason})`;
  }

  static async open(llama: Llama, model: LlamaModel, load: LoadRequest, reason: string): Promise<AddonDecoder> {
    const lora = { adapters: load.lora.map(({ file, scale }) => ({ filePath: file, scale })) };
    const context = await model.createContext({
      contextSize: load.contextSize,
      sequences: load.parallel,
      batchSize: batchTokens,
      threads: load.threads,
      ...(load.lora.length > 0 ? { lora } : {}),
    });
    return new AddonDecoder(nativeContext(context), greedySampler(llama, model), context.contextSize, load.parallel, reason);
  }

  async decode(parts: readonly BatchPart[]): Promise<void> {
    this.native.initBatch(parts.reduce((sum, part) => sum + part.tokens.length, 0));
    const indexes = parts.flatMap(({ slot, position, tokens, wanted }) => {
      const count = tokens.length;
      const places =
        wanted === 'all'
          ? Uint32Array.from({ length: count }, (_, i) => i)
          : wanted === 'last'
            ? Uint32Array.of(count - 1)
            : new Uint32Array(0);
      return Array.from(this.native.addToBatch(slot, position, Uint32Array.from(tokens), places));
    });
    try {
      await this.native.decodeBatch();
    } catch (error) {
      throw new DecodeError('failed', error instanceof Error ? error.message : String(error));
    }
    this.ranked = [];
    for (const index of indexes) {
      const [, , , logits] = await this.native.sampleToken(index, this.sampler, false, false, true, false);
      if (!logits || logits.length === 0) throw new DecodeError('failed', 'the model gave no logits');
      this.ranked.push(logits);
    }
  }

  copyLogits(row: number, into: Float32Array): void {
    const ranked = this.ranked[row];
    if (!ranked) throw new Error(`no logits for row ${row}`);
    for (let i = 0; i < ranked.length; i += 2) into[ranked[i] ?? 0] = ranked[i + 1] ?? Number.NEGATIVE_INFINITY;
  }

  truncate(slot: number, tokens: number): boolean {
    const cut = this.native.removeTokenCellsFromSequence(slot, tokens, -1);
    if (!cut) this.clear(slot);
    return cut;
  }

  share(): never {
    throw new Error('sequences of node-llama-cpp share no cells');
  }

  clear(slot: number): void {
    this.native.disposeSequence(slot);
  }
}

/** The vocabulary of a model that node-llama-cpp holds; bytes come from the token table of the file. */
export class AddonVocabulary implements Vocabulary {
  readonly size: number;
  private readonly texts: readonly string[];
  private readonly kind: string;

  constructor(private readonly model: LlamaModel) {
    const tokenizer = (model.fileInfo.metadata as { tokenizer?: { ggml?: { tokens?: readonly string[]; model?: string } } }).tokenizer
      ?.ggml;
    this.texts = tokenizer?.tokens ?? [];
    this.size = this.texts.length;
    this.kind = tokenizer?.model ?? '';
  }

  isEnd(token: number): boolean {
    return this.model.isEogToken(token as Token);
  }

  bytes(token: number): Uint8Array {
    return this.model.isSpecialToken(token as Token) ? new Uint8Array(0) : tokenBytes(this.texts[token] ?? '', this.kind);
  }

  spelling(token: number): Uint8Array {
    return tokenBytes(this.texts[token] ?? '', this.kind);
  }

  tokenize(text: string, begin: boolean): number[] {
    const tokens: number[] = this.model.tokenize(text, false);
    const { bos } = this.model.tokens;
    return begin && bos !== null && this.model.tokens.shouldPrependBosToken ? [bos, ...tokens] : tokens;
  }
}
