// Who gets a place, who waits for one, and who gives none any more: the fleet on a clock of its own, its endpoints without sockets.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ask, aVirtualFleet, hold, refusedConnection, type VirtualFleet } from '../../../../../test/support/virtual-fleet.js';
import { affinityLoadBound } from './choose.js';
import type { Lease } from './lease.js';

const at = (lease: Lease): string => lease.name;

/** So many requests in a row that end like this, at whatever endpoint they get. */
function serve(scene: VirtualFleet, requests: number, end: (lease: Lease) => void): void {
  for (let n = 0; n < requests; n += 1) end(hold(scene));
}

/** Holds a place at this endpoint, giving back those elsewhere. */
function holdAt(scene: VirtualFleet, name: string): Lease {
  const others: Lease[] = [];
  for (;;) {
    const lease = hold(scene);
    if (at(lease) === name) {
      for (const other of others) other.done('cancelled');
      return lease;
    }
    others.push(lease);
  }
}

function failAt(scene: VirtualFleet, name: string, times: number): void {
  for (let n = 0; n < times; n += 1) holdAt(scene, name).done('failed');
}

describe('places', () => {
  it('are given where the fewest are taken, up to the limit of each endpoint', () => {
    const scene = aVirtualFleet([8, 8, 8]);
    const leases = Array.from({ length: 9 }, () => hold(scene));
    expect(scene.running()).toEqual([3, 3, 3]);
    const [first] = leases as [Lease];
    first.done('ok');
    expect(at(hold(scene))).toBe(at(first));
    for (let n = 0; n < 15; n += 1) hold(scene);
    expect(scene.running()).toEqual([8, 8, 8]);
    expect(ask(scene)).toMatchObject({ lease: null, fault: null });
    expect(scene.fleet.queued).toBe(1);
  });

  it('are given at one endpoint to requests that begin alike, while its load is near the mean', () => {
    const scene = aVirtualFleet([100, 100, 100, 100]);
    for (const key of ['a', 'b', 'c']) {
      const first = hold(scene, { affinity: key });
      first.done('ok');
      expect(at(hold(scene, { affinity: key }))).toBe(at(first));
    }
    for (let n = 0; n < 200; n += 1) {
      hold(scene, { affinity: 'everybody' });
      const running = scene.running();
      const mean = running.reduce((sum, one) => sum + one, 0) / running.length;
      expect(Math.max(...running)).toBeLessThanOrEqual(affinityLoadBound * mean + 2);
    }
    expect(Math.min(...scene.running())).toBeGreaterThan(0);
  });

  it('that are given back go to who waits longest', () => {
    const scene = aVirtualFleet([1]);
    const held = hold(scene);
    const [first, second] = [ask(scene), ask(scene)];
    scene.clock.passAtOnce(30);
    held.done('ok');
    expect(first.lease).toMatchObject({ waitedMs: 30 });
    expect(second).toMatchObject({ lease: null, fault: null });
  });

  it('are counted once, however often a holder ends', () => {
    const scene = aVirtualFleet([2]);
    const lease = hold(scene);
    hold(scene);
    lease.done('ok');
    lease.done('failed');
    expect(lease.retry('failed')).toBeNull();
    expect(scene.running()).toEqual([1]);
    expect(scene.fleet.figures()[0]?.ended).toEqual({ ok: 1, failed: 0, cancelled: 0, refused: 0 });
  });
});

