// Our own strict look at a GGUF header before any native code sees the file: a 574-byte file can abort llama.cpp, a 24-byte one can make a lenient reader spin.
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { fail, type Outcome, ok } from '#libs/base';
import { ByteSource, GgufFault } from './byte-source.js';
import { tensorBytes, tensorTypeName } from './tensor-types.js';

export interface GgufHeader {
  readonly architecture: string;
  readonly name: string | null;
  readonly blockCount: number;
  readonly contextLength: number | null;
  readonly embeddingLength: number | null;
  readonly headCount: number | null;
  readonly vocabularySize: number | null;
  /** SHA-256 over the token texts in order; null when the file carries no tokenizer. */
  readonly vocabularyHash: string | null;
  readonly hasChatTemplate: boolean;
  /** Bytes per tensor type, as in `{F16: 4000000}`. */
  readonly quantisation: Readonly<Record<string, number>>;
  readonly fileBytes: number;
  readonly tensorBytes: number;
}

const maxHeaderBytes = 64 << 20;
const maxKeys = 4_096;
const maxTensors = 65_536;
const maxBlocks = 512;
const maxTextBytes = 1 << 20;
const maxTemplateBytes = 4 << 20;
const maxArrayItems = 4 << 20;
const maxDimensions = 4;

const scalarBytes: Readonly<Record<number, number>> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 };
const textType = 8;
const arrayType = 9;

type Metadata = Map<string, number | string>;

/** Reads and checks the header. Faults: `gguf.unreadable`, `gguf.not-gguf`, `gguf.truncated`, `gguf.absurd`. Bounded in memory and time. */
export async function readGgufHeader(path: string): Promise<Outcome<GgufHeader>> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => error);
  if (file instanceof Error) {
    return fail({
      code: 'gguf.unreadable',
      message: `The model file cannot be read (${file.code ?? file.message}).`,
      field: 'spec.engine.file',
      remedy: 'Check that the file exists under a model root of the gateway and that its user may read it.',
    });
  }
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw new GgufFault('not-gguf', 'it is not a plain file');
    return ok(await parse(new ByteSource(file, stat.size, Math.min(stat.size, maxHeaderBytes)), stat.size));
  } catch (error) {
    if (!(error instanceof GgufFault)) throw error;
    const remedy =
      error.kind === 'truncated'
        ? 'Copy the file again and compare its size and SHA-256 with the source.'
        : 'Use a GGUF file (version 2 or 3) made by a current converter.';
    return fail({ code: `gguf.${error.kind}`, message: `Not a sound GGUF file: ${error.message}.`, field: 'spec.engine.file', remedy });
  } finally {
    await file.close();
  }
}

async function parse(source: ByteSource, fileBytes: number): Promise<GgufHeader> {
  if (fileBytes < 24) throw new GgufFault(fileBytes >= 4 ? 'truncated' : 'not-gguf', `it has only ${fileBytes} bytes`);
  if ((await source.take(4, 'magic')).toString('latin1') !== 'GGUF') throw new GgufFault('not-gguf', 'the first four bytes are not "GGUF"');
  const version = await source.u32('version');
  if (version !== 2 && version !== 3) throw new GgufFault('not-gguf', `its format version is ${version}`);
  const tensorCount = await source.u64('tensor count');
  const keyCount = await source.u64('metadata count');
  if (tensorCount > maxTensors) throw new GgufFault('absurd', `it claims ${tensorCount} tensors, at most ${maxTensors} are accepted`);
  if (keyCount > maxKeys) throw new GgufFault('absurd', `it claims ${keyCount} metadata keys, at most ${maxKeys} are accepted`);

  const metadata: Metadata = new Map();
  let vocabulary: { size: number; hash: string } | null = null;
  for (let index = 0; index < keyCount; index += 1) {
    const key = await source.text(`key ${index}`, 65_535);
    if (metadata.has(key)) throw new GgufFault('absurd', `metadata key ${printable(key)} comes twice`);
    const type = await source.u32(`type of ${printable(key)}`);
    if (type === arrayType) {
      const tokens = await readArray(source, key);
      if (tokens) vocabulary = tokens;
      metadata.set(key, '[array]');
    } else {
      metadata.set(key, await readScalar(source, key, type));
    }
  }
  const alignment = numberOf(metadata, 'general.alignment') ?? 32;
  if (alignment < 1 || alignment > 65_536 || (alignment & (alignment - 1)) !== 0)
    throw new GgufFault('absurd', `general.alignment is ${alignment}`);
  const tensors = await readTensors(source, tensorCount, alignment, fileBytes);
  return describe(metadata, vocabulary, tensors, fileBytes);
}

async function readScalar(source: ByteSource, key: string, type: number): Promise<number | string> {
  if (type === textType) return await source.text(printable(key), key.includes('chat_template') ? maxTemplateBytes : maxTextBytes);
  const size = scalarBytes[type];
  if (size === undefined) throw new GgufFault('absurd', `metadata key ${printable(key)} has unknown type ${type}`);
  const bytes = await source.take(size, printable(key));
  switch (type) {
    case 0:
    case 7:
      return bytes.readUInt8(0);
    case 1:
      return bytes.readInt8(0);
    case 2:
      return bytes.readUInt16LE(0);
    case 3:
      return bytes.readInt16LE(0);
    case 4:
      return bytes.readUInt32LE(0);
    case 5:
      return bytes.readInt32LE(0);
    case 6:
      return bytes.readFloatLE(0);
    case 10:
      return Number(bytes.readBigUInt64LE(0));
    case 11:
      return Number(bytes.readBigInt64LE(0));
    default:
      return bytes.readDoubleLE(0);
  }
}

