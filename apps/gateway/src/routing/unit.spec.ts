// Which unit a request belongs to, and that a unit is counted once.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { scanBody } from '#libs/openai';
import type { Route, StickyBy } from '#libs/rollout';
import { assign } from './assign.js';
import { FirstAnswers } from './first-answers.js';
import { namedUnit } from './unit.js';

const route = (stickyBy?: StickyBy, weight = 0.5, id = 'r1'): Route => ({
  model: 'support',
  stable: 'v1',
  rollout: { id, candidate: 'v2', weight, epoch: 3, salt: '9f86d081884c7d65', ...(stickyBy ? { stickyBy } : {}) },
});

function unit(body: object, { header = null, of = route('user') }: { header?: string | null; of?: Route } = {}): string | null {
  const scanned = scanBody(Buffer.from(JSON.stringify({ model: 'support', ...body })));
  if (!scanned.ok) throw new Error(scanned.fault.message);
  return namedUnit(of, header, scanned.value);
}

describe('the unit of a request', () => {
  it("is the end user of the body, by OpenAI's newer name first, where the plan says so", () => {
    expect(unit({ user: 'ann' })).toBe('ann');
    expect(unit({ user: 'ann', safety_identifier: 'hash-of-ann' })).toBe('hash-of-ann');
    expect(unit({ safety_identifier: null, user: 'ann' })).toBe('ann');
    expect(unit({ user: '', prompt_cache_key: 'faq' })).toBeNull();
    expect(unit({ user: 'a\u0000"\u{1f600}' })).toBe('a\u0000"\u{1f600}');
  });

  it('is nobody but itself where the plan does not say so, or no rollout runs', () => {
    for (const of of [route(), route('request'), { ...route('user'), rollout: null }]) expect(unit({ user: 'ann' }, { of })).toBeNull();
  });

  it('is what the header names, whatever body and plan say', () => {
    for (const of of [route(), route('user')]) expect(unit({ user: 'ann' }, { header: 'talk-7', of })).toBe('talk-7');
  });

  it('is bounded: of a name that is longer its beginning', () => {
    expect(unit({ safety_identifier: 'x'.repeat(10_000) })).toBe('x'.repeat(512));
  });

  it('has the same arm in each request, and keeps the candidate while the weight grows', () => {
    const weight = fc.double({ min: 0.001, max: 1, noNaN: true });
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.array(weight, { minLength: 1, maxLength: 8 }), (user, weights) => {
        const arms = weights
          .toSorted((a, b) => a - b)
          .map((each) => assign(route('user', each), unit({ user, n: each }) ?? 'none', { candidate: true, control: true })?.arm);
        expect(arms).toEqual([...arms.filter((arm) => arm === 'stable'), ...arms.filter((arm) => arm === 'candidate')]);
      }),
    );
  });
});

describe('the comparison', () => {
  const answered = (unit: string, named = true, id = 'r1', weight = 0.5) => {
    const of = route('user', weight, id);
    const assignment = assign(of, unit, { candidate: true, control: true });
    if (!assignment) throw new Error('no version in service');
    return { route: of, assignment, unit, named };
  };

  it('has the first answer of each named unit, in its arm, and no later one', () => {
    const first = new FirstAnswers();
    for (const name of ['ann', 'bob', 'cleo']) {
      const { assignment } = answered(name);
      expect(first.compared(answered(name))).toMatchObject({ rolloutId: 'r1', epoch: 3, arm: assignment.arm });
      for (let i = 0; i < 3; i += 1) expect(first.compared(answered(name))).toEqual({ rolloutId: null, epoch: null, arm: null });
    }
  });

  it('has all answers of units that are no more than a request, and those of another rollout', () => {
    const first = new FirstAnswers();
    for (const id of ['r1', 'r2']) expect(first.compared(answered('ann', true, id)).arm).not.toBeNull();
    for (let i = 0; i < 3; i += 1) expect(first.compared(answered('ann', false)).arm).not.toBeNull();
  });

  it('has nearly all of many units, and as many of either arm as the coin gives', () => {
    const first = new FirstAnswers();
    const arms = Array.from({ length: 50_000 }, (_, at) => first.compared(answered(`user-${at}`)).arm).filter((arm) => arm !== null);
    expect(arms.length).toBeGreaterThan(49_000);
    const candidate = arms.filter((arm) => arm === 'candidate').length;
    expect(Math.abs(candidate - arms.length / 2)).toBeLessThan(4 * Math.sqrt(arms.length / 4));
  });

  it('has no arm when none was drawn', () => {
    expect(new FirstAnswers().compared(answered('ann', true, 'r1', 0))).toMatchObject({ arm: null });
  });
});
