// Time that a spec owns: it stands still until the next thing that was planned, and a minute of it passes in milliseconds.
import type { Clock } from '#libs/base';

interface Planned {
  readonly atMs: number;
  /** Of two at the same time the one that was planned first comes first. */
  readonly order: number;
  readonly run: () => void;
}

export class VirtualTime implements Clock {
  private time = 0;
  private planned: Planned[] = [];
  private order = 0;

  now(): number {
    return 1_800_000_000_000 + this.time;
  }

  monotonicMs(): number {
    return this.time;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    await new Promise<void>((done, reject) => {
      const cancel = this.at(this.time + ms, done);
      signal?.addEventListener('abort', () => {
        cancel();
        reject(signal.reason as Error);
      });
    });
  }

  /** Plans something; returns how to call it off. */
  at(atMs: number, run: () => void): () => void {
    const one = { atMs: Math.max(atMs, this.time), order: this.order, run };
    this.order += 1;
    // By binary search: a simulation plans in the far future and in the next millisecond.
    let from = 0;
    let to = this.planned.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      const other = this.planned[middle] as Planned;
      if (other.atMs > one.atMs || (other.atMs === one.atMs && other.order > one.order)) from = middle + 1;
      else to = middle;
    }
    this.planned.splice(from, 0, one);
    return () => {
      this.planned = this.planned.filter((planned) => planned !== one);
    };
  }

  after(ms: number, run: () => void): () => void {
    return this.at(this.time + ms, run);
  }

  /** Lets `ms` pass: everything planned in it runs in its order, and what waits for that by promises goes on. */
  async pass(ms: number): Promise<void> {
    const endMs = this.time + ms;
    await settled();
    for (let next = this.planned.at(-1); next && next.atMs <= endMs; next = this.planned.at(-1)) {
      this.planned.pop();
      this.time = next.atMs;
      next.run();
      // Together with others of the same instant.
      if (this.planned.at(-1)?.atMs !== this.time) await settled();
    }
    this.time = endMs;
    await settled();
  }

  /** The same without promises: for simulations of many thousand events. */
  passAtOnce(ms: number): void {
    const endMs = this.time + ms;
    for (let next = this.planned.at(-1); next && next.atMs <= endMs; next = this.planned.at(-1)) {
      this.planned.pop();
      this.time = next.atMs;
      next.run();
    }
    this.time = endMs;
  }
}

/** Promises that are resolved have told everybody. */
async function settled(): Promise<void> {
  await new Promise((done) => setImmediate(done));
}
