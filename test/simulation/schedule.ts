// Simulated time: one line of events ordered by time and, at the same time, by the seed. Nothing goes on but by an event.
import type { Clock } from '#libs/base';

interface Planned {
  readonly atMs: number;
  readonly tie: number;
  readonly run: () => void;
}

export class Schedule implements Clock {
  private time = 0;
  private state: number;
  private planned: Planned[] = [];
  /** What happened, folded into one number: the same seed gives the same. */
  trace = 0;

  constructor(seed: number) {
    this.state = (Math.imul(seed + 1, 2_654_435_761) ^ 0x9e3779b9) >>> 0;
  }

  /** Uniform in [0, 1), by the seed (mulberry32). */
  uniform(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  note(text: string): void {
    for (const letter of `${this.time}${text}`) this.trace = (Math.imul(this.trace, 31) + letter.charCodeAt(0)) | 0;
  }

  now(): number {
    return 1_800_000_000_000 + this.time;
  }

  monotonicMs(): number {
    return this.time;
  }

  at(atMs: number, run: () => void): () => void {
    const one = { atMs: Math.max(atMs, this.time), tie: this.uniform(), run };
    let place = this.planned.length;
    while (place > 0 && later(one, this.planned[place - 1] as Planned)) place -= 1;
    this.planned.splice(place, 0, one);
    return () => {
      this.planned = this.planned.filter((planned) => planned !== one);
    };
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

  /** Runs everything until `endMs`. */
  async run(endMs: number): Promise<void> {
    await settled();
    for (let next = this.planned.at(-1); next && next.atMs <= endMs; next = this.planned.at(-1)) {
      this.planned.pop();
      this.time = next.atMs;
      next.run();
      await settled();
    }
    this.time = endMs;
  }
}

/** The planned are kept with the next at the end. */
function later(a: Planned, b: Planned): boolean {
  return a.atMs > b.atMs || (a.atMs === b.atMs && a.tie > b.tie);
}

/** Promises that are resolved have told everybody. */
async function settled(): Promise<void> {
  await new Promise((done) => setImmediate(done));
}
