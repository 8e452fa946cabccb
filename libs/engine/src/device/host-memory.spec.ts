import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readHostMemory, readProcessMemory } from './host-memory.js';

const gib = 2 ** 30;
let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'serin-proc-'));
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

async function system(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
}

const meminfo = `MemTotal:       ${32 * 1024 * 1024} kB\nMemFree:         1000000 kB\nMemAvailable:   ${20 * 1024 * 1024} kB\nBuffers: 12 kB\n`;

describe("the host's memory", () => {
  it('is what the kernel calls total and available', async () => {
    await system({ 'proc/meminfo': meminfo });
    expect(await readHostMemory(root)).toEqual({ totalBytes: 32 * gib, availableBytes: 20 * gib });
  });

  it('is that of the control group where it is less, its droppable file pages counted as free', async () => {
    await system({
      'proc/meminfo': meminfo,
      'proc/self/cgroup': '0::/\n',
      'sys/fs/cgroup/memory.max': `${8 * gib}\n`,
      'sys/fs/cgroup/memory.current': `${6 * gib}\n`,
      'sys/fs/cgroup/memory.stat': `anon 1\nactive_file 5\ninactive_file ${3 * gib}\n`,
    });
    expect(await readHostMemory(root)).toEqual({ totalBytes: 8 * gib, availableBytes: 5 * gib });
  });

  it('is that of a group further out when that is the tightest', async () => {
    await system({
      'proc/meminfo': meminfo,
      'proc/self/cgroup': '0::/pod/box\n',
      'sys/fs/cgroup/pod/memory.max': `${4 * gib}\n`,
      'sys/fs/cgroup/pod/memory.current': `${1 * gib}\n`,
      'sys/fs/cgroup/pod/box/memory.max': 'max\n',
      'sys/fs/cgroup/pod/box/memory.current': `${1 * gib}\n`,
    });
    expect(await readHostMemory(root)).toEqual({ totalBytes: 4 * gib, availableBytes: 3 * gib });
  });

  it('is that of a group of version 1, also where its path lies outside the container', async () => {
    await system({
      'proc/meminfo': meminfo,
      'proc/self/cgroup': '5:cpu:/docker/abc\n4:hugetlb,memory:/docker/abc\n0::/ignored\n',
      'sys/fs/cgroup/memory/memory.limit_in_bytes': `${2 * gib}\n`,
      'sys/fs/cgroup/memory/memory.usage_in_bytes': `${gib}\n`,
      'sys/fs/cgroup/memory/memory.stat': `inactive_file 1\ntotal_inactive_file ${gib / 2}\n`,
    });
    expect(await readHostMemory(root)).toEqual({ totalBytes: 2 * gib, availableBytes: 1.5 * gib });
  });

  it('knows the unlimited of version 1', async () => {
    await system({
      'proc/meminfo': meminfo,
      'proc/self/cgroup': '4:memory:/\n',
      'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
      'sys/fs/cgroup/memory/memory.usage_in_bytes': '1\n',
    });
    expect(await readHostMemory(root)).toEqual({ totalBytes: 32 * gib, availableBytes: 20 * gib });
  });

  it('is not negative when a group holds more than its limit', async () => {
    await system({
      'proc/meminfo': meminfo,
      'proc/self/cgroup': '0::/\n',
      'sys/fs/cgroup/memory.max': `${gib}\n`,
      'sys/fs/cgroup/memory.current': `${2 * gib}\n`,
    });
    expect((await readHostMemory(root)).availableBytes).toBe(0);
  });

  it('is not known to be available on a system that does not tell', async () => {
    expect(await readHostMemory(root)).toEqual({ totalBytes: expect.any(Number), availableBytes: null });
  });
});

describe("a process's memory", () => {
  it('is what is resident, and what of it belongs to no file', async () => {
    await system({ 'proc/77/status': 'Name:\tnode\nVmRSS:\t  204800 kB\nRssAnon:\t  102400 kB\nRssFile:\t  102400 kB\n' });
    expect(await readProcessMemory(77, root)).toEqual({ rssBytes: 200 * 2 ** 20, privateBytes: 100 * 2 ** 20 });
  });

  it('is nothing for a process that is gone or has no memory any more', async () => {
    await system({ 'proc/78/status': 'Name:\tnode\nState:\tZ (zombie)\n' });
    expect(await readProcessMemory(77, root)).toBeNull();
    expect(await readProcessMemory(78, root)).toBeNull();
  });
});
