// A clock whose wall time a spec can move; durations stay real.
import { type Clock, systemClock } from '#libs/base';

export class ShiftedClock implements Clock {
  /** Added to the real wall time, milliseconds. */
  shiftMs = 0;

  now(): number {
    return systemClock.now() + this.shiftMs;
  }

  monotonicMs(): number {
    return systemClock.monotonicMs();
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    await systemClock.sleep(ms, signal);
  }
}
