// What a process has used, read from the kernel: of all its threads, without its help.
import { readFileSync } from 'node:fs';
import { cpuSeconds as ofProcess } from '../engine/measure.mjs';

/** CPU seconds, user and system; 0 for no process. Steps of 10 ms. */
export function cpuSeconds(pid) {
  return pid === null ? 0 : ofProcess(pid);
}

export function rssMb(pid) {
  if (pid === null) return null;
  const kb = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return kb === undefined ? null : Number(kb) / 1_024;
}
