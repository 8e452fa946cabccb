// The budget of mirrors holds in every span of time, whatever is estimated, spent and cancelled.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { estimateOf, type Hold, ShadowBudget } from './budget.js';

const policy = { share: 1, concurrentRequests: 3, tokensPerSecond: 50 };
const estimate = (promptTokens: number, outputTokens: number) => ({ promptTokens, outputTokens });

describe('the budget of mirrors', () => {
  it('is never exceeded: neither at once nor over time', () => {
    const turn = fc.record({
      gapMs: fc.integer({ min: 0, max: 4_000 }),
      prompt: fc.integer({ min: 1, max: 300 }),
      output: fc.integer({ min: 0, max: 600 }),
      spentShare: fc.double({ min: 0, max: 1, noNaN: true }),
      ends: fc.integer({ min: 0, max: 3 }),
    });
    fc.assert(
      fc.property(fc.array(turn, { minLength: 20, maxLength: 80 }), (turns) => {
        const budget = new ShadowBudget();
        const running: { hold: Hold; spends: number }[] = [];
        const spent: { atMs: number; tokens: number }[] = [];
        let nowMs = 0;
        for (const { gapMs, prompt, output, spentShare, ends } of turns) {
          nowMs += gapMs;
          for (const { hold, spends } of running.splice(0, ends)) {
            hold.settle(spends, nowMs);
            spent.push({ atMs: nowMs, tokens: spends });
          }
          const hold = budget.take(policy, 1, estimate(prompt, output), nowMs);
          if (typeof hold !== 'string') running.push({ hold, spends: prompt + Math.floor(output * spentShare) });
          expect(running.length).toBeLessThanOrEqual(policy.concurrentRequests);
        }
        for (const [index, { atMs: fromMs }] of spent.entries()) {
          let sum = 0;
          for (const { atMs, tokens } of spent.slice(index)) {
            sum += tokens;
            // Ten seconds' worth at once, and what one mirror, larger than that, spent beyond.
            expect(sum).toBeLessThanOrEqual(policy.tokensPerSecond * ((atMs - fromMs) / 1_000 + 10) + 400 + 1e-6);
          }
        }
      }),
    );
  });

  it('gives back what was held and not spent', () => {
    const budget = new ShadowBudget();
    const first = budget.take(policy, 1, estimate(100, 400), 0);
    expect(budget.take(policy, 1, estimate(1, 0), 0)).toBe('tokens');
    if (typeof first !== 'string') first.settle(100, 0);
    expect(typeof budget.take(policy, 1, estimate(100, 300), 0)).toBe('object');
    expect(budget.take(policy, 1, estimate(100, 300), 0)).toBe('tokens');
  });

  it('lets a mirror that is larger than ten seconds run alone, and later ones wait for what it spent', () => {
    const budget = new ShadowBudget();
    const large = budget.take(policy, 1, estimate(4_000, 1_000), 0);
    if (typeof large === 'string') throw new Error('it fits an empty budget');
    large.settle(5_000, 0);
    expect(budget.take(policy, 1, estimate(1, 1), 89_000)).toBe('tokens');
    expect(typeof budget.take(policy, 1, estimate(1, 1), 91_000)).toBe('object');
  });

  it('is divided among gateways, and each may run one', () => {
    const running = (gateways: number): number => {
      const budget = new ShadowBudget();
      let count = 0;
      while (typeof budget.take(policy, gateways, estimate(0, 0), 0) !== 'string') count += 1;
      return count;
    };
    expect([1, 2, 3, 50].map(running)).toEqual([3, 1, 1, 1]);
    expect(new ShadowBudget().take(policy, 5, estimate(50, 50), 0)).toBeTypeOf('object');
  });

  it('is estimated by the bytes of the body and the longest answers it may have', () => {
    const sampling = { temperature: 1, topP: 1, topK: 0, minP: 0, maxTokens: 100, stop: [] };
    const request = { id: 'a', prompt: { kind: 'text', text: 'Hi' } as const, sampling };
    expect(estimateOf(401, [request, { ...request, choices: 3 }])).toEqual({ promptTokens: 101, outputTokens: 400, readTokens: 0 });
  });
});
