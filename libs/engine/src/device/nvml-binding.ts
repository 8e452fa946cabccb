// NVML through koffi. Native code: only the sampling process may load this file.
import koffi from 'koffi';
import { type NvmlAnswer, type NvmlCalls, NvmlError } from './nvml.js';

const textBytes = 96;
const gpuSensor = 0;
/** Sizes in nvml.h, on every platform that NVIDIA supports. */
const utilisationBytes = 8;
const memoryBytes = 24;

type Pointer = unknown;

const device = koffi.pointer('SerinNvmlDevice', koffi.opaque());
const utilisation = koffi.struct('SerinNvmlUtilisation', { gpu: 'uint32_t', memory: 'uint32_t' });
const memory = koffi.struct('SerinNvmlMemory', { total: 'uint64_t', free: 'uint64_t', used: 'uint64_t' });

/** Throws when the library or one of its functions is missing, or a structure has another size than in nvml.h. */
export function bindNvml(path: string): NvmlCalls<Pointer> {
  if (koffi.sizeof(utilisation) !== utilisationBytes || koffi.sizeof(memory) !== memoryBytes)
    throw new NvmlError('the structures of NVML have other sizes on this platform');
  const library = koffi.load(path);
  const init = library.func('int nvmlInit_v2()');
  const shutdown = library.func('int nvmlShutdown()');
  const count = library.func('int nvmlDeviceGetCount_v2(_Out_ uint32_t *count)');
  const handle = library.func('nvmlDeviceGetHandleByIndex_v2', 'int', ['uint32_t', koffi.out(koffi.pointer(device))]);
  const name = library.func('nvmlDeviceGetName', 'int', [device, 'void *', 'uint32_t']);
  const uuid = library.func('nvmlDeviceGetUUID', 'int', [device, 'void *', 'uint32_t']);
  const rates = library.func('nvmlDeviceGetUtilizationRates', 'int', [device, koffi.out(koffi.pointer(utilisation))]);
  const memoryInfo = library.func('nvmlDeviceGetMemoryInfo', 'int', [device, koffi.out(koffi.pointer(memory))]);
  const temperature = library.func('nvmlDeviceGetTemperature', 'int', [device, 'int', koffi.out(koffi.pointer('uint32_t'))]);
  const power = library.func('nvmlDeviceGetPowerUsage', 'int', [device, koffi.out(koffi.pointer('uint32_t'))]);
  const describe = library.func('const char *nvmlErrorString(int code)');

  const number = (call: (out: number[]) => number): NvmlAnswer<number> => {
    const out = [0];
    const code = call(out);
    return { code, value: out[0] ?? 0 };
  };
  const text = (call: (buffer: Buffer) => number): NvmlAnswer<string> => {
    const buffer = Buffer.alloc(textBytes);
    const code = call(buffer);
    const end = buffer.indexOf(0);
    return { code, value: buffer.toString('utf8', 0, end < 0 ? textBytes : end) };
  };
  return {
    init: () => init() as number,
    shutdown: () => shutdown() as number,
    count: () => number((out) => count(out) as number),
    handle: (index) => {
      const out: Pointer[] = [null];
      const code = handle(index, out) as number;
      return { code, value: out[0] };
    },
    name: (of) => text((buffer) => name(of, buffer, textBytes) as number),
    uuid: (of) => text((buffer) => uuid(of, buffer, textBytes) as number),
    utilisationPercent: (of) => {
      const out = { gpu: 0, memory: 0 };
      const code = rates(of, out) as number;
      return { code, value: out.gpu };
    },
    memory: (of) => {
      const out: Record<'total' | 'free' | 'used', number | bigint> = { total: 0, free: 0, used: 0 };
      const code = memoryInfo(of, out) as number;
      return { code, value: { usedBytes: Number(out.used), totalBytes: Number(out.total) } };
    },
    temperatureC: (of) => number((out) => temperature(of, gpuSensor, out) as number),
    powerMilliwatts: (of) => number((out) => power(of, out) as number),
    describe: (code) => String(describe(code)),
  };
}
