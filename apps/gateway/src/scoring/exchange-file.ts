// The file through which one engine hands the other its log probabilities: private, short-lived, and gone whatever happens.
import { mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Ids } from '#libs/base';

/** Longer than any request may take: such a file has lost its owner. */
const orphanedAfterMs = 3_600_000;

export class ExchangeFiles {
  private swept = false;

  constructor(
    private readonly folder: string,
    private readonly parts: { readonly clock: Clock; readonly ids: Ids },
  ) {}

  async use<T>(work: (file: string) => Promise<T>): Promise<T> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    await this.sweep();
    const file = join(this.folder, `${this.parts.ids.uuid()}.f32`);
    // Made here, so that it is private before anything is in it.
    await (await open(file, 'wx', 0o600)).close();
    try {
      return await work(file);
    } finally {
      await rm(file, { force: true });
    }
  }

  /** What a killed process left, once per process. */
  private async sweep(): Promise<void> {
    if (this.swept) return;
    this.swept = true;
    for (const name of await readdir(this.folder)) {
      const file = join(this.folder, name);
      const written = await stat(file).catch(() => null);
      if (written && this.parts.clock.now() - written.mtimeMs > orphanedAfterMs) await rm(file, { force: true });
    }
  }
}
