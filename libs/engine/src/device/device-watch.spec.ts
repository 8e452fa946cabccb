import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLog } from '#libs/telemetry';
import { DeviceWatch } from './device-watch.js';
import { findDriver } from './find-driver.js';

let folder: string;
let watch: DeviceWatch | null = null;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'serin-watch-'));
});
afterEach(async () => {
  await watch?.stop();
  watch = null;
  await rm(folder, { recursive: true, force: true });
});

async function fakeTool(script: string): Promise<string> {
  const path = join(folder, 'nvidia-smi');
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
  return path;
}

function aWatch(driver: { library: string | null; tool: string | null } | null): DeviceWatch {
  watch = new DeviceWatch({ log: createLog('test', 'silent'), everyMs: 20, driver });
  watch.start();
  return watch;
}

async function until(look: () => boolean, what: string): Promise<void> {
  const giveUpAt = Date.now() + 20_000;
  while (!look()) {
    if (Date.now() > giveUpAt) throw new Error(`waited in vain for: ${what}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}

const line = (percent: string) => `echo "0, Fake GPU, GPU-0, ${percent}, 512, 8192, 40, [N/A]"`;

describe('the search for a driver', () => {
  it('finds library and tool by the paths of the environment, and nothing where there is none', async () => {
    const search = { platform: 'linux' as const, environment: { PATH: `/nowhere:${folder}`, LD_LIBRARY_PATH: folder }, folders: [] };
    expect(await findDriver(search)).toBeNull();
    const tool = await fakeTool('exit 1');
    expect(await findDriver(search)).toEqual({ library: null, tool });
    await writeFile(join(folder, 'libnvidia-ml.so.1'), '');
    expect(await findDriver(search)).toEqual({ library: join(folder, 'libnvidia-ml.so.1'), tool });
    await chmod(tool, 0o644);
    expect((await findDriver(search))?.tool).toBeNull();
  });
});

describe('the watch over GPUs', () => {
  it('has no figures and no process on a machine without a driver', async () => {
    const none = aWatch(null);
    await until(() => none.reason !== 'not looked yet', 'the search');
    expect([none.current(), none.source, none.pid, none.reason]).toEqual([null, null, null, 'this machine has no NVIDIA driver']);
  });

  it('tells the newest figures of the tool', async () => {
    const tool = await fakeTool(`n=$(cat ${folder}/n 2>/dev/null || echo 0); echo $((n + 1)) > ${folder}/n; ${line('$n')}`);
    const some = aWatch({ library: null, tool });
    await until(() => (some.current()?.[0]?.utilisationPercent ?? 0) >= 3, 'a fourth look');
    expect(some.current()).toMatchObject([{ name: 'Fake GPU', memoryTotalBytes: 8 * 2 ** 30, powerW: null }]);
    expect([some.source, some.reason]).toEqual(['nvidia-smi', null]);
  });

  it('falls back to the tool when the library is not what its name says', async () => {
    const library = join(folder, 'libnvidia-ml.so.1');
    await writeFile(library, 'no library at all');
    const some = aWatch({ library, tool: await fakeTool(line('5')) });
    await until(() => some.current() !== null, 'figures');
    expect(some.source).toBe('nvidia-smi');
  });

  it('says why there are none when nothing works', async () => {
    const library = join(folder, 'libnvidia-ml.so.1');
    await writeFile(library, 'no library at all');
    const none = aWatch({ library, tool: await fakeTool('exit 9') });
    await until(() => none.reason?.includes('exit code 9') ?? false, 'the reasons');
    expect(none.current()).toBeNull();
  });

  it('samples on in a new process when the old one was killed', async () => {
    const some = aWatch({ library: null, tool: await fakeTool(line('5')) });
    await until(() => some.current() !== null, 'figures');
    const first = some.pid;
    process.kill(first ?? 0, 'SIGKILL');
    await until(() => some.pid !== null && some.pid !== first && some.current() !== null, 'figures of another process');
  });

  it('leaves no process behind, and hands it no secrets', async () => {
    const tool = await fakeTool(`env > ${folder}/env; ${line('5')}`);
    process.env['SERIN_TEST_SECRET'] = 'canary';
    const some = aWatch({ library: null, tool });
    await until(() => some.current() !== null, 'figures');
    delete process.env['SERIN_TEST_SECRET'];
    expect(await readFile(join(folder, 'env'), 'utf8')).not.toContain('canary');
    const { pid } = some;
    await some.stop();
    expect(() => process.kill(pid ?? 0, 0)).toThrow(/ESRCH/);
    expect([some.pid, some.current()]).toEqual([null, null]);
  });
});
