// Where the compiled form of a process entry lies: beside the caller when that is compiled itself, under dist/ when the sources run (tests).
import { existsSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** `file` is relative to the caller, as in `./child.js`. Throws when nothing was built yet. */
export function compiledFile(callerUrl: string, file: string): string {
  const beside = fileURLToPath(new URL(file, callerUrl));
  if (existsSync(beside)) return beside;
  let root = dirname(beside);
  while (!existsSync(join(root, 'package.json')) && root !== dirname(root)) root = dirname(root);
  const built = join(root, 'dist', relative(root, beside));
  if (!existsSync(built)) throw new Error(`${built} is missing: run "npm run build" first`);
  return built;
}
