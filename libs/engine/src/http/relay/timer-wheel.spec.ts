// One timer for all deadlines: each is met within a slot, none is met early, and an empty wheel stands still.
import { describe, expect, it } from 'vitest';
import { HandClock } from '../../../../../test/support/hand-clock.js';
import { slotMs, TimerWheel, WheelEntry, wheelOf } from './timer-wheel.js';

class Entry extends WheelEntry {
  readonly rang: number[] = [];
  override due(nowMs: number): void {
    this.rang.push(nowMs);
  }
}

describe('a timer wheel', () => {
  it('calls each entry once, never early, and at most a slot late', async () => {
    const clock = new HandClock();
    const wheel = new TimerWheel(clock);
    const wishes = [1, 99, 100, 101, 2_500, 25_600, 60_000, 900_000];
    const entries = wishes.map((dueMs) => {
      const entry = new Entry();
      wheel.set(entry, dueMs, 0);
      return { entry, dueMs };
    });
    while (wheel.pending > 0 && clock.time < 1_000_000) await clock.pass(slotMs);
    for (const { entry, dueMs } of entries) {
      expect(entry.rang).toHaveLength(1);
      expect(entry.rang[0]).toBeGreaterThanOrEqual(dueMs);
      expect(entry.rang[0]).toBeLessThanOrEqual(dueMs + slotMs);
    }
  });

  it('follows a deadline that moves, in both directions', async () => {
    const clock = new HandClock();
    const wheel = new TimerWheel(clock);
    const [away, near] = [new Entry(), new Entry()];
    wheel.set(away, 300, 0);
    wheel.set(near, 50_000, 0);
    await clock.pass(200);
    wheel.set(away, 5_000, 200);
    wheel.set(near, 400, 200);
    while (wheel.pending > 0) await clock.pass(slotMs);
    expect(away.rang[0]).toBeGreaterThanOrEqual(5_000);
    expect(near.rang[0]).toBeLessThanOrEqual(500);
  });

  it('forgets what is taken out, stands still when it is empty, and begins anew', async () => {
    const clock = new HandClock();
    const wheel = new TimerWheel(clock);
    const entry = new Entry();
    wheel.set(entry, 500, 0);
    wheel.clear(entry);
    wheel.clear(entry);
    expect(wheel.pending).toBe(0);
    await clock.pass(slotMs);
    expect(clock.isAsleep).toBe(false);
    await clock.pass(1_000_000);
    wheel.set(entry, clock.time + 150, clock.time);
    await clock.pass(slotMs);
    expect(entry.rang).toEqual([]);
    await clock.pass(slotMs);
    expect(entry.rang).toHaveLength(1);
  });

  it('catches up after a loop that was blocked for longer than it reaches', async () => {
    const clock = new HandClock();
    const wheel = new TimerWheel(clock);
    const [soon, later] = [new Entry(), new Entry()];
    wheel.set(soon, 1_000, 0);
    wheel.set(later, 70_000, 0);
    await clock.pass(65_000);
    expect(soon.rang).toHaveLength(1);
    expect(later.rang).toEqual([]);
    while (wheel.pending > 0) await clock.pass(slotMs);
    expect(later.rang).toHaveLength(1);
  });

  it('uses one timer for a thousand entries', () => {
    const clock = new HandClock();
    const wheel = wheelOf(clock);
    for (let n = 0; n < 1_000; n += 1) wheel.set(new Entry(), 60_000 + n, 0);
    expect(clock.sleeps).toBe(1);
    expect(wheelOf(clock)).toBe(wheel);
  });

  it('lets an entry take out its neighbour while both are due', async () => {
    const clock = new HandClock();
    const wheel = new TimerWheel(clock);
    const victim = new Entry();
    class Killer extends WheelEntry {
      override due(): void {
        wheel.clear(victim);
      }
    }
    wheel.set(new Killer(), 100, 0);
    wheel.set(victim, 100, 0);
    await clock.pass(slotMs);
    expect(victim.rang).toEqual([]);
    expect(wheel.pending).toBe(0);
  });
});
