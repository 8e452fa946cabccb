// The tensor table of a GGUF file: every tensor has a known type and lies inside the file, beside the others and not over them.
import { type ByteSource, GgufFault } from './byte-source.js';
import { printable } from './metadata.js';
import { tensorBlock, tensorBytes, tensorTypeName } from './tensor-types.js';

const maxDimensions = 4;

export interface TensorInfo {
  /** Elements per axis, the fastest first: a weight from 192 to 512 features is [192, 512]. */
  readonly shape: readonly number[];
  readonly elements: number;
  readonly type: string;
  readonly bytes: number;
}

export type TensorTable = ReadonlyMap<string, TensorInfo>;

interface Extent {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

export async function readTensors(source: ByteSource, count: number, alignment: number, fileBytes: number): Promise<TensorTable> {
  const table = new Map<string, TensorInfo>();
  const extents: Extent[] = [];
  for (let index = 0; index < count; index += 1) {
    const name = await source.text(`name of tensor ${index}`, 1_024);
    if (table.has(name)) throw new GgufFault('absurd', `tensor ${printable(name)} comes twice`);
    const shape = await readShape(source, name);
    const type = await source.u32(`type of ${printable(name)}`);
    const offset = await source.u64(`offset of ${printable(name)}`);
    const elements = shape.reduce((product, length) => product * length, 1);
    const bytes = tensorBytes(type, elements);
    if (bytes === null) throw new GgufFault('absurd', `tensor ${printable(name)} has unknown type ${type}`);
    if ((shape[0] ?? 0) % tensorBlock(type) !== 0)
      throw new GgufFault('absurd', `tensor ${printable(name)} has rows of ${shape[0]} elements, not whole ${tensorTypeName(type)} blocks`);
    if (offset % alignment !== 0) throw new GgufFault('absurd', `tensor ${printable(name)} is not aligned`);
    table.set(name, { shape, elements, type: tensorTypeName(type), bytes });
    extents.push({ name, start: offset, end: offset + bytes });
  }
  checkExtents(extents, Math.ceil(source.at / alignment) * alignment, fileBytes);
  return table;
}

async function readShape(source: ByteSource, name: string): Promise<number[]> {
  const dimensions = await source.u32(`dimensions of ${printable(name)}`);
  if (dimensions < 1 || dimensions > maxDimensions) throw new GgufFault('absurd', `tensor ${printable(name)} has ${dimensions} dimensions`);
  const shape: number[] = [];
  let elements = 1;
  for (let axis = 0; axis < dimensions; axis += 1) {
    const length = await source.u64(`dimension ${axis} of ${printable(name)}`);
    elements *= length;
    if (!(elements > 0) || elements > Number.MAX_SAFE_INTEGER)
      throw new GgufFault('absurd', `tensor ${printable(name)} has ${elements} elements`);
    shape.push(length);
  }
  return shape;
}

function checkExtents(extents: readonly Extent[], dataAt: number, fileBytes: number): void {
  for (const { name, end } of extents) {
    if (dataAt + end > fileBytes)
      throw new GgufFault('truncated', `tensor ${printable(name)} ends at byte ${dataAt + end}, the file has ${fileBytes}`);
  }
  const inOrder = extents.toSorted((one, other) => one.start - other.start);
  inOrder.forEach((extent, index) => {
    const before = inOrder[index - 1];
    if (before && before.end > extent.start)
      throw new GgufFault('absurd', `tensor ${printable(extent.name)} lies over ${printable(before.name)}`);
  });
}
