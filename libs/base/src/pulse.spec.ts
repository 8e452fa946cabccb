import { describe, expect, it } from 'vitest';
import type { Clock } from './clock.js';
import { Pulse } from './pulse.js';

/** A clock that moves only when it is told to, and says who sleeps. */
class HandClock implements Clock {
  private nowMs = 0;
  private readonly sleepers: { atMs: number; wake: () => void }[] = [];
  now(): number {
    return this.nowMs;
  }
  monotonicMs(): number {
    return this.nowMs;
  }
  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    await new Promise<void>((done, reject) => {
      if (signal?.aborted) return reject(new Error('aborted'));
      signal?.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
      this.sleepers.push({ atMs: this.nowMs + ms, wake: done });
    });
  }
  async advance(ms: number): Promise<void> {
    await settle();
    this.nowMs += ms;
    for (const sleeper of this.sleepers) if (sleeper.atMs <= this.nowMs) sleeper.wake();
    await settle();
  }
}

async function settle(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await Promise.resolve();
}

describe('a pulse', () => {
  it('beats at once, then after each pause', async () => {
    const clock = new HandClock();
    let beats = 0;
    const beat = async (): Promise<void> => {
      beats += 1;
    };
    const pulse = new Pulse({ clock, everyMs: 1_000, beat, onError: () => undefined });
    pulse.start();
    await settle();
    expect(beats).toBe(1);
    await clock.advance(999);
    expect(beats).toBe(1);
    await clock.advance(1);
    expect(beats).toBe(2);
    await pulse.stop();
    await clock.advance(5_000);
    expect(beats).toBe(2);
  });

  it('goes on after a failure, tells it, and waits as long as was asked for then', async () => {
    const clock = new HandClock();
    const errors: unknown[] = [];
    let beats = 0;
    const beat = async (): Promise<void> => {
      beats += 1;
      if (beats === 1) throw new Error('once');
    };
    const pulse = new Pulse({ clock, everyMs: 1_000, afterFailureMs: 100, beat, onError: (error) => errors.push(error) });
    pulse.start();
    await clock.advance(100);
    expect(beats).toBe(2);
    expect(errors).toHaveLength(1);
    await pulse.stop();
  });

  it('does not lose a wake-up that comes during a beat, and never overlaps itself', async () => {
    const clock = new HandClock();
    let running = 0;
    let most = 0;
    let beats = 0;
    let finish: () => void = () => undefined;
    const beat = async (): Promise<void> => {
      beats += 1;
      running += 1;
      most = Math.max(most, running);
      await new Promise<void>((done) => {
        finish = done;
      });
      running -= 1;
    };
    const pulse = new Pulse({ clock, everyMs: 1_000, beat, onError: () => undefined });
    pulse.start();
    await settle();
    pulse.wake();
    pulse.wake();
    expect(beats).toBe(1);
    finish();
    await settle();
    expect(beats).toBe(2);
    const stopped = pulse.stop();
    finish();
    await stopped;
    expect(most).toBe(1);
  });
});
