// The key-value section of a GGUF file: bounded in every length, kept only as far as anybody needs it.
import { createHash } from 'node:crypto';
import { type ByteSource, GgufFault } from './byte-source.js';

const maxTextBytes = 1 << 20;
const maxTemplateBytes = 4 << 20;
const maxArrayItems = 4 << 20;
/** Arrays of numbers up to this length are kept (one value per layer); longer ones belong to the tokenizer. */
const maxKeptItems = 1_024;

const scalarBytes: Readonly<Record<number, number>> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 };
const u32Type = 4;
const textType = 8;
const arrayType = 9;

export const tokensKey = 'tokenizer.ggml.tokens';

/** Of an array only its length is sure to be kept. */
interface ArrayValue {
  readonly length: number;
  readonly numbers: readonly number[] | null;
  /** Of texts: SHA-256 over them in order, each with its length. */
  readonly hash: string | null;
}

/** All keys of a file. Booleans are 0 and 1. */
export class Metadata {
  private readonly values = new Map<string, number | string | ArrayValue>();

  has(key: string): boolean {
    return this.values.has(key);
  }

  set(key: string, value: number | string | ArrayValue): void {
    this.values.set(key, value);
  }

  /** Null when it is missing, of another type, or not finite. */
  number(key: string): number | null {
    const value = this.values.get(key);
    return typeof value === 'number' && Number.isFinite(value) ? value : null;
  }

  text(key: string): string | null {
    const value = this.values.get(key);
    return typeof value === 'string' ? value : null;
  }

  array(key: string): ArrayValue | null {
    const value = this.values.get(key);
    return typeof value === 'object' ? value : null;
  }

  /** One number per layer, from an array of exactly that length or one number for all. Null when neither is there. */
  perLayer(key: string, layers: number): readonly number[] | null {
    const one = this.number(key);
    if (one !== null) return Array<number>(layers).fill(one);
    const { numbers } = this.array(key) ?? { numbers: null };
    return numbers?.length === layers ? numbers : null;
  }
}

export async function readMetadata(source: ByteSource, keyCount: number): Promise<Metadata> {
  const metadata = new Metadata();
  for (let index = 0; index < keyCount; index += 1) {
    const key = await source.text(`key ${index}`, 65_535);
    if (metadata.has(key)) throw new GgufFault('absurd', `metadata key ${printable(key)} comes twice`);
    const type = await source.u32(`type of ${printable(key)}`);
    // llama.cpp takes this type for granted and aborts on another.
    if (key === 'general.alignment' && type !== u32Type) throw new GgufFault('absurd', `general.alignment has type ${type}`);
    metadata.set(key, type === arrayType ? await readArray(source, key) : await readScalar(source, key, type));
  }
  return metadata;
}

async function readScalar(source: ByteSource, key: string, type: number): Promise<number | string> {
  if (type === textType) return await source.text(printable(key), key.includes('chat_template') ? maxTemplateBytes : maxTextBytes);
  const size = scalarBytes[type];
  if (size === undefined) throw new GgufFault('absurd', `metadata key ${printable(key)} has unknown type ${type}`);
  return numberAt(await source.take(size, printable(key)), 0, type);
}

function numberAt(bytes: Buffer, at: number, type: number): number {
  switch (type) {
    case 0:
    case 7:
      return bytes.readUInt8(at);
    case 1:
      return bytes.readInt8(at);
    case 2:
      return bytes.readUInt16LE(at);
    case 3:
      return bytes.readInt16LE(at);
    case 4:
      return bytes.readUInt32LE(at);
    case 5:
      return bytes.readInt32LE(at);
    case 6:
      return bytes.readFloatLE(at);
    case 10:
      return Number(bytes.readBigUInt64LE(at));
    case 11:
      return Number(bytes.readBigInt64LE(at));
    default:
      return bytes.readDoubleLE(at);
  }
}

/** Arrays of arrays are not used by any known model. */
async function readArray(source: ByteSource, key: string): Promise<ArrayValue> {
  const type = await source.u32(`item type of ${printable(key)}`);
  const length = await source.u64(`length of ${printable(key)}`);
  if (length > maxArrayItems)
    throw new GgufFault('absurd', `${printable(key)} claims ${length} items, at most ${maxArrayItems} are accepted`);
  const size = scalarBytes[type];
  if (size !== undefined) {
    if (length > maxKeptItems) {
      source.skip(size * length, printable(key));
      return { length, numbers: null, hash: null };
    }
    const bytes = await source.take(size * length, printable(key));
    return { length, numbers: Array.from({ length }, (_, index) => numberAt(bytes, index * size, type)), hash: null };
  }
  if (type !== textType) throw new GgufFault('absurd', `${printable(key)} is an array of type ${type}`);
  source.require(8 * length, printable(key));
  const hash = key === tokensKey ? createHash('sha256') : null;
  for (let index = 0; index < length; index += 1) {
    const text = await source.text(`item ${index} of ${printable(key)}`, 65_535);
    hash?.update(`${Buffer.byteLength(text)}:`).update(text);
  }
  return { length, numbers: null, hash: hash?.digest('hex') ?? null };
}

/** Text from a file goes into messages and logs: no control characters (an architecture name can carry terminal escapes), not too long. */
export function printable(text: string): string {
  const clean = text.replaceAll(/[\p{Cc}\p{Cf}\p{Co}\p{Cn}]/gu, '?');
  return clean.length > 80 ? `${clean.slice(0, 80)}...` : clean;
}
