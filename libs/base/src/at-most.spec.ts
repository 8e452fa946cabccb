import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { atMost } from './at-most.js';
import { type Clock, systemClock } from './clock.js';

/** Sleeps until it is told that the time has come, or the sleeper gives up. */
function aStoppedClock(): { clock: Clock; ring: () => void; sleeping: () => boolean } {
  let ring = (): void => undefined;
  let sleeping = false;
  const sleep = async (_ms: number, signal?: AbortSignal): Promise<void> => {
    sleeping = true;
    try {
      await new Promise<void>((done, fail) => {
        ring = done;
        signal?.addEventListener('abort', () => fail(new Error('woken')));
      });
    } finally {
      sleeping = false;
    }
  };
  return { clock: { ...systemClock, sleep }, ring: () => ring(), sleeping: () => sleeping };
}

describe('work that is waited for with a bound', () => {
  it('in time gives its value or its error, and nobody sleeps on', async () => {
    const { clock, sleeping } = aStoppedClock();
    expect(await atMost(clock, 5, Promise.resolve('value'))).toBe('value');
    await expect(atMost(clock, 5, Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    await setImmediate();
    expect(sleeping()).toBe(false);
  });

  it('that is late is left alone, also when it fails afterwards', async () => {
    const { clock, ring } = aStoppedClock();
    const work = Promise.withResolvers<string>();
    const waiting = atMost(clock, 5, work.promise);
    ring();
    expect(await waiting).toBe('late');
    work.reject(new Error('too late'));
    await setImmediate();
  });
});
