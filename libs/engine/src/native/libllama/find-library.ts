// Which libllama this process has loaded: the one that node-llama-cpp chose for this machine (CPU, CUDA, Vulkan), never a second copy.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

export interface LoadedLibraries {
  readonly llama: string;
  readonly ggmlBase: string;
  /** The CPU back end with the instructions of this processor. */
  readonly ggmlCpu: string;
}

/** Reads the process's memory map (Linux). Null: this system does not tell, or the binding was linked differently. */
export function findLoadedLibraries(maps: string = readMaps()): LoadedLibraries | null {
  const paths = new Set<string>();
  for (const line of maps.split('\n')) {
    const path = line.slice(line.indexOf('/'));
    if (path.startsWith('/') && path.includes('.so')) paths.add(path);
  }
  const find = (pattern: RegExp): string | undefined => [...paths].find((path) => pattern.test(basename(path)));
  const llama = find(/^libllama\.(?!.*common).*so/);
  const ggmlBase = find(/^libggml-base\.so/);
  const ggmlCpu = find(/^libggml-cpu.*\.so/);
  return llama && ggmlBase && ggmlCpu ? { llama, ggmlBase, ggmlCpu } : null;
}

function readMaps(): string {
  if (process.platform !== 'linux') return '';
  return readFileSync('/proc/self/maps', 'utf8');
}
