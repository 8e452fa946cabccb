// What a model file says of its model: the facts that screens show, that memory is estimated from and that versions are compared by. Pure.
import { createHash } from 'node:crypto';
import { fileTypeName } from './file-types.js';
import { type Metadata, printable, tokensKey } from './metadata.js';
import { type SlidingWindow, slidingWindowOf } from './sliding-window.js';
import type { TensorTable } from './tensors.js';

/** Null where the file does not say. Lengths count elements. */
export interface ModelFacts {
  readonly architecture: string;
  readonly name: string | null;
  readonly blockCount: number;
  /** Positions the model was trained for. */
  readonly contextLength: number | null;
  readonly embeddingLength: number | null;
  readonly feedForwardLength: number | null;
  /** Of the layer with most. */
  readonly headCount: number | null;
  /** Key-value heads of each layer, 0 for a layer without attention. */
  readonly kvHeadsByLayer: readonly number[] | null;
  /** Elements of one head's key and value. */
  readonly keyLength: number | null;
  readonly valueLength: number | null;
  readonly vocabularySize: number | null;
  /** SHA-256 over the token texts in order; null when the file carries no tokenizer. */
  readonly vocabularyHash: string | null;
  /** As in `gpt2`, `llama`. */
  readonly tokenizerModel: string | null;
  /** How text is split before the tokenizer's merges, as in `llama-bpe`. */
  readonly tokenizerPreset: string | null;
  readonly hasChatTemplate: boolean;
  /** SHA-256 of the template's text: versions with equal hashes see the same prompt. */
  readonly chatTemplateHash: string | null;
  /** What the converter called the mixture of tensor types, as in `Q4_K_M`. */
  readonly fileType: string | null;
  /** Bytes per tensor type, as in `{F16: 4000000}`. */
  readonly quantisation: Readonly<Record<string, number>>;
  /** The types with most bytes, as in `Q4_K 78%, Q6_K 20%`. */
  readonly quantisationSummary: string;
  readonly parameterCount: number;
  readonly tensorBytes: number;
  readonly weights: WeightBytes;
  readonly rope: RopeFacts;
  readonly slidingWindow: SlidingWindow | null;
  readonly experts: { readonly count: number; readonly usedPerToken: number | null } | null;
  /** Some layers keep a state instead of keys and values: their memory is not estimated. */
  readonly recurrent: boolean;
}

/** Where weights can lie: layers one by one on a GPU, the output with them when all are, the rest on the host. */
export interface WeightBytes {
  readonly byLayer: readonly number[];
  /** The output projection; equal to the embedding where the model uses that for both. */
  readonly outputBytes: number;
  readonly restBytes: number;
}

export interface RopeFacts {
  readonly dimensionCount: number | null;
  readonly frequencyBase: number | null;
  /** As in `linear`, `yarn`. */
  readonly scaling: string | null;
  readonly scalingFactor: number | null;
  readonly originalContextLength: number | null;
}

const shownTypes = 3;

/** `architecture` and `blockCount` have been checked by the caller. */
export function modelFacts(metadata: Metadata, tensors: TensorTable, architecture: string, blockCount: number): ModelFacts {
  const number = (key: string): number | null => metadata.number(`${architecture}.${key}`);
  const most = (key: string): number | null => {
    const values = metadata.perLayer(`${architecture}.${key}`, blockCount);
    return values ? Math.max(...values) : null;
  };
  const tokens = metadata.array(tokensKey);
  const template = metadata.text('tokenizer.chat_template');
  const fileType = metadata.number('general.file_type');
  const headCount = most('attention.head_count');
  const embeddingLength = number('embedding_length');
  const headLength = embeddingLength !== null && headCount !== null && headCount > 0 ? embeddingLength / headCount : null;
  const expertCount = number('expert_count');
  const quantisation = bytesByType(tensors);
  return {
    architecture,
    name: shown(metadata, 'general.name'),
    blockCount,
    contextLength: number('context_length'),
    embeddingLength,
    feedForwardLength: most('feed_forward_length'),
    headCount,
    kvHeadsByLayer:
      metadata.perLayer(`${architecture}.attention.head_count_kv`, blockCount) ??
      metadata.perLayer(`${architecture}.attention.head_count`, blockCount),
    keyLength: number('attention.key_length') ?? headLength,
    valueLength: number('attention.value_length') ?? headLength,
    vocabularySize: tokens?.length ?? number('vocab_size'),
    vocabularyHash: tokens?.hash ?? null,
    tokenizerModel: shown(metadata, 'tokenizer.ggml.model'),
    tokenizerPreset: shown(metadata, 'tokenizer.ggml.pre'),
    hasChatTemplate: metadata.has('tokenizer.chat_template'),
    chatTemplateHash: template === null ? null : createHash('sha256').update(template).digest('hex'),
    fileType: fileType === null ? null : fileTypeName(fileType),
    quantisation,
    quantisationSummary: summary(quantisation),
    parameterCount: [...tensors.values()].reduce((sum, tensor) => sum + tensor.elements, 0),
    tensorBytes: [...tensors.values()].reduce((sum, tensor) => sum + tensor.bytes, 0),
    weights: weightBytes(tensors, blockCount),
    rope: {
      dimensionCount: number('rope.dimension_count'),
      frequencyBase: number('rope.freq_base'),
      scaling: shown(metadata, `${architecture}.rope.scaling.type`),
      scalingFactor: number('rope.scaling.factor'),
      originalContextLength: number('rope.scaling.original_context_length'),
    },
    slidingWindow: slidingWindowOf(metadata, architecture, blockCount),
    experts: expertCount !== null && expertCount > 0 ? { count: expertCount, usedPerToken: number('expert_used_count') } : null,
    recurrent: number('ssm.state_size') !== null || number('wkv.head_size') !== null || number('ssm.conv_kernel') !== null,
  };
}

function shown(metadata: Metadata, key: string): string | null {
  const text = metadata.text(key);
  return text === null ? null : printable(text);
}

function bytesByType(tensors: TensorTable): Readonly<Record<string, number>> {
  const byType: Record<string, number> = {};
  for (const { type, bytes } of tensors.values()) byType[type] = (byType[type] ?? 0) + bytes;
  return byType;
}

function summary(byType: Readonly<Record<string, number>>): string {
  const total = Object.values(byType).reduce((sum, bytes) => sum + bytes, 0);
  return Object.entries(byType)
    .toSorted(([, one], [, other]) => other - one)
    .slice(0, shownTypes)
    .map(([type, bytes]) => `${type} ${Math.round((100 * bytes) / total)}%`)
    .join(', ');
}

function weightBytes(tensors: TensorTable, blockCount: number): WeightBytes {
  const byLayer = Array<number>(blockCount).fill(0);
  let outputBytes: number | null = null;
  let restBytes = 0;
  for (const [name, { bytes }] of tensors) {
    const layer = Number(/^(?:enc\.|dec\.)?blk\.(\d{1,4})\./.exec(name)?.[1] ?? Number.NaN);
    if (layer < blockCount) byLayer[layer] = (byLayer[layer] ?? 0) + bytes;
    else if (name === 'output.weight') outputBytes = bytes;
    else restBytes += bytes;
  }
  return { byLayer, outputBytes: outputBytes ?? tensors.get('token_embd.weight')?.bytes ?? 0, restBytes };
}
