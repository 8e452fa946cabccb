// The measured speed and what it predicts: never sooner for more work ahead, right where the model is.
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import type { EngineLoad, Work } from './ask.js';
import { SpeedEstimate } from './speed.js';
import { type StepCost, StepCostFit } from './step-cost.js';
import { stepsUntilTurn } from './wait-steps.js';

// Thousands of random runs: seconds where others need the machine as well.
vi.setConfig({ testTimeout: 60_000 });

const prior: StepCost = { stepMs: 30, sequenceMs: 3, promptTokenMs: 3 };
const costs = fc.record({
  stepMs: fc.double({ min: 0.1, max: 100, noNaN: true }),
  sequenceMs: fc.double({ min: 0.01, max: 20, noNaN: true }),
  promptTokenMs: fc.double({ min: 0.001, max: 10, noNaN: true }),
});
const ms = (cost: StepCost, sequences: number, prefillTokens: number): number =>
  cost.stepMs + cost.sequenceMs * sequences + cost.promptTokenMs * prefillTokens;

describe('the cost of a step', () => {
  it('is predicted within a few percent once steps of many shapes were seen, a hundred times faster or slower than assumed', () => {
    fc.assert(
      fc.property(costs, (cost) => {
        const fit = new StepCostFit(prior);
        for (let i = 0; i < 400; i += 1) {
          const shape = { sequences: (i * 7) % 33, prefillTokens: i % 3 === 0 ? (i * 37) % 512 : 0 };
          fit.observe({ ...shape, ms: ms(cost, shape.sequences, shape.prefillTokens) });
        }
        for (const [sequences, prefillTokens] of [
          [1, 0],
          [32, 0],
          [16, 256],
          [0, 512],
        ] as const) {
          expect(ms(fit.cost, sequences, prefillTokens) / ms(cost, sequences, prefillTokens)).toBeCloseTo(1, 1);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('keeps the proportions of the prior where all steps look alike, at the measured scale', () => {
    const fit = new StepCostFit(prior);
    for (let i = 0; i < 300; i += 1) fit.observe({ sequences: 10, prefillTokens: 0, ms: 6 });
    expect(fit.cost.stepMs).toBeCloseTo(3, 2);
    expect(fit.cost.sequenceMs).toBeCloseTo(0.3, 3);
    expect(fit.cost.promptTokenMs).toBeCloseTo(0.3, 3);
  });

  it('does not forget what a prompt costs during a long answer', () => {
    const cost = { stepMs: 5, sequenceMs: 1, promptTokenMs: 0.02 };
    const fit = new StepCostFit(prior);
    for (let i = 0; i < 100; i += 1) fit.observe({ sequences: i % 8, prefillTokens: 200 + i, ms: ms(cost, i % 8, 200 + i) });
    for (let i = 0; i < 20_000; i += 1) fit.observe({ sequences: 1 + (i % 8), prefillTokens: 0, ms: ms(cost, 1 + (i % 8), 0) });
    expect(fit.cost.promptTokenMs / cost.promptTokenMs).toBeCloseTo(1, 1);
  });

  it('follows a machine that became slower', () => {
    const fit = new StepCostFit(prior);
    for (let i = 0; i < 1000; i += 1) fit.observe({ sequences: 1 + (i % 8), prefillTokens: 0, ms: i < 500 ? 10 : 40 });
    expect(ms(fit.cost, 4, 0)).toBeGreaterThan(35);
  });

  it('is never negative, whatever the clock says', () => {
    const step = fc.record({ sequences: fc.nat(64), prefillTokens: fc.nat(512), ms: fc.double({ min: 1e-3, max: 1e5, noNaN: true }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const fit = new StepCostFit(prior);
        for (const one of steps) if (one.sequences + one.prefillTokens > 0) fit.observe(one);
        for (const value of Object.values(fit.cost)) expect(value).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});

describe('the turn of a sequence', () => {
  const running = fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 20 });

  it('comes at once with a slot free, and with the next release when nothing is ahead', () => {
    expect(stepsUntilTurn({ sequences: 0, steps: 0 }, [50, 7], 3)).toBe(0);
    expect(stepsUntilTurn({ sequences: 0, steps: 0 }, [50, 7, 90], 3)).toBe(7);
    expect(stepsUntilTurn({ sequences: 1, steps: 100 }, [50, 7, 90], 3)).toBe(50);
  });

  it('comes on one slot when everything ahead is done', () => {
    expect(stepsUntilTurn({ sequences: 3, steps: 300 }, [50], 1)).toBe(350);
  });

  it('never comes sooner for more ahead, in number or in steps, or for longer runs', () => {
    fc.assert(
      fc.property(
        running,
        fc.integer({ min: 1, max: 20 }),
        fc.nat(60),
        fc.nat(5000),
        fc.nat(10),
        fc.nat(500),
        (runs, slots, k, w, dk, dw) => {
          const before = stepsUntilTurn({ sequences: k, steps: w }, runs, slots);
          expect(stepsUntilTurn({ sequences: k + dk, steps: w + dw }, runs, slots)).toBeGreaterThanOrEqual(before - 1e-9);
          const longer = runs.map((steps, index) => steps + (index === dk ? dw : 0));
          expect(stepsUntilTurn({ sequences: k, steps: w }, longer, slots)).toBeGreaterThanOrEqual(before - 1e-9);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('a prediction', () => {
  const work = fc.record({ sequences: fc.nat(40), inputTokens: fc.nat(20_000), outputTokens: fc.nat(20_000) });
  const load = fc.record({
    slots: fc.integer({ min: 1, max: 16 }),
    running: fc.array(fc.record({ sequences: fc.constant(1), inputTokens: fc.nat(1000), outputTokens: fc.nat(500) }), { maxLength: 16 }),
  });
  const own = fc.record({ sequences: fc.integer({ min: 1, max: 4 }), inputTokens: fc.nat(2000), outputTokens: fc.nat(2000) });

  it('is never sooner for more work ahead, and the wait never longer than the whole', () => {
    fc.assert(
      fc.property(work, work, load, own, costs, (ahead, more, now: EngineLoad, mine, cost) => {
        const speed = new SpeedEstimate({ prior: cost });
        for (let i = 0; i < 10; i += 1) speed.observe({ sequences: i, prefillTokens: 100, ms: ms(cost, i, 100) });
        const sum: Work = {
          sequences: ahead.sequences + more.sequences,
          inputTokens: ahead.inputTokens + more.inputTokens,
          outputTokens: ahead.outputTokens + more.outputTokens,
        };
        const before = speed.predict(ahead, now, mine);
        const after = speed.predict(sum, now, mine);
        expect(after.finishMs).toBeGreaterThanOrEqual(before.finishMs * (1 - 1e-9));
        expect(after.waitMs).toBeGreaterThanOrEqual(before.waitMs * (1 - 1e-9));
        expect(before.waitMs).toBeLessThanOrEqual(before.finishMs);
        expect(Number.isFinite(before.finishMs)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('believes the prior before the first step and the steps after it', () => {
    const speed = new SpeedEstimate({ prior: { stepMs: 10, sequenceMs: 1, promptTokenMs: 1 }, priorChunkTokens: 100 });
    const idle = { running: [], slots: 4 };
    const nothing = { sequences: 0, inputTokens: 0, outputTokens: 0 };
    expect(speed.predict(nothing, idle, { sequences: 1, inputTokens: 100, outputTokens: 10 }).finishMs).toBe(10 + 100 + 110);
    expect(speed.decodeTokensPerS(1)).toBeCloseTo(1000 / 11, 6);
    expect(speed.prefillTokensPerS).toBeCloseTo(100_000 / 110, 6);
    speed.observe({ sequences: 1, prefillTokens: 0, ms: 1.1 });
    expect(speed.decodeTokensPerS(1)).toBeCloseTo(1000 / 1.1, 6);
    speed.observe({ sequences: 0, prefillTokens: 0, ms: 5 });
    speed.observe({ sequences: 1, prefillTokens: 0, ms: -5 });
    expect(speed.decodeTokensPerS(1)).toBeCloseTo(1000 / 1.1, 6);
  });
});
