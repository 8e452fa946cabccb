// More than the servers can do, on a clock of its own: what they could give is given, in time, and whoever gets nothing is told so early and with a date.
import { describe, expect, it } from 'vitest';
import { uniforms } from '../../../../../test/support/random.js';
import { aVirtualFleet, leaseRequest, type VirtualFleet, type Wish } from '../../../../../test/support/virtual-fleet.js';
import type { EngineFault } from '../../engine.js';
import type { Lease } from './lease.js';

const deadlineMs = 2_000;
const meanServiceMs = 200;
const warmUpMs = 10_000;
const measuredMs = 30_000;
const tickMs = 50;

interface Told {
  readonly wish: Wish;
  readonly askedMs: number;
  /** Until it was granted; null: never. */
  waitedMs: number | null;
  /** When it was whole, when it was refused, or when its client gave up. */
  endedMs: number;
  fault: EngineFault | null;
  whole: boolean;
}

/** What a server does with a request that it was given: so many at once; more it refuses, or lets them wait unseen. */
class Server {
  private busy = 0;
  private readonly line: (() => void)[] = [];
  waitedMost = 0;
  isDead = false;

  constructor(
    private readonly scene: VirtualFleet,
    private readonly slots: number,
    private readonly whenFull: 'refuses' | 'queues',
  ) {}

  get running(): number {
    return this.busy;
  }

  get waiting(): number {
    return this.line.length;
  }

  serve(ms: number, ended: (how: 'ok' | 'refused' | 'failed', firstMs: number) => void): void {
    const { clock } = this.scene;
    if (this.isDead) return void clock.after(1, () => ended('failed', 0));
    if (this.busy >= this.slots && this.whenFull === 'refuses') return void clock.after(1, () => ended('refused', 0));
    const begin = (): void => {
      this.busy += 1;
      clock.after(ms, () => {
        this.busy -= 1;
        this.line.shift()?.();
        ended(this.isDead ? 'failed' : 'ok', ms / 4);
      });
    };
    if (this.busy < this.slots) return begin();
    this.line.push(begin);
    this.waitedMost = Math.max(this.waitedMost, this.line.length);
  }
}

interface Storm {
  /** Slots of each server. */
  readonly servers: readonly number[];
  /** What the version says of each; default: the truth. */
  readonly told?: readonly number[];
  readonly whenFull?: 'refuses' | 'queues';
  /** Arrivals over capacity. */
  readonly factor: number;
  /** One of them by its share of the arrivals. */
  readonly wishes?: readonly (readonly [share: number, wish: Wish])[];
  /** Milliseconds that a request takes, times the mean. */
  readonly spread?: (uniform: () => number) => number;
  /** Arrivals end then; default: with what is measured. */
  readonly forMs?: number;
  readonly happens?: (scene: VirtualFleet, servers: readonly Server[]) => void;
  readonly seed?: number;
}

interface Outcome {
  /** What could be served in the measured time. */
  readonly capacity: number;
  readonly all: readonly Told[];
  readonly servers: readonly Server[];
}

function pick(wishes: readonly (readonly [share: number, wish: Wish])[], point: number): Wish {
  let sum = 0;
  for (const [share, wish] of wishes) {
    sum += share;
    if (point < sum) return wish;
  }
  throw new Error('the shares make 1');
}

const constant = (): number => 1;
/** Answers of very different lengths, as language models give. */
const exponential = (uniform: () => number): number => -Math.log(1 - uniform());

