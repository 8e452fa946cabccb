// Who waits for a place, who goes first, and what the refused are told.
import { describe, expect, it } from 'vitest';
import { leaseRequest, type Wish } from '../../../../../test/support/virtual-fleet.js';
import type { EngineLoad } from '../../admission/index.js';
import type { EngineFault } from '../../engine.js';
import { ServiceSpeed } from './service-speed.js';
import { WaitingRoom } from './waiting-room.js';

const serviceMs = 100;

/** Before an upstream of so many places, all taken just now, each answer 100 ms long. */
class Scene {
  readonly speed = new ServiceSpeed();
  readonly room: WaitingRoom;
  readonly refused = new Map<string, EngineFault>();
  private running = 0;

  constructor(
    readonly slots: number,
    contextSize: number | null = null,
  ) {
    for (let n = 0; n < 200; n += 1) this.speed.observe(100, serviceMs);
    this.running = slots;
    this.room = new WaitingRoom({ slots, contextSize, speed: this.speed, load: () => this.load() });
  }

  join(name: string, wish: Wish = {}, nowMs = 0): () => void {
    const refused = (fault: EngineFault): void => void this.refused.set(name, fault);
    // The order in which they are taken is told by their affinity.
    return this.room.join({ request: leaseRequest({ affinity: name, ...wish }), granted: () => undefined, refused }, nowMs);
  }

  take(nowMs = 0): string | null {
    return this.room.take(nowMs, () => true)?.waiting.request.affinity?.() ?? null;
  }

  all(nowMs = 0): string[] {
    const names: string[] = [];
    for (let name = this.take(nowMs); name !== null; name = this.take(nowMs)) names.push(name);
    return names;
  }

  /** Nobody runs any more. */
  idle(): void {
    this.running = 0;
  }

  private load(): EngineLoad {
    return { slots: this.slots, running: Array.from({ length: this.running }, () => this.speed.left(100, 0, 1)) };
  }
}

describe('the order', () => {
  it('is live, then evaluations, then shadows; inside a class of one key the first comes first', () => {
    const scene = new Scene(2);
    for (const priority of ['shadow', 'evaluation', 'live'] as const)
      for (const nth of [1, 2]) scene.join(`${priority} ${nth}`, { priority });
    expect(scene.all()).toEqual(['live 1', 'live 2', 'evaluation 1', 'evaluation 2', 'shadow 1', 'shadow 2']);
  });

  it('gives keys turns: one that floods the queue delays another by a turn, not by its flood', () => {
    const scene = new Scene(16, 8_192);
    for (let n = 0; n < 60; n += 1) scene.join(`flood ${n}`, { tenant: 'flood', tokens: 500 });
    for (let n = 0; n < 10; n += 1) scene.join(`modest ${n}`, { tenant: 'modest', tokens: 500 });
    const order = scene.all();
    const places = order.flatMap((name, place) => (name.startsWith('modest') ? [place] : []));
    expect(places).toHaveLength(10);
    for (const [nth, place] of places.entries()) expect(place).toBeLessThanOrEqual(2 * nth + 3);
  });

  it('passes a class by that has no room, and gives what it has to those above only', () => {
    const scene = new Scene(2);
    scene.join('live');
    scene.join('shadow', { priority: 'shadow' });
    expect(scene.room.take(0, (priority) => priority !== 'live')).toBeNull();
    expect(scene.take()).toBe('live');
    expect(scene.take()).toBe('shadow');
  });
});

