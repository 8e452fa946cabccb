// Takes a sound GGUF file apart into keys and tensors and writes it back, changed: what hostile files are made from.

/** A metadata entry; `bytes` is the value as it lies in the file, without its type. */
export interface GgufEntry {
  readonly key: string;
  readonly type: number;
  readonly bytes: Buffer;
}

export interface GgufTensorData {
  readonly name: string;
  readonly shape: readonly number[];
  /** ggml type number. */
  readonly type: number;
  readonly data: Buffer;
}

export interface GgufContent {
  readonly entries: readonly GgufEntry[];
  readonly tensors: readonly GgufTensorData[];
}

/** What the writer claims beside the truth. */
export interface GgufClaims {
  readonly version?: number;
  readonly tensorCount?: bigint;
  readonly keyCount?: bigint;
  /** Offset of a tensor by its index, instead of the place where its data lies. */
  readonly offsets?: Readonly<Record<number, bigint>>;
}

const scalarBytes: Readonly<Record<number, number>> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 };
const alignment = 32;

export const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
};
export const u64 = (value: bigint | number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
  return bytes;
};
export const f32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
};
export const text = (value: string | Buffer): Buffer => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);
export const texts = (values: readonly string[]): Buffer => Buffer.concat([u32(8), u64(values.length), ...values.map(text)]);

/** The parts of a file that is known to be sound (version 3, tensors in the order of their data). */
export function readGguf(file: Buffer): GgufContent {
  let at = 8;
  const pass = (bytes: number): number => {
    at += bytes;
    return at - bytes;
  };
  const count = (): number => Number(file.readBigUInt64LE(pass(8)));
  const word = (): number => file.readUInt32LE(pass(4));
  const tensorCount = count();
  const keyCount = count();
  const string = (): string => {
    const length = count();
    const start = pass(length);
    return file.toString('utf8', start, start + length);
  };
  const passValue = (type: number): void => {
    if (type === 8) string();
    else pass(scalarBytes[type] ?? 0);
  };
  const entries = Array.from({ length: keyCount }, (): GgufEntry => {
    const key = string();
    const type = word();
    const start = at;
    if (type === 9) {
      const itemType = word();
      for (let left = count(); left > 0; left -= 1) passValue(itemType);
    } else passValue(type);
    return { key, type, bytes: file.subarray(start, at) };
  });
  const infos = Array.from({ length: tensorCount }, () => {
    const name = string();
    const shape = Array.from({ length: word() }, count);
    return { name, shape, type: word(), offset: count() };
  });
  const dataAt = Math.ceil(at / alignment) * alignment;
  const ends = infos.map((_, index) => dataAt + (infos[index + 1]?.offset ?? file.length - dataAt));
  return {
    entries,
    tensors: infos.map(({ offset, ...info }, index) => ({ ...info, data: file.subarray(dataAt + offset, ends[index]) })),
  };
}

export function writeGguf({ entries, tensors }: GgufContent, claims: GgufClaims = {}): Buffer {
  let end = 0;
  const infos = tensors.map(({ name, shape, type, data }, index) => {
    const offset = end;
    end += Math.ceil(data.length / alignment) * alignment;
    return [text(name), u32(shape.length), ...shape.map(u64), u32(type), u64(claims.offsets?.[index] ?? offset)];
  });
  const head = Buffer.concat([
    Buffer.from('GGUF'),
    u32(claims.version ?? 3),
    u64(claims.tensorCount ?? tensors.length),
    u64(claims.keyCount ?? entries.length),
    ...entries.flatMap(({ key, type, bytes }) => [text(key), u32(type), bytes]),
    ...infos.flat(),
  ]);
  return Buffer.concat([padded(head), ...tensors.map(({ data }) => padded(data))]);
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((alignment - (bytes.length % alignment)) % alignment)]);
}

/** The content with one metadata entry replaced or added at the end. */
export function withEntry(content: GgufContent, key: string, type: number, bytes: Buffer): GgufContent {
  const entry = { key, type, bytes };
  const known = content.entries.some((one) => one.key === key);
  return { ...content, entries: known ? content.entries.map((one) => (one.key === key ? entry : one)) : [...content.entries, entry] };
}

export function withoutEntry(content: GgufContent, key: string): GgufContent {
  return { ...content, entries: content.entries.filter((entry) => entry.key !== key) };
}

/** The content with one tensor changed; null leaves it out. */
export function withTensor(content: GgufContent, name: string, change: Partial<GgufTensorData> | null): GgufContent {
  if (!content.tensors.some((tensor) => tensor.name === name)) throw new Error(`there is no tensor ${name}`);
  return {
    ...content,
    tensors: content.tensors.flatMap((tensor) => (tensor.name === name ? (change === null ? [] : [{ ...tensor, ...change }]) : [tensor])),
  };
}
