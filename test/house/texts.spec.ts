// What no compiler reads: documents that a merge left in two halves or that point to nothing, and files that have outgrown one decision.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, extname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const mostLines = 400;

function filesUnder(...folders: string[]): string[] {
  return folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.parentPath.includes('node_modules'))
      .map((entry) => join(entry.parentPath, entry.name)),
  );
}

const documents = [
  ...readdirSync(root)
    .filter((name) => extname(name) === '.md')
    .map((name) => join(root, name)),
  ...filesUnder('docs').filter((file) => extname(file) === '.md'),
];
const sources = filesUnder('apps', 'libs', 'migrations').filter((file) => ['.ts', '.tsx'].includes(extname(file)));

describe('a document', () => {
  it.each(documents.map((file) => relative(root, file)))('carries no marks of a merge and points to what is there: %s', (name) => {
    const text = readFileSync(join(root, name), 'utf8');
    // A formatter takes the marks of the second half for quotes in quotes.
    expect(text.match(/^(?:<{7} .*|={7}|>{7} .*|(?:> ){5,}.*)$/gm) ?? []).toEqual([]);
    const links = [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map(([, link = '']) => link).filter((link) => !/^[a-z]+:/.test(link));
    expect(links.filter((link) => !existsSync(resolve(root, dirname(name), link)))).toEqual([]);
  });
});

it(`no source is longer than ${mostLines} lines`, () => {
  expect(documents.length).toBeGreaterThan(5);
  expect(sources.length).toBeGreaterThan(300);
  const long = sources.filter((file) => readFileSync(file, 'utf8').trimEnd().split('\n').length > mostLines);
  expect(long.map((file) => relative(root, file))).toEqual([]);
});
