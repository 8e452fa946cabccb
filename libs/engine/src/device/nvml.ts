// GPUs by NVML, the driver's library: what to ask and what to make of the answers. Knows nothing of how a library is called.
import { type DeviceReading, mostDevices, within } from './reading.js';

/** NVML's return code, 0 for success, and what the call wrote. */
export interface NvmlAnswer<T> {
  readonly code: number;
  readonly value: T;
}

/** The calls that we use, one each. `Handle` is the library's own. */
export interface NvmlCalls<Handle = unknown> {
  init(): number;
  shutdown(): number;
  count(): NvmlAnswer<number>;
  handle(index: number): NvmlAnswer<Handle>;
  name(device: Handle): NvmlAnswer<string>;
  uuid(device: Handle): NvmlAnswer<string>;
  utilisationPercent(device: Handle): NvmlAnswer<number>;
  memory(device: Handle): NvmlAnswer<{ readonly usedBytes: number; readonly totalBytes: number }>;
  temperatureC(device: Handle): NvmlAnswer<number>;
  powerMilliwatts(device: Handle): NvmlAnswer<number>;
  describe(code: number): string;
}

export class NvmlError extends Error {}

const success = 0;

/** Throws NvmlError when the driver does not answer. */
export function openNvml<Handle>(calls: NvmlCalls<Handle>): { read(): DeviceReading[]; close(): void } {
  const code = calls.init();
  if (code !== success) throw new NvmlError(`NVML does not start: ${calls.describe(code)}`);
  return {
    read: () => readAll(calls),
    close: () => {
      calls.shutdown();
    },
  };
}

/** Handles are asked for anew at each look: a GPU may be reset or taken away in between. */
function readAll<Handle>(calls: NvmlCalls<Handle>): DeviceReading[] {
  const count = calls.count();
  if (count.code !== success) throw new NvmlError(`NVML does not count its devices: ${calls.describe(count.code)}`);
  return Array.from({ length: Math.min(count.value, mostDevices) }, (_, index) => readOne(calls, index));
}

function readOne<Handle>(calls: NvmlCalls<Handle>, index: number): DeviceReading {
  const handle = calls.handle(index);
  const ask = <T>(call: (device: Handle) => NvmlAnswer<T>): T | null => {
    if (handle.code !== success) return null;
    const answer = call(handle.value);
    return answer.code === success ? answer.value : null;
  };
  const memory = ask((device) => calls.memory(device));
  const milliwatts = within(
    ask((device) => calls.powerMilliwatts(device)),
    0,
    1e8,
  );
  return {
    index,
    name: ask((device) => calls.name(device)),
    uuid: ask((device) => calls.uuid(device)),
    utilisationPercent: within(
      ask((device) => calls.utilisationPercent(device)),
      0,
      100,
    ),
    memoryUsedBytes: memory?.usedBytes ?? null,
    memoryTotalBytes: memory?.totalBytes ?? null,
    temperatureC: within(
      ask((device) => calls.temperatureC(device)),
      -100,
      1_000,
    ),
    powerW: milliwatts === null ? null : milliwatts / 1_000,
  };
}
