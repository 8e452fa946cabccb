import { describe, expect, it } from 'vitest';
import { type NvmlAnswer, type NvmlCalls, NvmlError, openNvml } from './nvml.js';
import { type DeviceReading, freeGpuBytes } from './reading.js';

const notSupported = 3;
const gpuIsLost = 15;
const gib = 2 ** 30;
const good = <T>(value: T): NvmlAnswer<T> => ({ code: 0, value });

function library(change: Partial<NvmlCalls<number>> = {}): NvmlCalls<number> & { readonly closed: () => boolean } {
  let closed = false;
  return {
    init: () => 0,
    shutdown: () => {
      closed = true;
      return 0;
    },
    count: () => good(2),
    handle: (index) => good(100 + index),
    name: (device) => good(`GPU ${device}`),
    uuid: (device) => good(`GPU-${device}`),
    utilisationPercent: () => good(42),
    memory: () => good({ usedBytes: 3 * gib, totalBytes: 24 * gib }),
    temperatureC: () => good(51),
    powerMilliwatts: () => good(123_456),
    describe: (code) => `code ${code}`,
    ...change,
    closed: () => closed,
  };
}

describe('NVML', () => {
  it('tells each GPU by its own handle', () => {
    expect(openNvml(library()).read()).toEqual(
      [0, 1].map((index) => ({
        index,
        name: `GPU ${100 + index}`,
        uuid: `GPU-${100 + index}`,
        utilisationPercent: 42,
        memoryUsedBytes: 3 * gib,
        memoryTotalBytes: 24 * gib,
        temperatureC: 51,
        powerW: 123.456,
      })),
    );
  });

  it.each([
    ['utilisationPercent', ['utilisationPercent']],
    ['memory', ['memoryUsedBytes', 'memoryTotalBytes']],
    ['temperatureC', ['temperatureC']],
    ['powerMilliwatts', ['powerW']],
    ['name', ['name']],
    ['uuid', ['uuid']],
  ] as const)('leaves exactly what %s would have told null when it is not supported', (call, fields) => {
    // The value beside an error code is whatever lay there: it must not be shown.
    const readings = openNvml(library({ [call]: () => ({ code: notSupported, value: { usedBytes: 0, totalBytes: 0 } }) })).read();
    for (const reading of readings) {
      const missing = Object.entries(reading).filter(([, value]) => value === null);
      expect(missing.map(([field]) => field).toSorted()).toEqual([...fields].toSorted());
    }
  });

  it('keeps the other GPUs when one is lost', () => {
    const readings = openNvml(library({ handle: (index) => (index === 0 ? { code: gpuIsLost, value: 0 } : good(101)) })).read();
    expect(readings[0]).toMatchObject({ index: 0, name: null, utilisationPercent: null, powerW: null });
    expect(readings[1]).toMatchObject({ index: 1, name: 'GPU 101', powerW: 123.456 });
  });

  it('leaves figures beyond any GPU null', () => {
    const [reading] = openNvml(
      library({
        utilisationPercent: () => good(4_294_967_295),
        temperatureC: () => good(65_535),
        powerMilliwatts: () => good(4_294_967_295),
      }),
    ).read();
    expect(reading).toMatchObject({ utilisationPercent: null, temperatureC: null, powerW: null });
  });

  it('throws what the driver says when it does not start or count', () => {
    expect(() => openNvml(library({ init: () => 9 }))).toThrow(new NvmlError('NVML does not start: code 9'));
    expect(() => openNvml(library({ count: () => ({ code: 999, value: 7 }) })).read()).toThrow(NvmlError);
  });

  it('is shut down when it is closed', () => {
    const calls = library();
    openNvml(calls).close();
    expect(calls.closed()).toBe(true);
  });
});

describe('free memory of the GPUs', () => {
  const reading = (used: number | null, total: number | null): DeviceReading => ({
    index: 0,
    name: null,
    uuid: null,
    utilisationPercent: null,
    memoryUsedBytes: used,
    memoryTotalBytes: total,
    temperatureC: null,
    powerW: null,
  });

  it('is their sum, and not known when one does not tell or there is none', () => {
    expect(freeGpuBytes([reading(1, 10), reading(4, 20)])).toBe(25);
    expect(freeGpuBytes([reading(1, 10), reading(null, 20)])).toBeNull();
    expect(freeGpuBytes([])).toBeNull();
    expect(freeGpuBytes(null)).toBeNull();
  });
});