/** Walks an array; for the tokenizer's tokens it returns their number and hash. Arrays of arrays are not used by any known model. */
async function readArray(source: ByteSource, key: string): Promise<{ size: number; hash: string } | null> {
  const type = await source.u32(`item type of ${printable(key)}`);
  const length = await source.u64(`length of ${printable(key)}`);
  if (length > maxArrayItems)
    throw new GgufFault('absurd', `${printable(key)} claims ${length} items, at most ${maxArrayItems} are accepted`);
  const size = scalarBytes[type];
  if (size !== undefined) {
    source.skip(size * length, printable(key));
    return null;
  }
  if (type !== textType) throw new GgufFault('absurd', `${printable(key)} is an array of type ${type}`);
  source.require(8 * length, printable(key));
  const hash = createHash('sha256');
  for (let index = 0; index < length; index += 1) {
    const text = await source.text(`item ${index} of ${printable(key)}`, 65_535);
    hash.update(`${Buffer.byteLength(text)}:`).update(text);
  }
  return key === 'tokenizer.ggml.tokens' ? { size: length, hash: hash.digest('hex') } : null;
}

async function readTensors(source: ByteSource, count: number, alignment: number, fileBytes: number): Promise<Map<string, number>> {
  const byType = new Map<string, number>();
  const ends: { name: string; end: number }[] = [];
  for (let index = 0; index < count; index += 1) {
    const name = await source.text(`name of tensor ${index}`, 1_024);
    const dimensions = await source.u32(`dimensions of ${printable(name)}`);
    if (dimensions < 1 || dimensions > maxDimensions)
      throw new GgufFault('absurd', `tensor ${printable(name)} has ${dimensions} dimensions`);
    let elements = 1;
    for (let axis = 0; axis < dimensions; axis += 1) {
      elements *= await source.u64(`dimension ${axis} of ${printable(name)}`);
      if (!(elements > 0) || elements > Number.MAX_SAFE_INTEGER)
        throw new GgufFault('absurd', `tensor ${printable(name)} has ${elements} elements`);
    }
    const type = await source.u32(`type of ${printable(name)}`);
    const offset = await source.u64(`offset of ${printable(name)}`);
    const bytes = tensorBytes(type, elements);
    if (bytes === null) throw new GgufFault('absurd', `tensor ${printable(name)} has unknown type ${type}`);
    if (offset % alignment !== 0) throw new GgufFault('absurd', `tensor ${printable(name)} is not aligned`);
    byType.set(tensorTypeName(type), (byType.get(tensorTypeName(type)) ?? 0) + bytes);
    ends.push({ name, end: offset + bytes });
  }
  const dataAt = Math.ceil(source.at / alignment) * alignment;
  for (const { name, end } of ends) {
    if (dataAt + end > fileBytes)
      throw new GgufFault('truncated', `tensor ${printable(name)} ends at byte ${dataAt + end}, the file has ${fileBytes}`);
  }
  return byType;
}

function describe(
  metadata: Metadata,
  vocabulary: { size: number; hash: string } | null,
  tensors: Map<string, number>,
  fileBytes: number,
): GgufHeader {
  const architecture = metadata.get('general.architecture');
  if (typeof architecture !== 'string' || !/^[a-z0-9][a-z0-9._-]{0,63}$/i.test(architecture)) {
    throw new GgufFault('absurd', `general.architecture is ${architecture === undefined ? 'missing' : printable(String(architecture))}`);
  }
  const blockCount = numberOf(metadata, `${architecture}.block_count`);
  if (blockCount === null || !Number.isInteger(blockCount) || blockCount < 1 || blockCount > maxBlocks) {
    throw new GgufFault('absurd', `${architecture}.block_count is ${blockCount ?? 'missing'}, 1 to ${maxBlocks} are accepted`);
  }
  const name = metadata.get('general.name');
  return {
    architecture,
    name: typeof name === 'string' ? printable(name) : null,
    blockCount,
    contextLength: numberOf(metadata, `${architecture}.context_length`),
    embeddingLength: numberOf(metadata, `${architecture}.embedding_length`),
    headCount: numberOf(metadata, `${architecture}.attention.head_count`),
    vocabularySize: vocabulary?.size ?? null,
    vocabularyHash: vocabulary?.hash ?? null,
    hasChatTemplate: metadata.has('tokenizer.chat_template'),
    quantisation: Object.fromEntries(tensors),
    fileBytes,
    tensorBytes: [...tensors.values()].reduce((sum, bytes) => sum + bytes, 0),
  };
}

function numberOf(metadata: Metadata, key: string): number | null {
  const value = metadata.get(key);
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** Text from a file goes into messages and logs: no control characters (an architecture name can carry terminal escapes), not too long. */
function printable(text: string): string {
  const clean = text.replaceAll(/[\p{Cc}\p{Cf}\p{Co}\p{Cn}]/gu, '?');
  return clean.length > 80 ? `${clean.slice(0, 80)}...` : clean;
}
