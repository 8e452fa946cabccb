// The upstream must not be the queue: how refusals and its own waiting requests bring an endpoint's limit down, and answers bring it back.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Ceiling } from './ceiling.js';

describe('a ceiling', () => {
  it('is the limit while nobody objects', () => {
    const ceiling = new Ceiling(64);
    for (let n = 0; n < 100; n += 1) ceiling.answered();
    ceiling.measured(50, 50, 0);
    expect(ceiling.requests).toBe(64);
  });

  it('comes down below what was refused, once for a burst', () => {
    const ceiling = new Ceiling(1_000);
    ceiling.refused(101, 0, 10);
    expect(ceiling.requests).toBe(90);
    for (let n = 0; n < 20; n += 1) ceiling.refused(100 - n, 5, 10 + n);
    expect(ceiling.requests).toBe(90);
    ceiling.refused(90, 11, 40);
    expect(ceiling.requests).toBe(80);
  });

  it('does not heed the refusal of a request that was alone', () => {
    const ceiling = new Ceiling(8);
    ceiling.refused(1, 0, 1);
    expect(ceiling.requests).toBe(8);
  });

  it('finds a capacity that nobody told, and refusals are then few', () => {
    const capacity = 40;
    const ceiling = new Ceiling(1_024);
    let outstanding = 0;
    let refused = 0;
    let served = 0;
    let held = 0;
    for (let ms = 1; ms <= 5_000; ms += 1) {
      // There is always more to send; one answer ends per millisecond.
      while (outstanding < ceiling.requests) {
        outstanding += 1;
        if (outstanding <= capacity) continue;
        ceiling.refused(outstanding, ms, ms);
        outstanding -= 1;
        refused += 1;
      }
      if (outstanding === 0) continue;
      outstanding -= 1;
      served += 1;
      ceiling.answered();
      held += outstanding;
    }
    expect(refused).toBeLessThan(0.06 * served);
    expect(held / 5_000).toBeGreaterThan(0.85 * capacity);
  });

  it('follows what runs in the upstream when more waits there than a scheduler needs', () => {
    const ceiling = new Ceiling(1_024);
    // All 400 are ours: 256 run, 144 wait. 288 = 256 and the eighth that may wait.
    ceiling.measured(400, 256, 144);
    expect(ceiling.requests).toBe(288);
    ceiling.measured(288, 256, 32);
    expect(ceiling.requests).toBe(288);
    ceiling.answered();
    ceiling.answered();
    ceiling.answered();
    ceiling.answered();
    expect(ceiling.requests).toBe(289);
  });

  it('comes down by our share where others use the upstream as well', () => {
    const ceiling = new Ceiling(1_024);
    // 100 of 400 are ours.
    ceiling.measured(100, 256, 144);
    expect(ceiling.requests).toBe(72);
  });

  it('is never below 1 nor above the limit', () => {
    const event = fc.oneof(
      fc.record({ kind: fc.constant('refused' as const), outstanding: fc.nat(2_000) }),
      fc.record({ kind: fc.constant('measured' as const), outstanding: fc.nat(2_000), running: fc.nat(2_000), waiting: fc.nat(5_000) }),
      fc.record({ kind: fc.constant('answered' as const) }),
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_024 }), fc.array(event, { maxLength: 200 }), (limit, events) => {
        const ceiling = new Ceiling(limit);
        for (const [ms, one] of events.entries()) {
          if (one.kind === 'refused') ceiling.refused(one.outstanding, ms, ms);
          else if (one.kind === 'measured') ceiling.measured(one.outstanding, one.running, one.waiting);
          else ceiling.answered();
          expect(ceiling.requests).toBeGreaterThanOrEqual(1);
          expect(ceiling.requests).toBeLessThanOrEqual(limit);
        }
      }),
    );
  });
});
