// The house rules are enforced by tools, not by habit: each planted fault must be refused by the compiler or by lint.
import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
let copy: string;

async function tool(name: 'tsc' | 'biome', args: string[]): Promise<{ code: number; output: string }> {
  return await new Promise((done) => {
    execFile(join(root, 'node_modules/.bin', name), args, { cwd: copy, timeout: 110_000 }, (error, stdout, stderr) => {
      done({ code: error ? Number(error.code ?? 1) : 0, output: `${stdout}${stderr}` });
    });
  });
}

async function plant(path: string, text: string): Promise<() => Promise<void>> {
  await writeFile(join(copy, path), text);
  return async () => await rm(join(copy, path));
}

beforeAll(async () => {
  copy = await mkdtemp(join(tmpdir(), 'serin-house-'));
  for (const part of ['libs', 'apps', 'migrations', 'package.json', 'biome.json', 'tsconfig.base.json', '.gitignore']) {
    await cp(join(root, part), join(copy, part), { recursive: true });
  }
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'));
  // Biome reads the ignore file through git's eyes, so the copy must be a repository.
  await new Promise<void>((done, reject) => {
    execFile('git', ['init', '-q', copy], (error) => (error ? reject(error) : done()));
  });
  const clean = await tool('tsc', ['-b', 'apps/gateway']);
  expect(clean.output).toBe('');
}, 120_000);

afterAll(async () => {
  await rm(copy, { recursive: true, force: true });
});

describe('the compiler refuses', () => {
  it('an import of a part that the importing part did not declare', async () => {
    const undo = await plant('apps/gateway/src/planted.ts', "export * from '#libs/alerts';\n");
    const { code, output } = await tool('tsc', ['-b', 'apps/gateway']);
    await undo();
    expect(code).not.toBe(0);
    expect(output).toMatch(/planted\.ts.*TS6307/s);
  });

  it('a library that imports a library above it', async () => {
    const undo = await plant('libs/base/src/planted.ts', "export type { Plan } from '#libs/rollout';\n");
    const { code, output } = await tool('tsc', ['-b', 'libs/base']);
    await undo();
    expect(code).not.toBe(0);
    expect(output).toMatch(/TS6307/);
  });

  it('an import past a part’s front door', async () => {
    const undo = await plant('apps/gateway/src/planted.ts', "export * from '#libs/storage/src/database.js';\n");
    const { code, output } = await tool('tsc', ['-b', 'apps/gateway']);
    await undo();
    expect(code).not.toBe(0);
    expect(output).toMatch(/TS2307/);
  });
});

describe('lint refuses', () => {
  const faults: [string, string, string, RegExp][] = [
    [
      'a relative path into another part',
      'apps/gateway/src/planted.ts',
      "export * from '../../../libs/base/src/clock.js';\n",
      /noRestrictedImports/,
    ],
    ['a file system in a pure part', 'libs/rollout/src/planted.ts', "export * from 'node:fs';\n", /noNodejsModules/],
    ['a framework in a pure part', 'libs/analysis/src/planted.ts', "export * from '@nestjs/common';\n", /noRestrictedImports/],
    ['another part in a pure part', 'libs/scoring/src/planted.ts', "export * from '#libs/analysis';\n", /noRestrictedImports/],
    ['a clock in a pure part', 'libs/rollout/src/planted.ts', 'export const now = () => Date.now();\n', /noRestrictedGlobals/],
    ['a server part in the dashboard', 'apps/dashboard/src/planted.ts', "export * from '#libs/storage';\n", /noRestrictedImports/],
    [
      'a floating promise',
      'libs/engine/src/planted.ts',
      'async function work(): Promise<void> {}\nexport function forget(): void {\n  work();\n}\n',
      /noFloatingPromises/,
    ],
  ];

  it.each(faults)('%s', async (_name, path, text, rule) => {
    const undo = await plant(path, text);
    const { code, output } = await tool('biome', ['check', path]);
    await undo();
    expect(output).toMatch(rule);
    expect(code).not.toBe(0);
  });
});
