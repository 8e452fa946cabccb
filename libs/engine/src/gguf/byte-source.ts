// Reads a file front to back in small pieces, refusing to go past its end or past a budget: a hostile length can cost neither memory nor time.
import type { FileHandle } from 'node:fs/promises';

/** Thrown inside the reader only; `readGgufHeader` turns it into a fault. */
export class GgufFault extends Error {
  constructor(
    readonly kind: 'not-gguf' | 'truncated' | 'absurd' | 'split' | 'unsupported',
    message: string,
    /** Where the usual remedy of the kind would mislead. */
    readonly remedy?: string,
  ) {
    super(message);
  }
}

const chunkBytes = 1 << 16;

/** Sequential little-endian reads of at most `budgetBytes` of the file. */
export class ByteSource {
  private chunk = Buffer.alloc(0);
  private chunkAt = 0;
  private position = 0;

  constructor(
    private readonly file: FileHandle,
    readonly fileBytes: number,
    private readonly budgetBytes: number,
  ) {}

  get at(): number {
    return this.position;
  }

  /** Refuses early when `bytes` cannot be there: nothing of that size is allocated first. */
  require(bytes: number, what: string): void {
    if (this.position + bytes > this.fileBytes)
      throw new GgufFault('truncated', `${what} needs ${bytes} bytes at offset ${this.position}, the file has ${this.fileBytes}`);
    if (this.position + bytes > this.budgetBytes)
      throw new GgufFault('absurd', `the header goes beyond ${this.budgetBytes} bytes at ${what}`);
  }

  async take(bytes: number, what: string): Promise<Buffer> {
    this.require(bytes, what);
    const start = this.position - this.chunkAt;
    if (start >= 0 && start + bytes <= this.chunk.length) {
      this.position += bytes;
      return this.chunk.subarray(start, start + bytes);
    }
    const size = Math.min(Math.max(bytes, chunkBytes), this.fileBytes - this.position);
    const buffer = Buffer.alloc(size);
    let filled = 0;
    while (filled < bytes) {
      const { bytesRead } = await this.file.read(buffer, filled, size - filled, this.position + filled);
      if (bytesRead === 0) throw new GgufFault('truncated', `${what} ends at offset ${this.position + filled}`);
      filled += bytesRead;
    }
    this.chunk = buffer.subarray(0, filled);
    this.chunkAt = this.position;
    this.position += bytes;
    return this.chunk.subarray(0, bytes);
  }

  /** Passes over bytes without reading them. */
  skip(bytes: number, what: string): void {
    this.require(bytes, what);
    this.position += bytes;
  }

  async u32(what: string): Promise<number> {
    return (await this.take(4, what)).readUInt32LE(0);
  }

  /** A 64-bit count or offset; beyond 2^53 it is absurd by itself. */
  async u64(what: string): Promise<number> {
    const value = (await this.take(8, what)).readBigUInt64LE(0);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new GgufFault('absurd', `${what} is ${value}`);
    return Number(value);
  }

  async text(what: string, longest: number): Promise<string> {
    const length = await this.u64(`length of ${what}`);
    if (length > longest) throw new GgufFault('absurd', `${what} is ${length} bytes long, at most ${longest} are accepted`);
    return (await this.take(length, what)).toString('utf8');
  }
}