describe('an endpoint whose requests fail', () => {
  it('is ejected after five in a row and gets none; what it holds may end', () => {
    const scene = aVirtualFleet([8, 8]);
    const long = holdAt(scene, 'replica-0');
    failAt(scene, 'replica-0', 5);
    expect(scene.states()).toEqual(['ejected', 'up']);
    expect(scene.fleet.figures()[0]).toMatchObject({ reason: 'its requests fail', limit: 0 });
    for (let n = 0; n < 8; n += 1) expect(at(hold(scene))).toBe('replica-1');
    expect(ask(scene).lease).toBeNull();
    long.firstByte(10);
    long.done('ok');
    expect(scene.fleet.figures()[0]).toMatchObject({ state: 'ejected', running: 0, ended: { ok: 1, failed: 5 } });
  });

  it('is tried by one request at a time afterwards, and is back with the first byte', () => {
    const scene = aVirtualFleet([8, 8]);
    failAt(scene, 'replica-0', 5);
    scene.clock.passAtOnce(1_200);
    scene.fleet.tick();
    expect(scene.states()).toEqual(['trial', 'up']);
    const trial = holdAt(scene, 'replica-0');
    for (let n = 0; n < 8; n += 1) expect(at(hold(scene))).toBe('replica-1');
    trial.firstByte(20);
    expect(scene.states()).toEqual(['up', 'up']);
    expect(at(hold(scene))).toBe('replica-0');
  });

  it('is out twice as long when that one fails too', () => {
    const scene = aVirtualFleet([8, 8]);
    failAt(scene, 'replica-0', 5);
    scene.clock.passAtOnce(1_200);
    scene.fleet.tick();
    failAt(scene, 'replica-0', 1);
    expect(scene.states()).toEqual(['ejected', 'up']);
    scene.clock.passAtOnce(1_500);
    scene.fleet.tick();
    expect(scene.states()).toEqual(['ejected', 'up']);
    scene.clock.passAtOnce(1_000);
    scene.fleet.tick();
    expect(scene.states()).toEqual(['trial', 'up']);
  });

  it('stays where others are as bad: at most half are ejected, and never the only one', () => {
    const many = aVirtualFleet([8, 8, 8, 8]);
    serve(many, 400, (lease) => lease.done('failed'));
    expect(many.states().toSorted()).toEqual(['ejected', 'ejected', 'up', 'up']);
    const three = aVirtualFleet([8, 8, 8]);
    serve(three, 400, (lease) => lease.done('failed'));
    expect(three.states().filter((state) => state === 'ejected')).toHaveLength(1);
    const one = aVirtualFleet([8]);
    serve(one, 400, (lease) => lease.done('failed'));
    expect(one.states()).toEqual(['up']);
  });

  it('is not ejected for what clients leave', () => {
    const scene = aVirtualFleet([8, 8]);
    serve(scene, 100, (lease) => lease.done('cancelled'));
    expect(scene.states()).toEqual(['up', 'up']);
  });

  it('or does anything else: the ejected are never more than half, a place is never above its limit, none is lost', () => {
    const step = fc.record({
      act: fc.constantFrom('ask', 'ok', 'failed', 'refused', 'cancelled', 'late', 'tick'),
      pick: fc.nat(1_000),
    });
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 6 }),
        fc.array(step, { maxLength: 300 }),
        (limits, steps) => {
          const scene = aVirtualFleet(limits);
          const held: Lease[] = [];
          const take = (lease: Lease): void => void held.push(lease);
          for (const { act, pick } of steps) {
            const [lease] = act === 'ask' || act === 'tick' || held.length === 0 ? [] : held.splice(pick % held.length, 1);
            if (act === 'ask') scene.fleet.acquire({ affinity: null, tokens: 10, ticket: null }, take, () => undefined);
            else if (act === 'tick') {
              scene.clock.passAtOnce(pick);
              scene.fleet.tick();
            } else if (act === 'late') {
              lease?.firstByte(5_000 + pick);
              lease?.done('ok');
            } else lease?.done(act);
            const figures = scene.fleet.figures();
            expect(2 * figures.filter(({ state }) => state === 'ejected').length).toBeLessThanOrEqual(limits.length);
            for (const [index, { running }] of figures.entries()) expect(running).toBeLessThanOrEqual(limits[index] ?? 0);
            expect(scene.fleet.outstanding).toBe(held.length);
          }
        },
      ),
    );
  });
});

describe('an endpoint that is slow where the others are not', () => {
  const answer = (scene: VirtualFleet, name: string, ttftMs: number): void => {
    const lease = holdAt(scene, name);
    lease.firstByte(ttftMs);
    lease.done('ok');
  };

  it('is ejected by its first tokens, and judged anew when it is back', () => {
    const scene = aVirtualFleet([8, 8, 8]);
    for (let n = 0; n < 6; n += 1) {
      answer(scene, 'replica-0', 50);
      answer(scene, 'replica-1', 900);
      answer(scene, 'replica-2', 60);
    }
    scene.fleet.tick();
    expect(scene.states()).toEqual(['up', 'ejected', 'up']);
    expect(scene.fleet.figures()[1]?.reason).toBe('its first tokens come late');
    scene.clock.passAtOnce(1_200);
    scene.fleet.tick();
    answer(scene, 'replica-1', 900);
    scene.fleet.tick();
    expect(scene.states()).toEqual(['up', 'up', 'up']);
  });

  it('is kept when all are slow', () => {
    const scene = aVirtualFleet([8, 8, 8]);
    for (let n = 0; n < 10; n += 1) for (const name of ['replica-0', 'replica-1', 'replica-2']) answer(scene, name, 900 + 10 * n);
    scene.fleet.tick();
    expect(scene.states()).toEqual(['up', 'up', 'up']);
  });
});

