// Bounded, fair, honest: what waits, whose turn it is, and what is refused at once.
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import type { Priority } from '../engine.js';
import type { Ask, Work } from './ask.js';
import { ExpectedOutput } from './expected-output.js';
import { type AdmissionOptions, AdmissionQueue } from './queue.js';
import { SpeedEstimate } from './speed.js';

// Thousands of random runs: seconds where others need the machine as well.
vi.setConfig({ testTimeout: 60_000 });

const prior = { stepMs: 10, sequenceMs: 1, promptTokenMs: 0.1 };
const busy = (slots: number): readonly Work[] => Array.from({ length: slots }, () => ({ sequences: 1, inputTokens: 0, outputTokens: 100 }));

/** A queue of ids before an engine whose four slots are busy for 100 tokens each. All output that may be had is expected. */
function queue(options: Partial<AdmissionOptions> = {}): AdmissionQueue<Ask['id']> {
  return new AdmissionQueue({
    maxQueuedTokens: 10_000,
    tenantShare: 1,
    speed: new SpeedEstimate({ prior }),
    expected: new ExpectedOutput(1),
    load: () => ({ running: busy(4), slots: 4 }),
    ...options,
  });
}

let nextId = 0;
function ask(over: Partial<Ask> = {}): Ask {
  nextId += 1;
  return { id: nextId, tenant: 'a', priority: 'live', inputTokens: 50, maxOutputTokens: 50, deadlineMs: null, ...over };
}

function put(to: AdmissionQueue<Ask['id']>, over: Partial<Ask> = {}): Ask['id'] {
  const one = ask(over);
  const offer = to.offer(one.id, one, 0);
  if (!offer.ok) throw new Error(offer.reason);
  return one.id;
}

function drain(from: AdmissionQueue<Ask['id']>): Ask[] {
  const taken: Ask[] = [];
  for (let next = from.take(0); next; next = from.take(0)) taken.push(next.ask);
  return taken;
}

describe('the bounds of the queue', () => {
  it('count tokens of input and expected output, and items', () => {
    const tokens = queue({ maxQueuedTokens: 250 });
    put(tokens);
    put(tokens);
    expect(tokens.queuedTokens).toBe(200);
    expect(tokens.offer(0, ask(), 0)).toMatchObject({ ok: false, reason: 'queue-full' });
    expect(tokens.offer(0, ask({ inputTokens: 1, maxOutputTokens: 49 }), 0).ok).toBe(true);
    const items = queue({ maxItems: 2 });
    put(items);
    put(items);
    expect(items.offer(0, ask(), 0)).toMatchObject({ ok: false, reason: 'queue-full' });
  });

  it('count what answers have really used', () => {
    const expected = new ExpectedOutput();
    for (let i = 0; i < 500; i += 1) expected.observe(4096, 100);
    const one = queue({ expected });
    put(one, { maxOutputTokens: 4096 });
    expect(one.queuedTokens).toBeLessThan(50 + 150);
  });

  it('let an empty queue take anything, or what is larger than the bound could never be served', () => {
    const one = queue({ maxQueuedTokens: 50 });
    put(one);
    expect(one.size).toBe(1);
    expect(one.offer(0, ask(), 0)).toMatchObject({ ok: false, reason: 'queue-full' });
  });

  it('make lower classes give way, newest first, and owe each an answer', () => {
    const one = queue({ maxQueuedTokens: 400 });
    const evaluation = put(one, { priority: 'evaluation' });
    const shadows = [put(one, { priority: 'shadow' }), put(one, { priority: 'shadow' }), put(one, { priority: 'shadow' })];
    const offer = one.offer('x', ask({ inputTokens: 100 }), 0);
    expect(offer.ok && offer.displaced.map(({ item }) => item)).toEqual([shadows[2], shadows[1]]);
    for (const { refusal } of offer.ok ? offer.displaced : []) {
      expect(refusal.reason).toBe('queue-full');
      expect(refusal.retryAfterMs).toBeGreaterThan(0);
    }
    expect(one.remove(evaluation)).toBe(evaluation);
    expect(one.offer(0, ask({ inputTokens: 1000 }), 0)).toMatchObject({ ok: false, reason: 'queue-full' });
    expect(one.ofClass('shadow').items).toBe(1);
  });

  it('refuse an id that waits already and a number of tokens that is none', () => {
    const one = queue();
    put(one, { id: 'twice' });
    expect(() => one.offer('twice', ask({ id: 'twice' }), 0)).toThrow('waits already');
    expect(() => one.offer('nan', ask({ inputTokens: Number.NaN }), 0)).toThrow('NaN tokens');
  });
});

