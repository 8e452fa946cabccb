// Who may send a request a second time: to another endpoint, or to the same one over a fresh connection, and how often.
import { describe, expect, it } from 'vitest';
import { aVirtualFleet, hold } from '../../../../../test/support/virtual-fleet.js';

describe('a second try', () => {
  it('goes to another endpoint, once', () => {
    const scene = aVirtualFleet([8, 8]);
    const first = hold(scene);
    const second = first.retry('failed');
    expect(second?.name).not.toBe(first.name);
    expect(second?.retry('failed')).toBeNull();
    expect(scene.fleet.outstanding).toBe(0);
  });

  it('is not made after the first byte, nor without another endpoint', () => {
    const begun = hold(aVirtualFleet([8, 8]));
    begun.firstByte(5);
    expect(begun.retry('failed')).toBeNull();
    expect(hold(aVirtualFleet([8])).retry('failed')).toBeNull();
  });

  it('is made for a tenth of the requests', () => {
    const scene = aVirtualFleet([8, 8]);
    let retries = 0;
    for (let n = 0; n < 400; n += 1) {
      const again = hold(scene).retry('refused');
      if (again) retries += 1;
      again?.done('ok');
      // One at each: an endpoint that only refuses would be ejected.
      const [one, other] = [hold(scene), hold(scene)];
      one.done('ok');
      other.done('ok');
    }
    // Of 1,200 requests, and the ten that are given in advance.
    expect(retries).toBeGreaterThanOrEqual(120);
    expect(retries).toBeLessThanOrEqual(130);
  });

  it('over a fresh connection to the same endpoint comes out of the same tenth, once, before the first byte, and is no failure', () => {
    const scene = aVirtualFleet([8, 8]);
    const lease = hold(scene);
    expect([lease.resend(), lease.resend()]).toEqual([true, false]);
    lease.done('ok');
    const begun = hold(scene);
    begun.firstByte(5);
    expect(begun.resend()).toBe(false);
    begun.done('ok');
    let resent = 0;
    for (let n = 0; n < 1_000; n += 1) {
      const one = hold(scene);
      if (one.resend()) resent += 1;
      one.done('ok');
    }
    expect(resent).toBeGreaterThanOrEqual(100);
    expect(resent).toBeLessThanOrEqual(110);
    expect(scene.fleet.figures().map(({ ended }) => ended.failed)).toEqual([0, 0]);
  });
});
