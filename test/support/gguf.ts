// Writes small GGUF files, sound ones and hostile ones: what specs of the header and of its faults are made from.

/** A metadata value with its GGUF type; `raw` writes bytes as they are after the type number. */
export type GgufValue =
  | { readonly type: 'u32'; readonly value: number }
  | { readonly type: 'u64'; readonly value: bigint }
  | { readonly type: 'f32'; readonly value: number }
  | { readonly type: 'text'; readonly value: string }
  | { readonly type: 'texts'; readonly value: readonly string[] }
  | { readonly type: 'raw'; readonly number: number; readonly bytes: Uint8Array };

export interface GgufTensor {
  readonly name: string;
  readonly dimensions: readonly (number | bigint)[];
  /** ggml type number: 0 = F32. */
  readonly type: number;
  readonly offset: number;
}

export interface GgufFile {
  readonly magic?: string;
  readonly version?: number;
  /** As claimed; default: as many as there are. */
  readonly tensorCount?: bigint;
  readonly keyCount?: bigint;
  readonly metadata?: readonly (readonly [string, GgufValue])[];
  readonly tensors?: readonly GgufTensor[];
  readonly dataBytes?: number;
  readonly alignment?: number;
}

export const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
export const u64 = (value: bigint | number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};
export const text = (value: string): Buffer => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);

function valueBytes(value: GgufValue): Buffer {
  switch (value.type) {
    case 'u32':
      return Buffer.concat([u32(4), u32(value.value)]);
    case 'u64':
      return Buffer.concat([u32(10), u64(value.value)]);
    case 'f32': {
      const bytes = Buffer.alloc(4);
      bytes.writeFloatLE(value.value);
      return Buffer.concat([u32(6), bytes]);
    }
    case 'text':
      return Buffer.concat([u32(8), text(value.value)]);
    case 'texts':
      return Buffer.concat([u32(9), u32(8), u64(value.value.length), ...value.value.map(text)]);
    case 'raw':
      return Buffer.concat([u32(value.number), value.bytes]);
  }
}

export const soundTensors: readonly GgufTensor[] = [
  { name: 'token_embd.weight', dimensions: [4, 2], type: 0, offset: 0 },
  { name: 'blk.0.attn_q.weight', dimensions: [4, 4], type: 0, offset: 32 },
];

/** A sound header of a llama model of one layer with two F32 tensors; `more` replaces parts of it. */
export function ggufBytes(more: GgufFile = {}): Buffer {
  const metadata = more.metadata ?? soundMetadata;
  const tensors = more.tensors ?? soundTensors;
  const head = Buffer.concat([
    Buffer.from(more.magic ?? 'GGUF', 'latin1'),
    u32(more.version ?? 3),
    u64(more.tensorCount ?? tensors.length),
    u64(more.keyCount ?? metadata.length),
    ...metadata.flatMap(([key, value]) => [text(key), valueBytes(value)]),
    ...tensors.flatMap((tensor) => [
      text(tensor.name),
      u32(tensor.dimensions.length),
      ...tensor.dimensions.map(u64),
      u32(tensor.type),
      u64(tensor.offset),
    ]),
  ]);
  const alignment = more.alignment ?? 32;
  const padding = Buffer.alloc((alignment - (head.length % alignment)) % alignment);
  return Buffer.concat([head, padding, Buffer.alloc(more.dataBytes ?? 96)]);
}

export const soundMetadata: readonly (readonly [string, GgufValue])[] = [
  ['general.architecture', { type: 'text', value: 'llama' }],
  ['general.name', { type: 'text', value: 'tiny' }],
  ['llama.block_count', { type: 'u32', value: 1 }],
  ['llama.context_length', { type: 'u32', value: 128 }],
  ['llama.embedding_length', { type: 'u32', value: 4 }],
  ['llama.attention.head_count', { type: 'u32', value: 1 }],
  ['tokenizer.ggml.tokens', { type: 'texts', value: ['<s>', 'a'] }],
];

/** The sound metadata with one key replaced or added. */
export function metadataWith(key: string, value: GgufValue): (readonly [string, GgufValue])[] {
  return [...soundMetadata.filter(([name]) => name !== key), [key, value]];
}
