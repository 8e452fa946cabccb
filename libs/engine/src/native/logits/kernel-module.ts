// Loads kernel.wat's binary beside a memory laid out for one vocabulary size. What the functions compute is told in kernel.wat.
import { kernelBinary } from './kernel-binary.js';

/** Logits per block, in kernel.wat and here. */
export const blockSize = 64;

export interface KernelFunctions {
  scan(): void;
  sum(): void;
  weigh(max: number, inverse: number, floor: number, above: number, tie: number): number;
  pick(block: number, fraction: number, max: number, inverse: number, floor: number, tie: number): number;
  count(floor: number): number;
  collect(low: number, high: number): number;
  normalise(max: number, lnSum: number): void;
  diverge(max: number, lnSum: number): number;
}

export interface KernelModule {
  readonly functions: KernelFunctions;
  /** Exactly one float per token; what lies behind in the last block is -Infinity. */
  readonly row: Float32Array;
  readonly maxima: Float32Array;
  readonly sums: Float64Array;
  readonly ids: Int32Array;
  /** As `row`: log probabilities. */
  readonly other: Float32Array;
  /** Results of `scan`: largest and second largest logit. */
  readonly largest: Float32Array;
  /** Token of the largest, and nonzero when a NaN was met. */
  readonly flags: Int32Array;
  /** Results of `sum`: of e^x and of x e^x. */
  readonly totals: Float64Array;
}

// The part of the WebAssembly API that is used: the types of Node leave it out, those of browsers would bring a DOM.
interface WebAssemblyApi {
  readonly Memory: new (options: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: Record<string, Record<string, unknown>>) => { readonly exports: unknown };
}

const pageBytes = 65_536;
const resultBytes = 512;

/** Memory: 12 bytes a token. Throws where the machine's V8 has no relaxed SIMD (before Node 21). */
export function loadKernel(vocabularySize: number): KernelModule {
  const { WebAssembly: api } = globalThis as unknown as { WebAssembly: WebAssemblyApi };
  const blocks = Math.ceil(vocabularySize / blockSize);
  let end = resultBytes;
  const region = (bytes: number): number => {
    const start = end;
    end += Math.ceil(bytes / 256) * 256;
    return start;
  };
  const row = region(blocks * blockSize * 4);
  const maxima = region(blocks * 4);
  const sums = region(blocks * 8);
  const ids = region(vocabularySize * 4);
  const other = region(blocks * blockSize * 4);
  const pages = Math.ceil(end / pageBytes);
  const memory = new api.Memory({ initial: pages, maximum: pages });
  const module = new api.Module(Buffer.from(kernelBinary, 'base64'));
  const instance = new api.Instance(module, { layout: { memory, blocks, row, maxima, sums, ids, other } });
  const { buffer } = memory;
  for (const start of [row, other]) {
    new Float32Array(buffer, start + vocabularySize * 4, blocks * blockSize - vocabularySize).fill(-Infinity);
  }
  return {
    functions: instance.exports as KernelFunctions,
    row: new Float32Array(buffer, row, vocabularySize),
    maxima: new Float32Array(buffer, maxima, blocks),
    sums: new Float64Array(buffer, sums, blocks),
    ids: new Int32Array(buffer, ids, vocabularySize),
    other: new Float32Array(buffer, other, vocabularySize),
    largest: new Float32Array(buffer, 0, 2),
    flags: new Int32Array(buffer, 8, 2),
    totals: new Float64Array(buffer, 16, 2),
  };
}
