// Lines on a disk that is never filled: one file is written, older ones are kept beside it, the oldest goes.
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface RotatingFileOptions {
  /** The file that is written; older ones are `<file>.1` to `<file>.<olderFiles>`, the highest the oldest. */
  readonly file: string;
  /** A file that would grow beyond this is put aside first. */
  readonly fileBytes: number;
  readonly olderFiles: number;
}

/** Bytes on disk stay below `fileBytes * (olderFiles + 1)`, but for one append that is larger by itself. One writer per file. */
export class RotatingFile {
  private handle: FileHandle | null = null;
  private sizeBytes = 0;

  constructor(private readonly options: RotatingFileOptions) {}

  /** All of it or nothing, as far as the disk lets it be taken back. Rejects when it cannot be written; the next append opens the file again. */
  async append(text: string): Promise<void> {
    const bytes = Buffer.from(text, 'utf8');
    const { fileBytes } = this.options;
    try {
      let handle = await this.opened();
      if (this.sizeBytes > 0 && this.sizeBytes + bytes.length > fileBytes) {
        await this.putAside();
        handle = await this.opened();
      }
      await handle.appendFile(bytes);
      this.sizeBytes += bytes.length;
    } catch (error) {
      // A full disk may have taken half a line.
      await this.handle?.truncate(this.sizeBytes).catch(() => undefined);
      await this.close().catch(() => undefined);
      throw error;
    }
  }

  async close(): Promise<void> {
    const { handle } = this;
    this.handle = null;
    await handle?.close();
  }

  /** For its owner only, whatever it was before: it tells who asked what. */
  private async opened(): Promise<FileHandle> {
    if (this.handle) return this.handle;
    const { file } = this.options;
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    // Not through a link: somebody else could choose where lines go.
    const { O_APPEND, O_CREAT, O_WRONLY, O_NOFOLLOW } = constants;
    const handle = await open(file, O_APPEND | O_CREAT | O_WRONLY | O_NOFOLLOW, 0o600);
    this.handle = handle;
    const stat = await handle.stat();
    if (stat.isFile() && (stat.mode & 0o077) !== 0) await handle.chmod(0o600);
    this.sizeBytes = stat.size;
    return handle;
  }

  private async putAside(): Promise<void> {
    const { file, olderFiles } = this.options;
    await this.close();
    for (let age = olderFiles; age >= 1; age -= 1) {
      await rename(age === 1 ? file : `${file}.${age - 1}`, `${file}.${age}`).catch(unlessMissing);
    }
  }
}

function unlessMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
