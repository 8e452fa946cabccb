// What the sampling process and its parent say to one another.
import type { Driver } from './find-driver.js';
import type { DeviceReading, DeviceSource } from './reading.js';

export interface SampleRequest {
  readonly driver: Driver;
  readonly everyMs: number;
}

export type FromSampler =
  | { readonly type: 'readings'; readonly source: DeviceSource; readonly readings: readonly DeviceReading[] }
  | { readonly type: 'absent'; readonly reason: string };
