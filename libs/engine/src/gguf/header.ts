// Our own strict look at a GGUF header before any native code sees the file: a 574-byte file can abort llama.cpp, a 24-byte one can make a lenient reader spin.
import { open } from 'node:fs/promises';
import { fail, type Outcome, ok } from '#libs/base';
import { ByteSource, GgufFault } from './byte-source.js';
import { type ModelFacts, modelFacts } from './facts.js';
import { type LoraFacts, loraFacts } from './lora.js';
import { type Metadata, printable, readMetadata } from './metadata.js';
import { checkModel } from './soundness.js';
import { readTensors, type TensorTable } from './tensors.js';

export interface GgufHeader extends ModelFacts {
  readonly fileBytes: number;
  /** Of every tensor, the fastest axis first: what an adapter must fit. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
}

export interface LoraHeader extends LoraFacts {
  readonly fileBytes: number;
}

const maxHeaderBytes = 64 << 20;
const maxKeys = 4_096;
const maxTensors = 65_536;
const maxBlocks = 512;

const remedies: Readonly<Record<GgufFault['kind'], string>> = {
  'not-gguf': 'Use a GGUF file (version 2 or 3) made by a current converter.',
  absurd: 'Use a GGUF file (version 2 or 3) made by a current converter.',
  truncated: 'Copy the file again and compare its size and SHA-256 with the source.',
  split: 'Merge the parts (llama-gguf-split --merge FIRST-PART WHOLE.gguf) and name the merged file.',
  unsupported: 'Use a language model in GGUF form.',
};

/**
 * Reads and checks the header of a model. Faults: `gguf.unreadable`, `gguf.not-gguf`, `gguf.truncated`, `gguf.absurd`, `gguf.split`,
 * `gguf.unsupported` (an adapter, a projector, a vocabulary). Bounded in memory and time.
 */
export async function readGgufHeader(path: string): Promise<Outcome<GgufHeader>> {
  return await readWith(path, 'spec.engine.file', (file, fileBytes) => describeModel(file, fileBytes));
}

/** The same for a LoRA adapter; `index` is its place in the spec. A whole model is refused with `gguf.unsupported`. */
export async function readLoraHeader(path: string, index = 0): Promise<Outcome<LoraHeader>> {
  return await readWith(path, `spec.engine.lora.${index}.file`, ({ metadata, tensors }, fileBytes) => {
    if (metadata.text('general.type') !== 'adapter')
      throw new GgufFault('unsupported', 'it is not an adapter', 'Name a LoRA adapter here, and the base model in spec.engine.file.');
    return { ...loraFacts(metadata, tensors, architectureOf(metadata)), fileBytes };
  });
}

interface GgufFile {
  readonly metadata: Metadata;
  readonly tensors: TensorTable;
}

async function readWith<T>(path: string, field: string, describe: (file: GgufFile, fileBytes: number) => T): Promise<Outcome<T>> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => error);
  if (file instanceof Error) {
    return fail({
      code: 'gguf.unreadable',
      message: `The model file cannot be read (${file.code ?? file.message}).`,
      field,
      remedy: 'Check that the file exists under a model root of the gateway and that its user may read it.',
    });
  }
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw new GgufFault('not-gguf', 'it is not a plain file');
    return ok(describe(await parse(new ByteSource(file, stat.size, Math.min(stat.size, maxHeaderBytes)), stat.size), stat.size));
  } catch (error) {
    if (!(error instanceof GgufFault)) throw error;
    const what = error.kind === 'split' || error.kind === 'unsupported' ? 'The file cannot be used' : 'Not a sound GGUF file';
    return fail({
      code: `gguf.${error.kind}`,
      message: `${what}: ${error.message}.`,
      field,
      remedy: error.remedy ?? remedies[error.kind],
    });
  } finally {
    await file.close();
  }
}

async function parse(source: ByteSource, fileBytes: number): Promise<GgufFile> {
  if (fileBytes < 24) throw new GgufFault(fileBytes >= 4 ? 'truncated' : 'not-gguf', `it has only ${fileBytes} bytes`);
  if ((await source.take(4, 'magic')).toString('latin1') !== 'GGUF') throw new GgufFault('not-gguf', 'the first four bytes are not "GGUF"');
  const version = await source.u32('version');
  if (version !== 2 && version !== 3) throw new GgufFault('not-gguf', `its format version is ${version}`);
  const tensorCount = await source.u64('tensor count');
  const keyCount = await source.u64('metadata count');
  if (tensorCount > maxTensors) throw new GgufFault('absurd', `it claims ${tensorCount} tensors, at most ${maxTensors} are accepted`);
  if (keyCount > maxKeys) throw new GgufFault('absurd', `it claims ${keyCount} metadata keys, at most ${maxKeys} are accepted`);

  const metadata = await readMetadata(source, keyCount);
  const parts = metadata.number('split.count');
  if (parts !== null && parts > 1) throw new GgufFault('split', `it is one of ${parts} parts of a model`);
  const alignment = metadata.number('general.alignment') ?? 32;
  if (alignment < 1 || alignment > 65_536 || (alignment & (alignment - 1)) !== 0)
    throw new GgufFault('absurd', `general.alignment is ${alignment}`);
  return { metadata, tensors: await readTensors(source, tensorCount, alignment, fileBytes) };
}

function architectureOf(metadata: Metadata): string {
  const architecture = metadata.text('general.architecture');
  if (architecture === null || !/^[a-z0-9][a-z0-9._-]{0,63}$/i.test(architecture)) {
    throw new GgufFault('absurd', `general.architecture is ${architecture === null ? 'missing' : printable(architecture)}`);
  }
  return architecture;
}

function describeModel({ metadata, tensors }: GgufFile, fileBytes: number): GgufHeader {
  const kind = metadata.text('general.type') ?? 'model';
  if (kind === 'adapter')
    throw new GgufFault('unsupported', 'it is an adapter', 'Name the base model here, and the adapter in spec.engine.lora.');
  if (kind !== 'model') throw new GgufFault('unsupported', `its type is ${printable(kind)}, not a language model`);
  const architecture = architectureOf(metadata);
  const blockCount = metadata.number(`${architecture}.block_count`);
  if (blockCount === null || !Number.isInteger(blockCount) || blockCount < 1 || blockCount > maxBlocks) {
    throw new GgufFault('absurd', `${architecture}.block_count is ${blockCount ?? 'missing'}, 1 to ${maxBlocks} are accepted`);
  }
  const facts = modelFacts(metadata, tensors, architecture, blockCount);
  checkModel(facts, metadata, tensors);
  return { ...facts, fileBytes, shapes: new Map([...tensors].map(([name, { shape }]) => [name, shape])) };
}