describe('the share of a tenant', () => {
  it('is half of the queue by default, even alone', () => {
    const one = queue({ maxQueuedTokens: 1000, tenantShare: 0.5 });
    for (let i = 0; i < 5; i += 1) put(one);
    expect(one.offer(0, ask(), 0)).toMatchObject({ ok: false, reason: 'tenant-share' });
    expect(one.offer(0, ask({ tenant: 'b' }), 0).ok).toBe(true);
  });

  it('is its weight among those that wait once half of the queue is full', () => {
    const one = queue({ maxQueuedTokens: 1200, weightOf: (tenant) => (tenant === 'heavy' ? 2 : 1) });
    for (const tenant of ['b', 'c']) for (let i = 0; i < 2; i += 1) put(one, { tenant });
    for (let i = 0; i < 6; i += 1) put(one, { tenant: 'heavy' });
    expect(one.offer(0, ask({ tenant: 'heavy' }), 0)).toMatchObject({ ok: false, reason: 'tenant-share' });
    put(one, { tenant: 'b' });
    expect(one.offer(0, ask({ tenant: 'b' }), 0)).toMatchObject({ ok: false, reason: 'tenant-share' });
  });

  it('always has room for one item', () => {
    const one = queue({ maxQueuedTokens: 1000, tenantShare: 0.1 });
    put(one, { inputTokens: 500 });
    expect(one.offer(0, ask(), 0)).toMatchObject({ ok: false, reason: 'tenant-share' });
  });

  it('lets its own shadows give way to its live requests', () => {
    const one = queue({ maxQueuedTokens: 1000, tenantShare: 0.5 });
    const shadows = Array.from({ length: 5 }, () => put(one, { priority: 'shadow' }));
    const offer = one.offer('x', ask(), 0);
    expect(offer.ok && offer.displaced.map(({ item }) => item)).toEqual([shadows[4]]);
    expect(one.ofTenant('a')).toEqual({ items: 5, tokens: 500 });
  });
});

