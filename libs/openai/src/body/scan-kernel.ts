// The one copy of a body in WebAssembly memory, where scan-kernel.wat reads it. Used within one turn of the event loop, never kept.
import { kernelBinary } from './scan-kernel-binary.js';

/** Where a body stands in the memory; all places that the kernel tells count from there. */
const bodyAt = 4_096;
const foundAt = 256;
const recordsAt = 512;
const recordFields = 5;
/** What the kernel may read behind a body. */
const paddingBytes = 80;
const pageBytes = 65_536;
const mostPages = 1_024;

/** The longest body that fits. Callers bound theirs lower. */
export const longestBodyBytes = mostPages * pageBytes - bodyAt - paddingBytes;

// The part of the WebAssembly API that is used: the types of Node leave it out, those of browsers would bring a DOM.
interface WebAssemblyApi {
  readonly Memory: new (options: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer; grow(pages: number): number };
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: Record<string, Record<string, unknown>>) => { readonly exports: unknown };
}

interface KernelFunctions {
  members(from: number, end: number, begun: number): number;
}

/** Why and where a body was refused, as scan-kernel.wat numbers it. */
export const kernelFaults = { unexpected: 1, control: 2, escape: 3, deep: 4 } as const;

export class ScanKernel {
  /** Numbers at fixed places: `found` and `records` point into it. Replaced when the memory grows. */
  words: Int32Array;
  private room: Uint8Array;
  private lengthBytes = 0;

  private constructor(
    private readonly memory: InstanceType<WebAssemblyApi['Memory']>,
    private readonly functions: KernelFunctions,
  ) {
    this.room = new Uint8Array(memory.buffer);
    this.words = new Int32Array(memory.buffer, 0, bodyAt / 4);
  }

  static load(): ScanKernel {
    const { WebAssembly: api } = globalThis as unknown as { WebAssembly: WebAssemblyApi };
    const memory = new api.Memory({ initial: 4, maximum: mostPages });
    const module = new api.Module(Buffer.from(kernelBinary, 'base64'));
    const instance = new api.Instance(module, { layout: { memory } });
    return new ScanKernel(memory, instance.exports as KernelFunctions);
  }

  /** Copies a body in. The memory grows to the longest body seen and stays so. Throws RangeError above `longestBodyBytes`. */
  take(bytes: Uint8Array): void {
    const needed = bodyAt + bytes.length + paddingBytes;
    if (needed > this.room.length) {
      if (bytes.length > longestBodyBytes) throw new RangeError(`a body of ${bytes.length} bytes; bound it at ${longestBodyBytes}`);
      this.memory.grow(Math.ceil((needed - this.room.length) / pageBytes));
      this.room = new Uint8Array(this.memory.buffer);
      this.words = new Int32Array(this.memory.buffer, 0, bodyAt / 4);
    }
    this.room.set(bytes, bodyAt);
    this.lengthBytes = bytes.length;
  }

  /** The first members of the body taken: the number of records, or -1 for a fault. `resumeAt` says whether there are more. */
  firstMembers(): number {
    return this.functions.members(bodyAt, bodyAt + this.lengthBytes, 0);
  }

  /** The members behind those of the last call. */
  moreMembers(): number {
    return this.functions.members(this.resumeAt, bodyAt + this.lengthBytes, 1);
  }

  get hasMore(): boolean {
    return this.resumeAt !== 0;
  }

  /** True when a byte of 128 or more was met; rarely also when there was none. Said once the body has ended. */
  get mayBeBeyondAscii(): boolean {
    return this.words[foundAt / 4 + 3] !== 0;
  }

  /** Number of the fault, one of `kernelFaults`. */
  get fault(): number {
    return this.words[foundAt / 4] ?? 0;
  }

  /** Byte offset of the fault in the body. */
  get faultAt(): number {
    return (this.words[foundAt / 4 + 1] ?? 0) - bodyAt;
  }

  /** A field of a record as it stands in the memory: 0 name from, 1 name to, 2 value from, 3 value to, as offsets; 4 see `hasEscape`. */
  place(record: number, field: number): number {
    return (this.words[recordsAt / 4 + record * recordFields + field] ?? 0) - bodyAt;
  }

  hasEscape(record: number): boolean {
    return this.words[recordsAt / 4 + record * recordFields + 4] !== 0;
  }

  private get resumeAt(): number {
    return this.words[foundAt / 4 + 2] ?? 0;
  }
}
