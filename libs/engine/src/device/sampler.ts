// Entry of the sampling process: the driver's code runs here, where its crash or hang costs figures and nothing else.
import { setTimeout as pause } from 'node:timers/promises';
import { askNvidiaSmi } from './nvidia-smi.js';
import { openNvml } from './nvml.js';
import type { DeviceReading, DeviceSource } from './reading.js';
import type { FromSampler, SampleRequest } from './sampler-protocol.js';

interface Source {
  readonly name: DeviceSource;
  read(): Promise<readonly DeviceReading[]>;
  close(): void;
}

/** Without any source the driver is asked again after this: it may be loaded or mended meanwhile. */
const retryMs = 30_000;

async function nvml(library: string): Promise<Source> {
  const { bindNvml } = await import('./nvml-binding.js');
  const open = openNvml(bindNvml(library));
  return { name: 'nvml', read: async () => open.read(), close: () => open.close() };
}

async function nvidiaSmi(command: string): Promise<Source> {
  const read = async (): Promise<readonly DeviceReading[]> => {
    const readings = await askNvidiaSmi({ command });
    if (!readings.ok) throw new Error(readings.fault.message);
    return readings.value;
  };
  await read();
  return { name: 'nvidia-smi', read, close: () => undefined };
}

/** The first source that works; rejects with the reasons of all. */
async function choose({ driver }: SampleRequest): Promise<Source> {
  const reasons: string[] = [];
  for (const [path, open] of [
    [driver.library, nvml],
    [driver.tool, nvidiaSmi],
  ] as const) {
    if (path === null) continue;
    try {
      return await open(path);
    } catch (error) {
      reasons.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new Error(reasons.join('; '));
}

function send(message: FromSampler): void {
  if (process.connected) process.send?.(message);
}

async function sample(request: SampleRequest): Promise<never> {
  for (;;) {
    try {
      const source = await choose(request);
      try {
        for (;;) {
          send({ type: 'readings', source: source.name, readings: await source.read() });
          await pause(request.everyMs);
        }
      } finally {
        source.close();
      }
    } catch (error) {
      send({ type: 'absent', reason: error instanceof Error ? error.message : String(error) });
      await pause(retryMs);
    }
  }
}

process.once('message', (request: SampleRequest) => void sample(request));
// Nobody to tell any more.
process.on('disconnect', () => process.exit(0));
// Ctrl-C in a terminal reaches the whole process group; the parent decides.
process.on('SIGINT', () => undefined);