function storm({
  servers: slots,
  told = slots,
  whenFull = 'refuses',
  factor,
  wishes = [[1, {}]],
  spread = constant,
  forMs = warmUpMs + measuredMs,
  happens,
  seed = 1,
}: Storm): Outcome {
  const scene = aVirtualFleet(told, { seed });
  const { clock, fleet, endpoints } = scene;
  const servers = slots.map((one) => new Server(scene, one, whenFull));
  const uniform = uniforms(seed);
  const all: Told[] = [];

  const ask = (): void => {
    const wish = pick(wishes, uniform());
    const one: Told = { wish, askedMs: clock.monotonicMs(), waitedMs: null, endedMs: Number.NaN, fault: null, whole: false };
    all.push(one);
    const serviceMs = meanServiceMs * spread(uniform);
    const run = (lease: Lease): void => {
      one.waitedMs ??= lease.waitedMs;
      const server = servers[endpoints.findIndex(({ name }) => name === lease.name)] as Server;
      server.serve(serviceMs, (how, firstMs) => {
        if (how === 'ok') {
          lease.firstByte(firstMs);
          lease.done('ok');
          one.whole = true;
        } else {
          const again = lease.retry(how);
          if (again) return run(again);
          one.fault = { code: how === 'refused' ? 'engine.overloaded' : 'engine.upstream-error', message: how, retryable: true };
        }
        one.endedMs = clock.monotonicMs();
      });
    };
    fleet.acquire(leaseRequest({ deadlineMs, ...wish }), run, (fault) => {
      one.fault = fault;
      one.endedMs = clock.monotonicMs();
    });
  };

  const totalSlots = slots.reduce((sum, one) => sum + one, 0);
  const gapMs = meanServiceMs / totalSlots / factor;
  const arrive = (): void => {
    if (clock.monotonicMs() >= forMs) return;
    ask();
    clock.after(gapMs * exponential(uniform), arrive);
  };
  const tick = (): void => {
    for (const [index, server] of servers.entries()) {
      const endpoint = endpoints[index];
      if (endpoint && whenFull === 'queues') endpoint.metrics = { ...endpoint.metrics, running: server.running, waiting: server.waiting };
    }
    fleet.tick();
    clock.after(tickMs, tick);
  };
  arrive();
  tick();
  happens?.(scene, servers);
  clock.passAtOnce(forMs + 5 * deadlineMs);
  return { capacity: (measuredMs / meanServiceMs) * totalSlots, all, servers };
}

const measured = ({ all }: Outcome): Told[] => all.filter(({ askedMs }) => askedMs >= warmUpMs);
const inTime = (one: Told): boolean => one.whole && one.endedMs - one.askedMs <= deadlineMs;
const goodput = (outcome: Outcome): number => measured(outcome).filter(inTime).length / outcome.capacity;

function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN;
}

/** Of those that were given a place, milliseconds from asking to the end. */
const tookP99 = (outcome: Outcome): number =>
  percentile(
    measured(outcome)
      .filter(({ waitedMs }) => waitedMs !== null)
      .map(({ askedMs, endedMs }) => endedMs - askedMs),
    0.99,
  );

/** Everything ended; what has no answer has an honest refusal. */
function expectHonest(outcome: Outcome): void {
  expect(outcome.all.filter(({ endedMs }) => Number.isNaN(endedMs))).toEqual([]);
  expect(outcome.all.filter(({ whole, fault }) => !whole && fault?.code !== 'engine.overloaded')).toEqual([]);
}

describe('three times the capacity', () => {
  it.each<[what: string, Storm]>([
    ['of one server', { servers: [16], factor: 3 }],
    ['of four', { servers: [8, 8, 8, 8], factor: 3 }],
    ['of unequal ones', { servers: [2, 8, 22], factor: 3 }],
    ['with answers of very different lengths', { servers: [16, 16], factor: 3, spread: exponential }],
  ])('%s: nine tenths and more of it are given in time, the accepted wait for less than their deadline', (_, one) => {
    const outcome = storm(one);
    expect(goodput(outcome)).toBeGreaterThanOrEqual(0.9);
    expect(tookP99(outcome) / deadlineMs).toBeLessThanOrEqual(1);
    expectHonest(outcome);
    expect(measured(outcome).filter(({ fault }) => fault !== null && !((fault.retryAfterMs ?? -1) >= 0))).toEqual([]);
  });

  it('refuses nearly everything that it refuses at the door, not after a wait', () => {
    const refused = measured(storm({ servers: [16], factor: 3, spread: exponential })).filter(({ fault }) => fault !== null);
    const late = refused.filter(({ askedMs, endedMs }) => endedMs > askedMs);
    expect(late.length / refused.length).toBeLessThan(0.05);
  });

  it('of servers that refuse what is too much, and whose size nobody told: nearly as much', () => {
    const outcome = storm({ servers: [16, 16], told: [1_024, 1_024], factor: 3 });
    expect(goodput(outcome)).toBeGreaterThanOrEqual(0.9);
    expect(tookP99(outcome) / deadlineMs).toBeLessThanOrEqual(1);
    expectHonest(outcome);
  });

  it('of servers that let it wait, and tell so in their metrics: it waits here and not there', () => {
    const outcome = storm({ servers: [16, 16], told: [1_024, 1_024], whenFull: 'queues', factor: 3 });
    expect(goodput(outcome)).toBeGreaterThanOrEqual(0.9);
    expect(tookP99(outcome) / deadlineMs).toBeLessThanOrEqual(1);
    for (const one of outcome.servers) expect(one.waiting).toBe(0);
  });

  it('while one of three servers dies: what the others can do is given', () => {
    const outcome = storm({
      servers: [16, 16, 16],
      factor: 3,
      happens: ({ clock }, [first]) =>
        clock.at(warmUpMs, () => {
          if (first) first.isDead = true;
        }),
    });
    expect(goodput(outcome)).toBeGreaterThanOrEqual(0.9 * (2 / 3));
    const failed = measured(outcome).filter(({ fault }) => fault?.code === 'engine.upstream-error');
    expect(failed.length / measured(outcome).length).toBeLessThan(0.01);
  });
});

