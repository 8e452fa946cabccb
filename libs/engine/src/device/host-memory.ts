// Memory of this machine as far as this process may use it: a container's limit counts, the machine around it does not.
import { readFile } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { dirname, join } from 'node:path';

/** Null where the system does not tell. */
export interface HostMemory {
  readonly totalBytes: number | null;
  /** What can be taken without swapping; file pages that may be dropped count as free. */
  readonly availableBytes: number | null;
}

export interface ProcessMemory {
  readonly rssBytes: number;
  /** Resident pages that belong to no file: only these can exhaust the machine. A mapped model file is not among them. */
  readonly privateBytes: number;
}

interface Limit {
  readonly limitBytes: number;
  readonly usedBytes: number;
}

/** `root` replaces `/` in specs. Never rejects. */
export async function readHostMemory(root = '/'): Promise<HostMemory> {
  const machine = parseMeminfo((await textOf(join(root, 'proc/meminfo'))) ?? '');
  const limits = await readLimits(root);
  const totals = [machine.totalBytes ?? totalmem(), ...limits.map(({ limitBytes }) => limitBytes)];
  const available = [machine.availableBytes, ...limits.map(({ limitBytes, usedBytes }) => Math.max(0, limitBytes - usedBytes))];
  return {
    totalBytes: Math.min(...totals),
    availableBytes: machine.availableBytes === null ? null : Math.min(...available.filter((bytes) => bytes !== null)),
  };
}

/** Null when there is no such process, or it is not ours to see. */
export async function readProcessMemory(pid: number, root = '/'): Promise<ProcessMemory | null> {
  // Not statm: that counts pages, and their size differs between machines.
  const status = await textOf(join(root, 'proc', String(pid), 'status'));
  const rssBytes = kilobytesIn(status ?? '', 'VmRSS');
  const privateBytes = kilobytesIn(status ?? '', 'RssAnon');
  return rssBytes === null || privateBytes === null ? null : { rssBytes, privateBytes };
}

/** Pure. */
export function parseMeminfo(text: string): HostMemory {
  return { totalBytes: kilobytesIn(text, 'MemTotal'), availableBytes: kilobytesIn(text, 'MemAvailable') };
}

function kilobytesIn(text: string, name: string): number | null {
  const line = text.split('\n').find((one) => one.startsWith(`${name}:`));
  const value = /^\w+:\s+(\d{1,15}) kB\s*$/.exec(line ?? '')?.[1];
  return value === undefined ? null : Number(value) * 1_024;
}

/** Limits of this process's control group and of every group around it, version 2 and version 1. */
async function readLimits(root: string): Promise<Limit[]> {
  const limits: Limit[] = [];
  for (const line of ((await textOf(join(root, 'proc/self/cgroup'))) ?? '').split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    if (controllers === '') limits.push(...(await limitsAlong(join(root, 'sys/fs/cgroup'), path, version2)));
    else if (controllers.split(',').includes('memory'))
      limits.push(...(await limitsAlong(join(root, 'sys/fs/cgroup/memory'), path, version1)));
  }
  return limits;
}

interface Names {
  readonly limit: string;
  readonly used: string;
  /** In memory.stat: file pages that the kernel drops first when the limit is met. */
  readonly droppable: string;
}

const version2: Names = { limit: 'memory.max', used: 'memory.current', droppable: 'inactive_file' };
const version1: Names = { limit: 'memory.limit_in_bytes', used: 'memory.usage_in_bytes', droppable: 'total_inactive_file' };
/** "No limit" of version 1 is the largest number of whole pages. */
const noLimit = 2 ** 60;

/** In a container the path may name a group outside of what is mounted: then only the mounted root is there. */
async function limitsAlong(mount: string, path: string, names: Names): Promise<Limit[]> {
  const limits: Limit[] = [];
  for (let group = path; ; group = dirname(group)) {
    const limit = await limitOf(join(mount, group), names);
    if (limit) limits.push(limit);
    if (group === dirname(group)) return limits;
  }
}

async function limitOf(folder: string, names: Names): Promise<Limit | null> {
  const limitBytes = wholeNumber(await textOf(join(folder, names.limit)));
  const usedBytes = wholeNumber(await textOf(join(folder, names.used)));
  if (limitBytes === null || usedBytes === null || limitBytes >= noLimit) return null;
  const stat = (await textOf(join(folder, 'memory.stat'))) ?? '';
  const droppable = stat.split('\n').find((line) => line.startsWith(`${names.droppable} `));
  return { limitBytes, usedBytes: usedBytes - (wholeNumber(droppable?.split(' ')[1] ?? null) ?? 0) };
}

/** "max" and whatever else is no number: null. */
function wholeNumber(text: string | null): number | null {
  return text !== null && /^\d+$/.test(text.trim()) ? Number(text) : null;
}

async function textOf(path: string): Promise<string | null> {
  return await readFile(path, 'utf8').catch(() => null);
}
