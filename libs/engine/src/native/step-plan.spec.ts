import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Lane, Want } from './lane.js';
import { planStep } from './step-plan.js';

/** A lane that wants `left` tokens, one when it is writing; logits after the last one, or after all. */
function lane(slot: number, left: number, { urgent = false, all = false } = {}): Lane {
  return {
    id: slot,
    slot,
    urgent,
    opening: !urgent,
    done: false,
    want: (room: number, rows: number): Want | null => {
      const count = Math.min(left, room, all ? rows : Number.POSITIVE_INFINITY);
      if (count <= 0 || rows <= 0) return null;
      return { position: 0, tokens: new Int32Array(count), rows: all ? 'all' : count === left ? 'last' : 'none' };
    },
    evaluated: () => undefined,
    row: () => undefined,
    takeFork: () => null,
    takeRewind: () => null,
    remaining: () => ({ sequences: 1, inputTokens: left, outputTokens: 0 }),
    restarted: () => undefined,
  };
}

const anyLane = fc.record({ left: fc.integer({ min: 1, max: 900 }), urgent: fc.boolean(), all: fc.boolean() });
const anyLimits = fc.record({
  batchSize: fc.integer({ min: 64, max: 512 }),
  maxRows: fc.integer({ min: 32, max: 64 }),
  prefillTokens: fc.integer({ min: 1, max: 512 }),
});
const rowsOf = (parts: ReturnType<typeof planStep>): number =>
  parts.reduce((sum, { wanted, tokens }) => sum + (wanted === 'all' ? tokens.length : wanted === 'last' ? 1 : 0), 0);

describe('the next batch', () => {
  it('has a token of every running answer, whatever prompts wait, and never more than fits', () => {
    fc.assert(
      fc.property(fc.array(anyLane, { maxLength: 30 }), anyLimits, (given, limits) => {
        const lanes = given.map(({ left, urgent, all }, slot) => lane(slot, urgent ? 1 : left, { urgent, all: all && !urgent }));
        const parts = planStep(lanes, limits);
        const answers = lanes.filter(({ urgent }) => urgent).map(({ slot }) => slot);
        expect(parts.map(({ slot }) => slot)).toEqual(expect.arrayContaining(answers));
        const tokens = parts.reduce((sum, part) => sum + part.tokens.length, 0);
        expect(tokens).toBeLessThanOrEqual(limits.batchSize);
        expect(rowsOf(parts)).toBeLessThanOrEqual(limits.maxRows);
        if (answers.length > 0) expect(tokens - answers.length).toBeLessThanOrEqual(limits.prefillTokens);
        expect(parts.map(({ slot }) => slot)).toEqual([...parts.map(({ slot }) => slot)].sort((a, b) => a - b));
        if (lanes.length > 0) expect(parts.length).toBeGreaterThan(0);
      }),
    );
  });

  it('gives prompts what is left in their order of arrival', () => {
    const limits = { batchSize: 100, maxRows: 64, prefillTokens: 40 };
    const parts = planStep([lane(3, 30), lane(1, 1, { urgent: true }), lane(2, 30)], limits);
    expect(parts.map(({ slot, tokens }) => [slot, tokens.length])).toEqual([
      [1, 1],
      [2, 10],
      [3, 30],
    ]);
    expect(planStep([lane(0, 300), lane(1, 300)], limits).map(({ tokens }) => tokens.length)).toEqual([100]);
  });
});
