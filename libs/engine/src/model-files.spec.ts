import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkDigest, resolveModelFile } from './model-files.js';

let base: string;
let root: string;
let second: string;
beforeAll(async () => {
  base = await realpath(await mkdtemp(join(tmpdir(), 'serin-models-')));
  root = join(base, 'models');
  second = join(base, 'more');
  await mkdir(join(root, 'inner'), { recursive: true });
  await mkdir(second);
  await mkdir(join(base, 'models-elsewhere'));
  for (const file of [
    join(root, 'a.gguf'),
    join(root, 'inner/b.gguf'),
    join(second, 'a.gguf'),
    join(second, 'c.gguf'),
    join(base, 'secret'),
    join(base, 'models-elsewhere/x'),
  ])
    await writeFile(file, file);
  await symlink(join(base, 'secret'), join(root, 'out.gguf'));
  await symlink(base, join(root, 'up'));
  await symlink(join(base, 'models-elsewhere/x'), join(root, 'neighbour.gguf'));
  await symlink('inner/b.gguf', join(root, 'inside.gguf'));
  await symlink('loop.gguf', join(root, 'loop.gguf'));
});
afterAll(async () => {
  await rm(base, { recursive: true, force: true });
});

const resolve = async (file: string) => await resolveModelFile(file, [root, second]);

describe('a model file', () => {
  it('is found in the first root that has it, in folders too, and through a link that stays inside', async () => {
    expect(await resolve('a.gguf')).toEqual({ ok: true, value: join(root, 'a.gguf') });
    expect(await resolve('c.gguf')).toEqual({ ok: true, value: join(second, 'c.gguf') });
    expect(await resolve('inner/b.gguf')).toEqual({ ok: true, value: join(root, 'inner/b.gguf') });
    expect(await resolve('inside.gguf')).toEqual({ ok: true, value: join(root, 'inner/b.gguf') });
  });

  it.each([
    ['an absolute path', '/etc/passwd'],
    ['a way up', '../secret'],
    ['a way down and up', 'inner/../../secret'],
    ['a way up with the other slash', '..\\secret'],
    ['a NUL that would end the name early', 'a.gguf\0.txt'],
    ['a link that leads outside', 'out.gguf'],
    ['a folder that is a link outside', 'up/secret'],
    ['a link to a neighbour whose name begins like the root', 'neighbour.gguf'],
  ])('is not %s', async (_what, file) => {
    expect(await resolve(file)).toMatchObject({
      ok: false,
      fault: { code: 'version.bad-path', field: 'spec.engine.file', remedy: expect.any(String) },
    });
  });

  it('that is nowhere is said so, with where to put it', async () => {
    for (const file of ['nothing.gguf', 'loop.gguf', 'a.gguf/inner'])
      expect(await resolve(file)).toMatchObject({
        ok: false,
        fault: { code: 'version.file-missing', field: 'spec.engine.file', remedy: expect.stringContaining('SERIN_MODEL_ROOTS') },
      });
  });

  it('is looked for although one of the roots is not there', async () => {
    expect(await resolveModelFile('c.gguf', [join(base, 'gone'), second])).toEqual({ ok: true, value: join(second, 'c.gguf') });
    expect(await resolveModelFile('c.gguf', [])).toMatchObject({ ok: false, fault: { code: 'version.file-missing' } });
  });
});

describe('a digest', () => {
  it('is that of the bytes', async () => {
    const file = join(root, 'a.gguf');
    expect(await checkDigest(file, createHash('sha256').update(file).digest('hex'))).toEqual({ ok: true, value: undefined });
  });

  it('of other bytes is a fault that tells both and the remedy', async () => {
    const outcome = await checkDigest(join(root, 'a.gguf'), 'f'.repeat(64));
    expect(outcome).toMatchObject({
      ok: false,
      fault: { code: 'version.digest-mismatch', field: 'spec.engine.sha256', remedy: expect.any(String) },
    });
    if (!outcome.ok) expect(outcome.fault.message).toMatch(/[0-9a-f]{64}.*f{64}/);
  });

  it('of a file that cannot be read is a fault, not an exception', async () => {
    expect(await checkDigest(join(root, 'gone'), 'f'.repeat(64))).toMatchObject({ ok: false, fault: { code: 'version.file-unreadable' } });
  });
});