describe('a request with a deadline', () => {
  it('that cannot be met is refused at once, with the time after which it can, and that is true', () => {
    const scene = new Scene(1);
    // Each 100 ms behind the one that runs: the ninth would be whole after a second.
    let last = 0;
    for (; scene.refused.size === 0; last += 1) scene.join(`${last + 1}`, { deadlineMs: 1_000 });
    expect(last).toBeGreaterThanOrEqual(9);
    expect(last).toBeLessThanOrEqual(11);
    const { retryAfterMs = 0, code } = scene.refused.get(`${last}`) ?? ({} as EngineFault);
    expect(code).toBe('engine.overloaded');
    expect(retryAfterMs).toBeGreaterThan(0);
    expect(retryAfterMs).toBeLessThanOrEqual(2 * serviceMs);
    // What has its turn until then leaves the queue.
    for (let gone = 0; gone < retryAfterMs; gone += serviceMs) scene.take(gone);
    scene.join('again', { deadlineMs: 1_000 }, retryAfterMs);
    expect(scene.refused.has('again')).toBe(false);
  });

  it('that even an idle upstream would miss is told that no waiting helps', () => {
    const scene = new Scene(4);
    scene.idle();
    scene.join('hopeless', { deadlineMs: 20 });
    expect(scene.refused.get('hopeless')?.message).toBe('it would take longer than its deadline even alone');
  });

  it('is refused as soon as it would be late even if it began now', () => {
    const scene = new Scene(4);
    scene.join('short', { deadlineMs: 1_000 });
    scene.join('patient');
    scene.room.expire(850);
    expect(scene.refused.size).toBe(0);
    scene.room.expire(950);
    expect([...scene.refused.keys()]).toEqual(['short']);
    expect(scene.refused.get('short')).toMatchObject({ code: 'engine.overloaded', retryable: true });
    expect(scene.all()).toEqual(['patient']);
  });
});

describe('a full queue', () => {
  it('refuses what comes, with a time', () => {
    const scene = new Scene(8);
    for (let n = 0; scene.refused.size === 0; n += 1) scene.join(`${n}`, { tenant: `${n % 16}` });
    // 64 is the least that may wait.
    expect(scene.room.size).toBe(64);
    const [fault] = scene.refused.values();
    expect(fault).toMatchObject({ code: 'engine.overloaded', retryable: true, message: 'the queue is full' });
    expect(fault?.retryAfterMs).toBeGreaterThan(0);
  });

  it('of lower classes makes room for higher ones', () => {
    const scene = new Scene(8);
    for (let n = 0; scene.room.size < 64; n += 1) scene.join(`shadow ${n}`, { priority: 'shadow', tenant: `${n % 16}` });
    scene.join('live', { tenant: 'user' });
    expect(scene.room.size).toBe(64);
    expect([...scene.refused.keys()]).toHaveLength(1);
    expect([...scene.refused.keys()][0]).toMatch(/^shadow/);
    expect(scene.take()).toBe('live');
  });

  it('is held by no key alone', () => {
    const scene = new Scene(8);
    for (let n = 0; n < 200; n += 1) scene.join(`flood ${n}`, { tenant: 'flood' });
    expect(scene.room.size).toBe(32);
    expect(scene.refused.get('flood 199')?.message).toBe('this tenant has its share of the queue');
    for (let n = 0; n < 10; n += 1) scene.join(`modest ${n}`, { tenant: 'modest' });
    expect([...scene.refused.keys()].filter((name) => name.startsWith('modest'))).toEqual([]);
  });

  it('counts tokens as well as requests', () => {
    const scene = new Scene(1, 1_000);
    for (let n = 0; scene.refused.size === 0; n += 1) scene.join(`${n}`, { tokens: 1_000, tenant: `${n}` });
    expect(scene.room.queuedTokens).toBe(8_000);
  });
});

describe('leaving', () => {
  it('frees the place in the queue, and may be done twice', () => {
    const scene = new Scene(2);
    const leave = scene.join('gone');
    scene.join('stays');
    leave();
    leave();
    expect(scene.room.size).toBe(1);
    expect(scene.all()).toEqual(['stays']);
  });

  it('by the end of the version is told to everybody', () => {
    const scene = new Scene(2);
    for (const name of ['a', 'b', 'c']) scene.join(name);
    scene.room.dismiss(0, { code: 'engine.not-loaded', message: 'gone', retryable: true });
    expect([...scene.refused].map(([name, { code }]) => `${name} ${code}`)).toEqual(
      ['a', 'b', 'c'].map((name) => `${name} engine.not-loaded`),
    );
    expect(scene.room.size).toBe(0);
  });
});