describe('turns', () => {
  it('go to live before evaluation before shadow, and inside a tenant to the first', () => {
    const one = queue({ shadowShare: 0 });
    const ids = (['shadow', 'evaluation', 'live', 'evaluation', 'live'] as const).map((priority) => put(one, { priority }));
    expect(drain(one).map(({ id }) => id)).toEqual([ids[2], ids[4], ids[1], ids[3], ids[0]]);
  });

  it('give shadows their small share of what evaluations get, and nothing of what live gets', () => {
    const one = queue({ maxQueuedTokens: 1e6, shadowShare: 0.1 });
    for (let i = 0; i < 400; i += 1) for (const priority of ['live', 'evaluation', 'shadow'] as const) put(one, { priority });
    const order = drain(one).map(({ priority }) => priority);
    expect(order.slice(0, 400).every((priority) => priority === 'live')).toBe(true);
    const shadows = order.slice(400, 800).filter((priority) => priority === 'shadow').length;
    expect(shadows).toBeGreaterThanOrEqual(34);
    expect(shadows).toBeLessThanOrEqual(40);
  });

  it('serve tenants that keep waiting alike: tokens per weight differ by less than a quantum and the largest items', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 30, maxLength: 30 });
    const weights = fc.constantFrom(0.25, 1, 1, 2, 5);
    const tenant = fc.record({ sizes, weight: weights });
    fc.assert(
      fc.property(fc.array(tenant, { minLength: 2, maxLength: 6 }), fc.integer({ min: 16, max: 4000 }), (tenants, quantumTokens) => {
        const one = queue({
          maxQueuedTokens: 1e9,
          quantumTokens,
          weightOf: (name) => tenants[Number(name)]?.weight ?? 1,
        });
        for (let i = 0; i < 30; i += 1) {
          tenants.forEach((each, name) => {
            put(one, { tenant: String(name), inputTokens: each.sizes[i] ?? 1, maxOutputTokens: 0 });
          });
        }
        const served = tenants.map(() => 0);
        const largest = tenants.map((each) => Math.max(...each.sizes) / each.weight);
        while (tenants.every((_, name) => one.ofTenant(String(name)).items > 0)) {
          const next = one.take(0)?.ask;
          if (!next) throw new Error('something waits');
          const name = Number(next.tenant);
          served[name] = (served[name] ?? 0) + next.inputTokens / (tenants[name]?.weight ?? 1);
          const spread = Math.max(...served) - Math.min(...served);
          expect(spread).toBeLessThanOrEqual(quantumTokens + Math.max(...largest) + 1e-6);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('do not let a burst of 10,000 requests of one tenant delay another by more than a round', () => {
    const one = queue({ maxQueuedTokens: 1e6, maxItems: 20_000, tenantShare: 0.5 });
    let accepted = 0;
    for (let i = 0; i < 10_000; i += 1) accepted += Number(one.offer(0, ask(), 0).ok);
    expect(accepted).toBe(5000);
    const id = put(one, { tenant: 'b' });
    const before = drain(one).findIndex((taken) => taken.id === id);
    expect(before * 100).toBeLessThanOrEqual(512 + 100);
  });

  it('are not bought by asking a full engine again and again', () => {
    const one = queue({ maxQueuedTokens: 1e6 });
    for (let i = 0; i < 100; i += 1) put(one, { tenant: 'large', inputTokens: 1950 });
    for (let i = 0; i < 2000; i += 1) put(one, { tenant: 'small', inputTokens: 50 });
    const served = { large: 0, small: 0 };
    for (let i = 0; i < 200; i += 1) {
      for (let step = 0; step < 10; step += 1) expect(one.take(i, () => false)).toBeNull();
      const { tenant, inputTokens } = one.take(i)?.ask ?? ask();
      served[tenant as keyof typeof served] += inputTokens + 50;
    }
    expect(Math.abs(served.large - served.small)).toBeLessThanOrEqual(512 + 2000);
  });

  it('let others pass what does not fit only so often, and nothing of the same tenant or a lower class', () => {
    const one = queue({ maxPasses: 3, quantumTokens: 2000 });
    const large = put(one, { inputTokens: 900 });
    put(one);
    for (let i = 0; i < 5; i += 1) put(one, { tenant: 'b' });
    put(one, { priority: 'shadow', tenant: 'c' });
    const small = (_: Ask['id'], { inputTokens }: Ask): boolean => inputTokens < 500;
    const passed: string[] = [];
    for (let next = one.take(0, small); next; next = one.take(0, small)) passed.push(next.ask.tenant);
    expect(passed).toEqual(['b', 'b', 'b']);
    put(one, { tenant: 'd' });
    expect(one.take(0, small)).toBeNull();
    expect(one.take(0)?.item).toBe(large);
    expect(one.take(0, small)).not.toBeNull();
  });

  it('let others pass what does not fit only so long', () => {
    const one = queue({ maxPassMs: 1000, quantumTokens: 2000 });
    put(one, { inputTokens: 900 });
    // Nobody could pass: the time has not begun.
    expect(one.take(-5000, () => false)).toBeNull();
    for (let i = 0; i < 3; i += 1) put(one, { tenant: 'b' });
    const small = (_: Ask['id'], { inputTokens }: Ask): boolean => inputTokens < 500;
    expect(one.take(0, small)?.ask.tenant).toBe('b');
    expect(one.take(999, small)?.ask.tenant).toBe('b');
    expect(one.take(1000, small)).toBeNull();
  });
});

describe('deadlines', () => {
  it('are refused at once when the queue ahead makes them impossible, with the time that it would take', () => {
    const one = queue();
    const free = one.offer(0, ask({ deadlineMs: 10_000 }), 0);
    expect(free.ok).toBe(true);
    for (let i = 0; i < 50; i += 1) put(one, { maxOutputTokens: 100 });
    const late = one.offer(0, ask({ deadlineMs: 10_000 }), 0);
    expect(late).toMatchObject({ ok: false, reason: 'deadline' });
    if (late.ok) return;
    expect(late.needMs).toBeGreaterThan(10_000);
    expect(late.retryAfterMs).toBeCloseTo((late.needMs ?? 0) - 10_000, 6);
    expect(late.hopeless).toBeUndefined();
    expect(one.offer(0, ask({ deadlineMs: 10 }), 0)).toMatchObject({ reason: 'deadline', hopeless: true });
    expect(one.offer(0, ask({ deadlineMs: (late.needMs ?? 0) + 1 }), 0).ok).toBe(true);
  });

  it('do not count lower classes, nor what other tenants have behind this one', () => {
    const one = queue({ maxQueuedTokens: 1e6 });
    for (let i = 0; i < 500; i += 1) put(one, { priority: i % 2 ? 'shadow' : 'live', tenant: 'a' });
    expect(one.offer(0, ask({ tenant: 'b', deadlineMs: 10_000 }), 0).ok).toBe(true);
    expect(one.offer(0, ask({ tenant: 'a', deadlineMs: 10_000 }), 0).ok).toBe(false);
  });

  it('take what became impossible out of the queue, not sooner', () => {
    const one = queue();
    const id = put(one, { deadlineMs: 10_000 });
    put(one);
    expect(one.expired(0)).toEqual([]);
    expect(one.expired(8000)).toEqual([]);
    expect(one.expired(10_000)).toMatchObject([{ item: id, waitedMs: 10_000, refusal: { reason: 'deadline' } }]);
    expect(one.size).toBe(1);
  });

  it('are kept when everything goes as predicted', () => {
    const one = queue({ load: () => ({ running: [], slots: 1 }), speed: new SpeedEstimate({ prior }) });
    const taken: number[] = [];
    for (let i = 0; i < 20; i += 1) one.offer(i, ask({ id: `p${i}`, inputTokens: 0, maxOutputTokens: 100, deadlineMs: 11_000 }), 0);
    expect(one.size).toBe(10);
    for (let nowMs = 0; one.size > 0; nowMs += 1100) {
      expect(one.expired(nowMs)).toEqual([]);
      one.take(nowMs);
      taken.push(nowMs + 1100);
    }
    expect(Math.max(...taken)).toBeLessThanOrEqual(11_000);
  });
});

describe('the time to try again', () => {
  it('shrinks as the queue drains, to nothing when the ask would be accepted', () => {
    for (const over of [{}, { deadlineMs: 6000 }] as const) {
      const one = queue({ maxQueuedTokens: 5000 });
      for (let i = 0; i < 50; i += 1) put(one);
      let before = Number.POSITIVE_INFINITY;
      for (;;) {
        const offer = one.offer('again', ask({ id: 'again', inputTokens: 500, ...over }), 0);
        if (offer.ok) break;
        expect(offer.retryAfterMs).toBeGreaterThan(0);
        expect(offer.retryAfterMs).toBeLessThan(before);
        before = offer.retryAfterMs;
        one.take(0);
      }
      expect(one.size).toBeLessThan(50);
    }
  });
});

describe('conservation', () => {
  it('lets every accepted item leave exactly once, and keeps every count and bound', () => {
    const priority = fc.constantFrom<Priority>('live', 'evaluation', 'shadow');
    const act = fc.record({
      kind: fc.constantFrom('offer', 'offer', 'offer', 'take', 'remove', 'expired'),
      tenant: fc.constantFrom('a', 'b', 'c', 'd'),
      priority,
      inputTokens: fc.integer({ min: 0, max: 400 }),
      maxOutputTokens: fc.integer({ min: 0, max: 400 }),
      choices: fc.constantFrom(1, 1, 2),
      deadlineMs: fc.option(fc.integer({ min: 0, max: 30_000 })),
      pick: fc.nat(),
      room: fc.integer({ min: 100, max: 1000 }),
      passMs: fc.nat(500),
    });
    const weights: Record<string, number> = { a: 1, b: 1, c: 3, d: 0.5 };
    fc.assert(
      fc.property(fc.array(act, { maxLength: 150 }), (acts) => {
        const one = queue({ maxQueuedTokens: 3000, maxItems: 12, tenantShare: 0.5, weightOf: (tenant) => weights[tenant] ?? 1 });
        const waiting = new Map<Ask['id'], Ask>();
        const leave = (id: Ask['id']): void => {
          expect(waiting.delete(id)).toBe(true);
        };
        let nowMs = 0;
        acts.forEach(({ kind, pick, room, passMs, ...over }, index) => {
          nowMs += passMs;
          if (kind === 'offer') {
            const asked: Ask = { id: index, ...over };
            const offer = one.offer(index, asked, nowMs);
            if (offer.ok) {
              for (const { item, ask: gone } of offer.displaced) {
                leave(item);
                expect(['live', 'evaluation'].includes(asked.priority) && gone.priority !== 'live').toBe(true);
              }
              waiting.set(index, asked);
              const own = one.ofTenant(asked.tenant);
              if (own.items > 1) expect(own.tokens).toBeLessThanOrEqual(1500);
            } else {
              expect(offer.retryAfterMs).toBeGreaterThanOrEqual(0);
              expect(Number.isFinite(offer.retryAfterMs)).toBe(true);
            }
          } else if (kind === 'take') {
            const next = one.take(nowMs, (_, { inputTokens }) => inputTokens <= room);
            if (next) {
              leave(next.item);
              const earlier = [...waiting.values()].find(
                (other) => other.tenant === next.ask.tenant && other.priority === next.ask.priority,
              );
              if (earlier) expect(Number(earlier.id)).toBeGreaterThan(Number(next.item));
            }
          } else if (kind === 'remove') {
            const id = [...waiting.keys()][pick % Math.max(1, waiting.size)];
            if (id !== undefined) {
              expect(one.remove(id)).toBe(id);
              leave(id);
              expect(one.remove(id)).toBeUndefined();
            }
          } else {
            for (const { item } of one.expired(nowMs)) leave(item);
          }
          expect(one.size).toBe(waiting.size);
          if (one.size > 1) expect(one.queuedTokens).toBeLessThanOrEqual(3000);
          expect(one.size).toBeLessThanOrEqual(12);
          const asks = [...waiting.values()];
          for (const name of Object.keys(weights))
            expect(one.ofTenant(name).items).toBe(asks.filter(({ tenant }) => tenant === name).length);
          for (const name of ['live', 'evaluation', 'shadow'] as const) {
            expect(one.ofClass(name).items).toBe(asks.filter((other) => other.priority === name).length);
          }
        });
        for (const { item } of one.expired(1e9)) leave(item);
        for (let next = one.take(nowMs); next; next = one.take(nowMs)) leave(next.item);
        expect([waiting.size, one.size, one.queuedTokens]).toEqual([0, 0, 0]);
      }),
      { numRuns: 200 },
    );
  });
});
