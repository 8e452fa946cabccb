// Whether this machine has an NVIDIA driver at all: only then is it worth a process to ask it.
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

export interface Driver {
  /** Path of NVML's library, null where none was found. */
  readonly library: string | null;
  /** Path of nvidia-smi, null where none was found. */
  readonly tool: string | null;
}

/** Where distributions, containers, WSL and NixOS put the driver's libraries. */
const libraryFolders = [
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib/aarch64-linux-gnu',
  '/usr/lib64',
  '/usr/lib',
  '/usr/lib64/nvidia',
  '/usr/local/nvidia/lib64',
  '/usr/lib/wsl/lib',
  '/run/opengl-driver/lib',
];

export interface DriverSearch {
  readonly platform: NodeJS.Platform;
  /** PATH and LD_LIBRARY_PATH of it are read. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly folders?: readonly string[];
}

/** Null when there is neither library nor tool. */
export async function findDriver({ platform, environment, folders = libraryFolders }: DriverSearch): Promise<Driver | null> {
  const listed = (name: string): string[] => (environment[name] ?? '').split(delimiter).filter((folder) => folder !== '');
  const windows = platform === 'win32';
  const systemFolder = join(environment['SystemRoot'] ?? 'C:\\Windows', 'System32');
  const libraries = windows
    ? [join(systemFolder, 'nvml.dll')]
    : [...listed('LD_LIBRARY_PATH'), ...folders].map((folder) => join(folder, 'libnvidia-ml.so.1'));
  const tools = [...listed('PATH'), ...(windows ? [systemFolder] : [])].map((folder) =>
    join(folder, windows ? 'nvidia-smi.exe' : 'nvidia-smi'),
  );
  const library = await firstOf(libraries, constants.R_OK);
  const tool = await firstOf(tools, constants.X_OK);
  return library === null && tool === null ? null : { library, tool };
}

async function firstOf(paths: readonly string[], mode: number): Promise<string | null> {
  for (const path of paths) {
    const there = await access(path, mode).then(
      () => true,
      () => false,
    );
    if (there) return path;
  }
  return null;
}
