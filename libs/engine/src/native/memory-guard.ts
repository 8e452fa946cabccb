// When an engine has outgrown its memory and must die before the machine does. Pure: readings in, judgment out.
import { wholeMiB } from './memory-size.js';

export interface MemoryRule {
  /** Most resident bytes of one engine process; null: nobody set a limit and none could be estimated. */
  readonly limitBytes: number | null;
  /** Readings in a row above the limit that are fatal: one alone may be a passing peak. */
  readonly fatalReadings: number;
  /** A single reading above this multiple of the limit is fatal. */
  readonly fatalFactor: number;
}

/** Readings in a row above the limit, so far. */
export type Overrun = number;

export type MemoryJudgment =
  | { readonly kind: 'keep' }
  /** Above the limit, but not yet for long enough. */
  | { readonly kind: 'warn'; readonly reason: string }
  | { readonly kind: 'kill'; readonly reason: string };

const usualFatalReadings = 2;
const usualFatalFactor = 1.25;
/** Estimates were within an eighth where they were measured (test/bench/memory.mjs), on llama models only; a leak passes any factor. */
const estimateFactor = 1.5;
const hostSlackBytes = 512 * 2 ** 20;
/** Drivers map and pin host memory that no header tells of. Not measured: no GPU was at hand. */
const gpuSlackBytes = 2 * 2 ** 30;

/**
 * The limit of one engine: what its spec says, else what it is expected to hold with room to spare, else none.
 * `residentBytes` is that of a MemoryNeed, null when there is no complete one.
 */
export function memoryRule(given: {
  readonly specLimitBytes: number | null;
  readonly residentBytes: number | null;
  readonly usesGpu: boolean;
}): MemoryRule {
  const estimated =
    given.residentBytes === null ? null : given.residentBytes * estimateFactor + (given.usesGpu ? gpuSlackBytes : hostSlackBytes);
  return {
    limitBytes: given.specLimitBytes ?? (estimated === null ? null : Math.ceil(estimated)),
    fatalReadings: usualFatalReadings,
    fatalFactor: usualFatalFactor,
  };
}

/** Judges the newest reading; `overrun` is the one that the judgment before gave, 0 for a new process. */
export function judgeMemory(
  rule: MemoryRule,
  overrun: Overrun,
  rssBytes: number,
): { readonly judgment: MemoryJudgment; readonly overrun: Overrun } {
  const { limitBytes } = rule;
  if (limitBytes === null || rssBytes <= limitBytes) return { judgment: { kind: 'keep' }, overrun: 0 };
  const reason = `it holds ${wholeMiB(rssBytes)}, its limit is ${wholeMiB(limitBytes)}`;
  const fatal = overrun + 1 >= rule.fatalReadings || rssBytes > limitBytes * rule.fatalFactor;
  return { judgment: { kind: fatal ? 'kill' : 'warn', reason }, overrun: overrun + 1 };
}
