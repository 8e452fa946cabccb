// All deadlines of all requests on one timer: slots of 100 ms, looked through as they come up. A timer per request, or worse per token, is what gateways die of.
import { type Clock, Crowd, type Seated } from '#libs/base';

export const slotMs = 100;
/** Entries further away than the wheel reaches (25.5 s) are looked at on the way and put on. */
const slotCount = 256;

/** What has a deadline. It may move with every token: moving it away costs an assignment. */
export abstract class WheelEntry implements Seated {
  /** Monotonic. Written by the wheel alone. */
  dueMs = Number.POSITIVE_INFINITY;
  /** The turn in which the wheel looks at it; -1: not in the wheel. Written by the wheel alone. */
  turn = -1;
  /** In its slot. */
  seat = -1;

  /** The deadline has passed, at most a slot ago, and the entry is out of the wheel. Must not throw. */
  abstract due(nowMs: number): void;
}

export class TimerWheel {
  private readonly slots = Array.from({ length: slotCount }, () => new Crowd<WheelEntry>());
  private size = 0;
  private turn = 0;
  private originMs = 0;
  private turning = false;

  constructor(private readonly clock: Clock) {}

  /** Entries with a deadline. */
  get pending(): number {
    return this.size;
  }

  /** Gives the entry this deadline instead of any that it had; infinity: none for now. `nowMs`: monotonic. */
  set(entry: WheelEntry, dueMs: number, nowMs: number): void {
    entry.dueMs = dueMs;
    // It is looked at before then anyway, and put on.
    if (entry.turn >= 0 && dueMs >= this.startOf(entry.turn)) return;
    this.remove(entry);
    this.place(entry, nowMs);
    this.size += 1;
    if (!this.turning) void this.run();
  }

  /** Takes the entry out; nothing happens when it is not in. */
  clear(entry: WheelEntry): void {
    entry.dueMs = Number.POSITIVE_INFINITY;
    this.remove(entry);
  }

  private remove(entry: WheelEntry): void {
    if (entry.turn < 0) return;
    this.slots[entry.turn % slotCount]?.leave(entry);
    entry.turn = -1;
    this.size -= 1;
  }

  private place(entry: WheelEntry, nowMs: number): void {
    // A wheel that stood still begins anew here.
    if (!this.turning) {
      this.originMs = nowMs;
      this.turn = 0;
    }
    const turns = Math.ceil((entry.dueMs - this.originMs) / slotMs);
    entry.turn = Math.max(this.turn + 1, Math.min(turns, this.turn + slotCount - 1));
    this.slots[entry.turn % slotCount]?.join(entry);
  }

  private startOf(turn: number): number {
    return this.originMs + turn * slotMs;
  }

  /** Turns while there is anything in it. */
  private async run(): Promise<void> {
    this.turning = true;
    while (this.size > 0) {
      await this.clock.sleep(slotMs);
      const wokeMs = this.clock.monotonicMs();
      while (this.startOf(this.turn + 1) <= wokeMs) this.advance(wokeMs);
    }
    this.turning = false;
  }

  private advance(nowMs: number): void {
    this.turn += 1;
    const slot = this.slots[this.turn % slotCount];
    if (slot === undefined || slot.size === 0) return;
    for (const entry of [...slot.members]) {
      // A neighbour's end may have taken it out.
      if (entry.turn !== this.turn) continue;
      slot.leave(entry);
      entry.turn = -1;
      if (entry.dueMs <= nowMs) {
        this.size -= 1;
        entry.dueMs = Number.POSITIVE_INFINITY;
        entry.due(nowMs);
      } else {
        this.place(entry, nowMs);
      }
    }
  }
}

const wheels = new WeakMap<Clock, TimerWheel>();

/** The wheel of everything that goes by this clock: one per process. */
export function wheelOf(clock: Clock): TimerWheel {
  let wheel = wheels.get(clock);
  if (wheel === undefined) {
    wheel = new TimerWheel(clock);
    wheels.set(clock, wheel);
  }
  return wheel;
}
