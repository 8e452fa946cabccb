import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judgeMemory, type MemoryJudgment, type MemoryRule, memoryRule } from './memory-guard.js';

const mib = 2 ** 20;
const rule: MemoryRule = { limitBytes: 1_000 * mib, fatalReadings: 2, fatalFactor: 1.25 };

function judge(readings: readonly number[], by = rule): MemoryJudgment['kind'][] {
  let overrun = 0;
  return readings.map((rssBytes) => {
    const next = judgeMemory(by, overrun, rssBytes);
    overrun = next.overrun;
    return next.judgment.kind;
  });
}

describe('the memory guard', () => {
  it('lets a passing peak be and kills at the second reading in a row above the limit', () => {
    expect(judge([900 * mib, 1_100 * mib, 900 * mib, 1_100 * mib, 1_100 * mib])).toEqual(['keep', 'warn', 'keep', 'warn', 'kill']);
  });

  it('does not wait for a second reading when the first is far above the limit', () => {
    expect(judge([1_251 * mib])).toEqual(['kill']);
  });

  it('says how much the engine holds and how much it may', () => {
    const { judgment } = judgeMemory(rule, 1, 1_100 * mib);
    expect(judgment).toEqual({ kind: 'kill', reason: 'it holds 1100 MiB, its limit is 1000 MiB' });
  });

  it('kills nothing without a limit, and nothing at or below it', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 1e15 })), (readings) => {
        expect(judge(readings, { ...rule, limitBytes: null }).every((kind) => kind === 'keep')).toBe(true);
        expect(judge(readings.map((bytes) => bytes % (rule.limitBytes ?? 1))).every((kind) => kind === 'keep')).toBe(true);
      }),
    );
  });
});

describe('the limit of an engine', () => {
  it('is what the spec says', () => {
    expect(memoryRule({ specLimitBytes: 64 * mib, residentBytes: 4_000 * mib, usesGpu: true }).limitBytes).toBe(64 * mib);
  });

  it('else leaves room above the estimate, more where a GPU driver maps host memory', () => {
    const onCpu = memoryRule({ specLimitBytes: null, residentBytes: 1_000 * mib, usesGpu: false }).limitBytes;
    const onGpu = memoryRule({ specLimitBytes: null, residentBytes: 1_000 * mib, usesGpu: true }).limitBytes;
    expect(onCpu).toBe(2_012 * mib);
    expect(onGpu).toBe(3_548 * mib);
  });

  it('else is none', () => {
    expect(memoryRule({ specLimitBytes: null, residentBytes: null, usesGpu: false }).limitBytes).toBeNull();
  });
});