describe('what a refused request is told', () => {
  /** Of twenty that are refused in a storm which then ends: how many are served in time when they ask again after this part of what they were told. */
  function servedAfter(part: number): number {
    let served = 0;
    for (let seed = 1; seed <= 20; seed += 1) {
      const endMs = warmUpMs + seed * 97;
      const happens = ({ clock, fleet }: VirtualFleet): void => {
        const ask = (granted: (lease: Lease) => void, refused: (fault: EngineFault) => void): void =>
          void fleet.acquire(leaseRequest({ deadlineMs }), granted, refused);
        const run = (whole: () => void) => (lease: Lease) =>
          void clock.after(meanServiceMs, () => {
            lease.done('ok');
            whole();
          });
        const again = (): void => {
          const askedMs = clock.monotonicMs();
          const whole = (): void => {
            if (clock.monotonicMs() - askedMs <= deadlineMs) served += 1;
          };
          ask(run(whole), () => undefined);
        };
        const untilRefused = (): void =>
          ask(
            run(() => undefined),
            ({ retryAfterMs = 0 }) => {
              isRefused = true;
              clock.after(part * retryAfterMs, again);
            },
          );
        let isRefused = false;
        clock.at(endMs, () => {
          while (!isRefused) untilRefused();
        });
      };
      storm({ servers: [16], factor: 3, seed, forMs: endMs, happens });
    }
    return served;
  }

  it('is true: asked again then it is served in time, asked again at once it is refused again', () => {
    expect(servedAfter(1.1)).toBeGreaterThanOrEqual(19);
    expect(servedAfter(0)).toBe(0);
  });
});

describe('fairness', () => {
  it('a key that floods takes nothing from one that asks for less than its share', () => {
    const modest: Wish = { tenant: 'modest' };
    // Capacity 1: the flood asks for 2.7 of it, the other for 0.3.
    const outcome = storm({
      servers: [16],
      factor: 3,
      wishes: [
        [0.9, { tenant: 'flood' }],
        [0.1, modest],
      ],
    });
    const own = measured(outcome).filter(({ wish }) => wish === modest);
    expect(own.filter(inTime).length / own.length).toBeGreaterThan(0.99);
    expect(goodput(outcome)).toBeGreaterThanOrEqual(0.9);
  });

  it('two keys that both ask for too much get the same', () => {
    const [one, other]: readonly Wish[] = [{ tenant: 'one' }, { tenant: 'other' }];
    const outcome = storm({
      servers: [16],
      factor: 4,
      wishes: [
        [0.75, one ?? {}],
        [0.25, other ?? {}],
      ],
    });
    const served = (of: Wish | undefined): number => measured(outcome).filter((told) => told.wish === of && inTime(told)).length;
    expect(served(one) / served(other)).toBeGreaterThan(0.8);
    expect(served(one) / served(other)).toBeLessThan(1.25);
  });

  it('users are served before evaluations, and those before shadows', () => {
    const live: Wish = { tenant: 'users' };
    const evaluation: Wish = { tenant: 'evaluator', priority: 'evaluation' };
    const shadow: Wish = { tenant: 'shadow', priority: 'shadow' };
    // Users alone ask for 0.8 of the capacity; all together for three times as much.
    const outcome = storm({
      servers: [16],
      factor: 3,
      wishes: [
        [0.27, live],
        [0.33, evaluation],
        [0.4, shadow],
      ],
    });
    const share = (of: Wish): number => {
      const asked = measured(outcome).filter(({ wish }) => wish === of);
      return asked.filter(inTime).length / asked.length;
    };
    expect(share(live)).toBeGreaterThan(0.99);
    expect(share(shadow)).toBeLessThan(share(evaluation));
    expect(goodput(outcome)).toBeGreaterThanOrEqual(0.8);
  });
});
