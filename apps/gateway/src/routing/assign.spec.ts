// The coin is independent, honest about its weight, and keeps units on the candidate as the weight grows.
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Route } from '#libs/rollout';
import { chiSquare, runsTest } from '../../../../test/bench/gateway/rows/coin.mjs';
import { assign, pointOf } from './assign.js';

const salt = '9f86d081884c7d659a2feaa0c55ad015';
const route = (weight: number): Route => ({
  model: 'support',
  stable: 'v1',
  rollout: { id: 'r1', candidate: 'v2', weight, epoch: 3, salt },
});

describe('assignment', () => {
  it('sends the share of units that the weight names, within five standard deviations', () => {
    const n = 20_000;
    for (const weight of [0.01, 0.25, 0.5]) {
      const seen = Array.from({ length: n }, () => assign(route(weight), randomUUID(), { candidate: true, control: true })?.arm).filter(
        (arm) => arm === 'candidate',
      ).length;
      expect(Math.abs(seen - n * weight)).toBeLessThan(5 * Math.sqrt(n * weight * (1 - weight)));
    }
  });

  it.each([0.01, 0.05, 0.5])('is a coin by its counts and by their order: 200,000 units at weight %f', (weight) => {
    const outcomes = Uint8Array.from({ length: 200_000 }, (_, at) =>
      assign(route(weight), `unit-${at}`, { candidate: true, control: true })?.arm === 'candidate' ? 1 : 0,
    );
    const hits = outcomes.reduce((sum, one) => sum + one, 0);
    // The level of the benchmark, which draws afresh each time; these units are fixed.
    expect(chiSquare(hits, outcomes.length, weight).p).toBeGreaterThan(0.00001);
    expect(runsTest(outcomes).p).toBeGreaterThan(0.00001);
  });

  it('never moves a unit back, however often the weight grows', () => {
    const weights = [0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1];
    for (let at = 0; at < 20_000; at += 1) {
      const arms = weights.map((weight) => assign(route(weight), `user-${at}`, { candidate: true, control: true })?.arm);
      expect(arms.lastIndexOf('stable')).toBeLessThan(arms.indexOf('candidate'));
    }
  });

  it('keeps a unit on the candidate when the weight grows', () => {
    fc.assert(
      fc.property(fc.string(), fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }), (unit, a, b) => {
        const [low, high] = a < b ? [a, b] : [b, a];
        if (low > 0 && assign(route(low), unit, { candidate: true, control: true })?.arm === 'candidate')
          expect(assign(route(high), unit, { candidate: true, control: true })?.arm).toBe('candidate');
      }),
    );
  });

  it('gives every point in [0, 1) and an unrelated one under another salt', () => {
    fc.assert(
      fc.property(fc.string(), (unit) => {
        expect(pointOf(salt, unit)).toBeGreaterThanOrEqual(0);
        expect(pointOf(salt, unit)).toBeLessThan(1);
        expect(pointOf(salt, unit)).not.toBe(pointOf('00112233445566778899aabbccddeeff', unit));
      }),
    );
  });

  it('draws no coin when the candidate cannot be served: such answers belong to no arm', () => {
    expect(assign(route(0.5), 'u', { candidate: false, control: true })).toEqual({
      versionId: 'v1',
      arm: null,
      rolloutId: null,
      epoch: null,
    });
    expect(assign(route(0), 'u', { candidate: true, control: true })?.arm).toBeNull();
  });

  it('sends everybody to the candidate at weight 1', () => {
    fc.assert(fc.property(fc.string(), (unit) => assign(route(1), unit, { candidate: true, control: true })?.arm === 'candidate'));
  });

  it('takes the control arm from the other end: no unit of the candidate, no more than its weight, and none that had the candidate before', () => {
    const of = (weight: number, control: number) => ({
      ...route(weight),
      rollout: { ...route(weight).rollout, control: { version: 'v3', weight: control } } as NonNullable<Route['rollout']>,
    });
    const both = { candidate: true, control: true };
    const n = 20_000;
    let controls = 0;
    for (let at = 0; at < n; at += 1) {
      const unit = `user-${at}`;
      const [small, large] = [assign(of(0.05, 0.05), unit, both), assign(of(0.5, 0.5), unit, both)];
      if (small?.arm === 'control') controls += 1;
      if (small?.arm !== 'stable') expect(large?.arm).toBe(small?.arm);
      expect(large?.arm).not.toBe('stable');
      if (small?.arm === 'control') expect(small).toEqual({ versionId: 'v3', arm: 'control', rolloutId: 'r1', epoch: 3 });
      expect(assign(of(0.9, 0.5), unit, both)?.arm).toBe(assign(route(0.9), unit, both)?.arm === 'candidate' ? 'candidate' : 'control');
    }
    expect(Math.abs(controls - n * 0.05)).toBeLessThan(5 * Math.sqrt(n * 0.05 * 0.95));
  });

  it('sends units of a control that cannot be served to stable, as nobody of the comparison', () => {
    const all = {
      ...route(0.5),
      rollout: { ...route(0.5).rollout, control: { version: 'v3', weight: 0.5 } } as NonNullable<Route['rollout']>,
    };
    const arms = Array.from({ length: 200 }, (_, at) => assign(all, `user-${at}`, { candidate: true, control: false }));
    for (const one of arms) {
      if (one?.arm !== 'candidate') expect(one).toEqual({ versionId: 'v1', arm: null, rolloutId: null, epoch: null });
    }
    expect(new Set(arms.map((one) => one?.arm))).toEqual(new Set(['candidate', null]));
  });

  it('answers null for a model without a version in service', () => {
    expect(assign({ model: 'm', stable: null, rollout: null }, 'u', { candidate: true, control: true })).toBeNull();
  });
});