describe('an endpoint that is dead', () => {
  it('lets go of what has had no byte there, and of nothing else', async () => {
    const scene = aVirtualFleet([8, 8]);
    const lost: string[] = [];
    const [silent, begun] = [holdAt(scene, 'replica-0'), holdAt(scene, 'replica-0')];
    begun.firstByte(5);
    silent.lost = () => lost.push('silent');
    begun.lost = () => lost.push('begun');
    const [dead] = scene.endpoints;
    if (dead) dead.health = null;
    scene.fleet.start();
    await scene.clock.pass(4_000);
    expect(scene.states()).toEqual(['down', 'up']);
    expect(lost).toEqual(['silent']);
    await scene.fleet.close(0);
  });

  it('and the last one: the version is out of service, who waits is told so, and it is back with the first page', async () => {
    const scene = aVirtualFleet([1, 1]);
    scene.fleet.start();
    for (const one of scene.endpoints) one.health = refusedConnection;
    const held = [hold(scene), hold(scene)];
    const waiting = ask(scene);
    for (const lease of held) lease.done('failed');
    // The one that waited got a place and fails there as well.
    waiting.lease?.done('failed');
    const late = [ask(scene), ask(scene), ask(scene)];
    await scene.clock.pass(1_000);
    expect(scene.states()).toEqual(['down', 'down']);
    expect(scene.serving).toEqual([false]);
    expect(late[2]?.fault).toMatchObject({ code: 'engine.upstream-unreachable', retryable: true, retryAfterMs: 1_000 });
    expect(ask(scene).fault?.message).toContain('replica-0 is down: the upstream cannot be reached: connect ECONNREFUSED');
    expect(scene.fleet.trouble).toContain('no endpoint of the version can be used');
    for (const one of scene.endpoints) one.health = 200;
    await scene.clock.pass(2_000);
    expect(scene.serving).toEqual([false, true]);
    expect(scene.states()).toEqual(['trial', 'trial']);
    await scene.fleet.close(0);
  });

  it('from the start takes nothing until its page answers', async () => {
    const scene = aVirtualFleet([8, 8], { trouble: ['connection refused', null] });
    expect(scene.states()).toEqual(['down', 'up']);
    for (let n = 0; n < 8; n += 1) expect(at(hold(scene))).toBe('replica-1');
    scene.fleet.start();
    await scene.clock.pass(2_000);
    expect(scene.states()).toEqual(['trial', 'up']);
    await scene.fleet.close(0);
  });
});

describe('three classes', () => {
  it('leave places for those above them: an eighth for evaluations, a quarter for shadows', () => {
    const scene = aVirtualFleet([8, 8]);
    const granted = (priority: 'live' | 'evaluation' | 'shadow'): number => {
      let count = 0;
      while (ask(scene, { priority }).lease !== null) count += 1;
      return count;
    };
    expect([granted('shadow'), granted('evaluation'), granted('live')]).toEqual([12, 2, 2]);
  });

  it('wait in their order, whoever came first', () => {
    const scene = aVirtualFleet([1]);
    const held = hold(scene);
    const shadow = ask(scene, { priority: 'shadow' });
    const evaluation = ask(scene, { priority: 'evaluation' });
    const live = ask(scene, { priority: 'live' });
    held.done('ok');
    expect([live.lease, evaluation.lease, shadow.lease].map((lease) => lease !== null)).toEqual([true, false, false]);
    live.lease?.done('ok');
    expect([evaluation.lease, shadow.lease].map((lease) => lease !== null)).toEqual([true, false]);
    evaluation.lease?.done('ok');
    expect(shadow.lease).not.toBeNull();
  });
});

describe('a request that waits', () => {
  it('leaves the queue with its client, and gets nothing afterwards', () => {
    const scene = aVirtualFleet([1]);
    const held = hold(scene);
    const left = ask(scene);
    const stays = ask(scene);
    left.leave();
    expect(scene.fleet.queued).toBe(1);
    held.done('ok');
    expect(left).toMatchObject({ lease: null, fault: null });
    expect(stays.lease).not.toBeNull();
  });

  it('is refused when its deadline cannot be met any more, before it is over', () => {
    const scene = aVirtualFleet([1]);
    for (let n = 0; n < 50; n += 1) {
      const lease = hold(scene);
      scene.clock.passAtOnce(100);
      lease.done('ok');
    }
    hold(scene);
    const waiting = ask(scene, { deadlineMs: 1_000 });
    expect(waiting.fault).toBeNull();
    scene.clock.passAtOnce(950);
    scene.fleet.tick();
    expect(waiting.fault).toMatchObject({ code: 'engine.overloaded', retryable: true });
    expect(scene.fleet.queued).toBe(0);
  });
});

describe('a fleet that is closed', () => {
  it('takes nothing new, refuses what waits, and is gone when what runs has ended', async () => {
    const scene = aVirtualFleet([1, 1]);
    scene.fleet.start();
    const held = [hold(scene), hold(scene)];
    const waiting = ask(scene);
    let closed = false;
    const closing = scene.fleet.close(60_000).then(() => {
      closed = true;
    });
    expect(waiting.fault).toMatchObject({ code: 'engine.not-loaded', retryable: true });
    expect(ask(scene).fault).toMatchObject({ code: 'engine.not-loaded' });
    await scene.clock.pass(5_000);
    held[0]?.firstByte(5_000);
    held[0]?.done('ok');
    await scene.clock.pass(5_000);
    expect(closed).toBe(false);
    held[1]?.done('ok');
    await scene.clock.pass(100);
    await closing;
    expect(scene.fleet.figures().map(({ ended }) => ended.ok)).toEqual([1, 1]);
  });

  it('waits no longer than it was told', async () => {
    const scene = aVirtualFleet([1]);
    hold(scene);
    const closing = scene.fleet.close(1_000);
    await scene.clock.pass(1_100);
    await closing;
    expect(scene.clock.monotonicMs()).toBe(1_100);
  });
});
