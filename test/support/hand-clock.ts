// Time that a test moves by hand.
import type { Clock } from '#libs/base';

/** Time that stands until it is told to pass. */
export class HandClock implements Clock {
  time = 0;
  sleeps = 0;
  private wake: (() => void) | null = null;

  now(): number {
    return this.time;
  }

  monotonicMs(): number {
    return this.time;
  }

  async sleep(): Promise<void> {
    this.sleeps += 1;
    await new Promise<void>((done) => {
      this.wake = done;
    });
  }

  get isAsleep(): boolean {
    return this.wake !== null;
  }

  async pass(ms: number): Promise<void> {
    this.time += ms;
    const { wake } = this;
    this.wake = null;
    wake?.();
    await new Promise((done) => setImmediate(done));
  }
}
