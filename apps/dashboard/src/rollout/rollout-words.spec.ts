import { describe, expect, it } from 'vitest';
import type { RolloutEventResource, RolloutResource } from '#libs/contract';
import { commandsFor, consequence } from './commands.js';
import { incidentText } from './incident-text.js';
import { stepDots } from './steps.js';
import { movement } from './traffic-text.js';
import { whiskerOf } from './whisker-shape.js';

const rollout: RolloutResource = {
  id: '00000000-0000-4000-8000-000000000001',
  model: 'support',
  stable: { id: 's', label: 'v1' },
  candidate: { id: 'c', label: 'v2' },
  phase: 'progressing',
  step: 1,
  stepCount: 3,
  weightPct: 25,
  since: 0,
  reason: null,
  sentence: 'v2 takes 25% of the traffic beside v1.',
  generation: 7,
  observedGeneration: 7,
  delivery: 'applied on 2 of 2',
  settled: true,
  earlier: { rollouts: 0, exposed: 0, spentAlpha: 0 },
  gateways: { live: 2, applied: 2, missing: [] },
  plan: { steps: [{ weightPct: 5 }, { weightPct: 25 }, { weightPct: 50 }] },
  revision: 3,
  createdAt: 0,
  createdBy: 'key:ci',
  endedAt: null,
};

describe('the buttons', () => {
  it('begin with the way back wherever there is one', () => {
    for (const phase of ['pending', 'gating', 'progressing', 'baking', 'paused'] as const) expect(commandsFor(phase)[0]).toBe('rollback');
  });

  it('are gone once the rollout has ended', () => {
    for (const phase of ['promoted', 'rolledBack', 'aborted'] as const) expect(commandsFor(phase)).toEqual([]);
  });

  it('say beforehand how much traffic moves', () => {
    expect(consequence('rollback', rollout)).toContain('v2 goes from 25% of the traffic to 0%; v1 answers everything');
    expect(consequence('rollback', { ...rollout, weightPct: 0 })).toContain('takes no traffic');
  });
});

describe('the movement of traffic', () => {
  it('is told as done only when every live gateway confirmed it', () => {
    const moving = movement({ ...rollout, phase: 'rolledBack', weightPct: 0, gateways: { live: 2, applied: 1, missing: ['gateway-b'] } });
    expect(moving).toEqual({ tone: 'wait', text: 'Traffic is moving: 1 of 2 gateways confirmed; waiting for gateway-b.' });
    expect(movement({ ...rollout, phase: 'rolledBack', weightPct: 0 })).toEqual({
      tone: 'good',
      text: 'All 2 gateways confirmed: 0% of the traffic is on v2.',
    });
  });

  it('is unknown when no gateway reports', () => {
    expect(movement({ ...rollout, gateways: { live: 0, applied: 0, missing: [] } }).tone).toBe('wait');
  });
});

describe('the steps', () => {
  it('show what is behind, now and ahead', () => {
    expect(stepDots(rollout, false).map(({ label, state }) => `${label} ${state}`)).toEqual([
      '5% done',
      '25% now',
      '50% ahead',
      'bake ahead',
    ]);
    expect(stepDots({ ...rollout, phase: 'baking', step: 2 }, true).map(({ state }) => state)).toEqual(['done', 'done', 'done', 'now']);
  });

  it('stay where a rollback found them', () => {
    expect(stepDots({ ...rollout, phase: 'rolledBack' }, false).map(({ state }) => state)).toEqual(['done', 'done', 'ahead', 'ahead']);
  });

  it('are all behind a promotion', () => {
    expect(stepDots({ ...rollout, phase: 'promoted', step: null }, false).every(({ state }) => state === 'done')).toBe(true);
  });
});

describe('the text for an incident', () => {
  it('holds the sentence, the newest events first and the address, and no markup of others', () => {
    const event = (seq: number, sentence: string): RolloutEventResource => ({
      seq,
      rolloutId: rollout.id,
      at: seq * 1000,
      actor: 'controller',
      transition: 'advance',
      fromPhase: 'progressing',
      toPhase: 'progressing',
      weightPct: 25,
      reason: { code: 'proof' },
      sentence,
      generation: 7,
      evidence: null,
    });
    const text = incidentText(rollout, [event(1, 'first'), event(2, 'said `rm`\n# loud')], 'http://serin/rollouts/1');
    const lines = text.split('\n');
    expect(lines[0]).toBe('**support: v1 → v2**');
    expect(lines[2]).toBe(rollout.sentence);
    expect(lines[5]).toBe("- 1970-01-01 00:00:02.000 UTC `said 'rm' # loud`");
    expect(lines[6]).toContain('first');
    expect(lines.at(-1)).toBe('http://serin/rollouts/1');
  });
});

describe('the picture of a finding', () => {
  it('stands between its margins with zero in the middle', () => {
    const shape = whiskerOf({ effect: 0, lower: -0.05, upper: 0.05, marginUp: 0.1, marginDown: -0.1 }, 100);
    expect(shape).toMatchObject({ zero: 50, effect: 50, margins: [68, 32], interval: { cutLeft: false, cutRight: false } });
  });

  it('says when the interval goes on beyond it', () => {
    expect(whiskerOf({ effect: 3, lower: 0.05, upper: null, marginUp: 0.1, marginDown: null }, 100)).toMatchObject({
      effect: 95,
      interval: { to: 95, cutLeft: false, cutRight: true },
    });
  });

  it('is none without a number', () => {
    expect(whiskerOf({ effect: null, lower: null, upper: null, marginUp: 0.1, marginDown: null }, 100)).toBeNull();
  });
});
