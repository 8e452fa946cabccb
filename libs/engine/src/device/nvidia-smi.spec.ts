import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askNvidiaSmi, parseNvidiaSmi } from './nvidia-smi.js';

const gib = 2 ** 30;
const h100 = '0, NVIDIA H100 80GB HBM3, GPU-3b2f0c6e-1111-2222-3333-444455556666, 87, 40960, 81559, 64, 512.34';

describe('what nvidia-smi writes', () => {
  it('is read figure by figure, in bytes and watts', () => {
    expect(parseNvidiaSmi(`${h100}\n`)).toEqual([
      {
        index: 0,
        name: 'NVIDIA H100 80GB HBM3',
        uuid: 'GPU-3b2f0c6e-1111-2222-3333-444455556666',
        utilisationPercent: 87,
        memoryUsedBytes: 40 * gib,
        memoryTotalBytes: 81_559 * 2 ** 20,
        temperatureC: 64,
        powerW: 512.34,
      },
    ]);
  });

  it('has a line for each of several GPUs', () => {
    const readings = parseNvidiaSmi(['1, A, GPU-1, 0, 0, 16384, 30, 25.00', '3, B, GPU-3, 100, 16384, 16384, 80, 300.00', ''].join('\n'));
    expect(readings?.map(({ index, name, utilisationPercent }) => [index, name, utilisationPercent])).toEqual([
      [1, 'A', 0],
      [3, 'B', 100],
    ]);
  });

  it.each(['[N/A]', 'N/A', '[Not Supported]', '[Unknown Error]', '[Insufficient Permissions]', 'ERR!', '', '-1', '1e9', 'NaN'])(
    'leaves a figure that reads "%s" null, never 0',
    (none) => {
      expect(parseNvidiaSmi(`0, Tesla, GPU-0, ${none}, ${none}, ${none}, [N/A], ${none}`)).toEqual([
        {
          index: 0,
          name: 'Tesla',
          uuid: 'GPU-0',
          utilisationPercent: null,
          memoryUsedBytes: null,
          memoryTotalBytes: null,
          temperatureC: null,
          powerW: null,
        },
      ]);
    },
  );

  it('has no utilisation for a GPU that is cut into MIG instances, but the rest', () => {
    expect(parseNvidiaSmi('0, NVIDIA A100-SXM4-40GB, GPU-a, [N/A], 45, 40960, 33, 55.10')).toEqual([
      {
        index: 0,
        name: 'NVIDIA A100-SXM4-40GB',
        uuid: 'GPU-a',
        utilisationPercent: null,
        memoryUsedBytes: 45 * 2 ** 20,
        memoryTotalBytes: 40 * gib,
        temperatureC: 33,
        powerW: 55.1,
      },
    ]);
  });

  it('may hold a name with commas, and no name and no uuid at all', () => {
    expect(parseNvidiaSmi('0, Quadro, the big one, GPU-q, 1, 2, 3, 4, 5')).toMatchObject([{ name: 'Quadro, the big one', uuid: 'GPU-q' }]);
    expect(parseNvidiaSmi('0, [N/A], [N/A], 1, 2, 3, 4, 5')).toMatchObject([{ name: null, uuid: null, utilisationPercent: 1 }]);
  });

  it('is an empty list when there is no GPU, and nothing when it is no table', () => {
    expect(parseNvidiaSmi('No devices were found\n')).toEqual([]);
    for (const garbage of [
      '',
      '\n',
      'NVIDIA-SMI has failed because it could not communicate with the driver',
      `${h100}\noops`,
      'x, 1, 2, 3, 4, 5, 6, 7',
    ])
      expect(parseNvidiaSmi(garbage), garbage).toBeNull();
  });

  it('never becomes a figure outside its range, whatever is written', () => {
    const part = fc.oneof(fc.double().map(String), fc.string(), fc.constant('[N/A]'));
    fc.assert(
      fc.property(fc.array(fc.array(part, { minLength: 6, maxLength: 10 })), (lines) => {
        for (const reading of parseNvidiaSmi(lines.map((parts, index) => [index, ...parts].join(', ')).join('\n')) ?? []) {
          for (const value of Object.values(reading))
            expect(value === null || typeof value === 'string' || Number.isFinite(value)).toBe(true);
          if (reading.utilisationPercent !== null) expect(reading.utilisationPercent).toBeLessThanOrEqual(100);
        }
      }),
    );
  });
});

describe('asking nvidia-smi', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'serin-smi-'));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  async function fake(name: string, script: string): Promise<string> {
    const path = join(folder, name);
    await writeFile(path, `#!/bin/sh\n${script}\n`);
    await chmod(path, 0o755);
    return path;
  }

  it('asks for one line per GPU without header and units', async () => {
    const command = await fake('good', `[ "$2" = "--format=csv,noheader,nounits" ] && echo '${h100}'`);
    const answer = await askNvidiaSmi({ command });
    expect(answer).toMatchObject({ ok: true, value: [{ index: 0, powerW: 512.34 }] });
  });

  it.each([
    ['that hangs', 'exec sleep 60', /did not answer within 200 ms/],
    ['that leaves a hanging child with its pipe', 'sleep 5 & sleep 60', /did not answer within 200 ms/],
    ['that fails', 'echo broken; exit 9', /exit code 9/],
    ['that dies', 'kill -SEGV $$', /SIGSEGV/],
    ['that writes garbage', 'echo hello', /something else than a table/],
  ])('gives a fault for a tool %s', async (_what, script, message) => {
    const command = await fake('bad', script);
    const answer = await askNvidiaSmi({ command, deadlineMs: script.includes('sleep') ? 200 : 5_000 });
    expect(answer).toMatchObject({ ok: false, fault: { code: 'device.unreadable', retryable: true } });
    expect(answer.ok ? '' : answer.fault.message).toMatch(message);
  });

  it('stops a tool that writes without end', async () => {
    const command = await fake('endless', 'exec yes');
    const answer = await askNvidiaSmi({ command, deadlineMs: 20_000 });
    expect(answer.ok ? '' : answer.fault.message).toMatch(/wrote more than 65536 bytes/);
  });

  it('gives a fault where there is no such tool', async () => {
    const answer = await askNvidiaSmi({ command: join(folder, 'none') });
    expect(answer.ok ? '' : answer.fault.message).toMatch(/ENOENT/);
  });
});
