// What the papers promise is so: named paths exist, versions are pinned, the lock file binds to no registry, every app can be built and started by its name.
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const text = async (path: string): Promise<string> => await readFile(join(root, path), 'utf8');
const json = async <T>(path: string): Promise<T> => JSON.parse(await text(path)) as T;

interface Manifest {
  readonly license: string;
  readonly scripts: Record<string, string>;
  readonly bin: Record<string, string>;
  readonly allowScripts: Record<string, boolean>;
  readonly dependencies: Record<string, string>;
  readonly devDependencies: Record<string, string>;
  readonly optionalDependencies: Record<string, string>;
}
interface Lock {
  readonly packages: Record<
    string,
    { version?: string; resolved?: string; hasInstallScript?: boolean; optional?: boolean; optionalDependencies?: Record<string, string> }
  >;
}

describe('the papers', () => {
  const papers = [
    'README.md',
    'ARCHITECTURE.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    'docs/rollouts.md',
    'docs/api.md',
    'docs/evaluation.md',
    'docs/operations.md',
  ];

  it.each(papers)('%s names only paths that exist', async (paper) => {
    const body = await text(paper);
    const code = [...body.matchAll(/`([^`\n]+)`/g)].map((match) => match[1] ?? '');
    const links = [...body.matchAll(/\]\(([^)#]+)[^)]*\)/g)].map((match) => match[1] ?? '').filter((link) => !/^[a-z]+:/.test(link));
    const paths = code.filter(
      (one) => /^(apps|libs|test|docs|migrations|scripts|demo)\/[\w./-]+$/.test(one) || /^[\w-]+\.(md|json|mjs)$/.test(one),
    );
    const missing = [
      ...new Set([...paths.map((path) => join(root, path)), ...links.map((link) => resolve(root, paper, '..', link))]),
    ].filter((path) => !existsSync(path));
    expect(missing).toEqual([]);
  });

  it.each(papers)('%s names only npm scripts that exist', async (paper) => {
    const { scripts } = await json<Manifest>('package.json');
    const named = [...(await text(paper)).matchAll(/npm run ([\w:-]+)/g)].map((match) => match[1] ?? '');
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });

  it('ARCHITECTURE.md tells every part of the house, and no other', async () => {
    const [picture = ''] = (await text('ARCHITECTURE.md')).split('```').slice(1);
    for (const folder of ['apps', 'libs']) {
      const parts = (await readdir(join(root, folder), { withFileTypes: true }))
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => name);
      for (const part of parts) expect(picture, `${folder}/${part}`).toMatch(new RegExp(`\\b${part}\\b`));
    }
  });
});

describe('what is installed', () => {
  it('is pinned to the digit', async () => {
    const { dependencies, devDependencies, optionalDependencies } = await json<Manifest>('package.json');
    const loose = Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies }).filter(
      ([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version),
    );
    expect(loose).toEqual([]);
  });

  it('comes from wherever npm is told to look: the lock file holds no download address', async () => {
    const { packages } = await json<Lock>('package-lock.json');
    expect(Object.entries(packages).filter(([, entry]) => entry.resolved !== undefined)).toEqual([]);
    expect(await text('package-lock.json')).not.toMatch(/\.tgz"/);
    expect(await text('.npmrc')).toContain('omit-lockfile-registry-resolved=true');
  });

  it('is whole on every platform: no optional package that the lock file does not know', async () => {
    const { packages } = await json<Lock>('package-lock.json');
    const missing = Object.entries(packages).flatMap(([parent, entry]) =>
      Object.keys(entry.optionalDependencies ?? {}).filter(
        (name) => !packages[`node_modules/${name}`] && !packages[`${parent}/node_modules/${name}`],
      ),
    );
    expect(missing).toEqual([]);
  });

  it('runs a script of its own only where that is allowed by name', async () => {
    const { allowScripts } = await json<Manifest>('package.json');
    const { packages } = await json<Lock>('package-lock.json');
    for (const name of Object.keys(allowScripts)) expect(packages[`node_modules/${name}`]?.version, name).toBeDefined();
    const undecided = Object.entries(packages).filter(
      ([path, entry]) => entry.hasInstallScript && !entry.optional && !(path.replace(/^.*node_modules\//, '') in allowScripts),
    );
    expect(undecided).toEqual([]);
  });

  it('is what the lock file says', async () => {
    const { dependencies, devDependencies } = await json<Manifest>('package.json');
    const { packages } = await json<Lock>('package-lock.json');
    for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies }))
      expect(packages[`node_modules/${name}`]?.version, name).toBe(version);
  });
});

describe('nest-cli.json', () => {
  it('knows every app that runs on Nest, with an entry and a tsconfig that exist', async () => {
    const { projects } = await json<{
      projects: Record<string, { root: string; entryFile: string; compilerOptions: { tsConfigPath: string } }>;
    }>('nest-cli.json');
    expect(Object.keys(projects).sort()).toEqual(['controller', 'evaluator', 'gateway', 'standalone']);
    for (const [name, project] of Object.entries(projects)) {
      expect(project.root).toBe(`apps/${name}`);
      expect(existsSync(join(root, `${project.entryFile}.ts`)), project.entryFile).toBe(true);
      expect(existsSync(join(root, project.compilerOptions.tsConfigPath)), project.compilerOptions.tsConfigPath).toBe(true);
    }
  });
});

it('the test command of the README is what CI calls', async () => {
  expect(await text('README.md')).toContain('npm ci && npm test');
  const run = await text('.ci/run');
  expect(run).toMatch(/npm ci.*\n(.*\n)*npm test/);
});

it('the licence is the one that package.json names', async () => {
  expect((await json<Manifest>('package.json')).license).toBe('Apache-2.0');
  expect(await text('LICENSE')).toContain('Apache License');
});
