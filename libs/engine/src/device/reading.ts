// What one look at a GPU tells. A figure that the driver does not give is null and never 0: an idle GPU and an unknown one are not the same.

export interface DeviceReading {
  /** The driver's number of the GPU, from 0. */
  readonly index: number;
  readonly name: string | null;
  readonly uuid: string | null;
  /** Share of the last sampling period in which a kernel ran, 0 to 100. */
  readonly utilisationPercent: number | null;
  readonly memoryUsedBytes: number | null;
  readonly memoryTotalBytes: number | null;
  readonly temperatureC: number | null;
  readonly powerW: number | null;
}

export type DeviceSource = 'nvml' | 'nvidia-smi';

/** No machine has more; what claims more is garbage. */
export const mostDevices = 256;

/** Memory free over all GPUs together; null when one of them does not tell, or there is none. */
export function freeGpuBytes(readings: readonly DeviceReading[] | null): number | null {
  if (readings === null || readings.length === 0) return null;
  let free = 0;
  for (const { memoryTotalBytes, memoryUsedBytes } of readings) {
    if (memoryTotalBytes === null || memoryUsedBytes === null) return null;
    free += Math.max(0, memoryTotalBytes - memoryUsedBytes);
  }
  return free;
}

/** The value when it is a number between the two, else null. */
export function within(value: number | null, least: number, most: number): number | null {
  return value !== null && Number.isFinite(value) && value >= least && value <= most ? value : null;
}
