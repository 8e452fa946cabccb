// What the queue expects of time: whether a deadline can be met, and when there will be room.
import type { Priority } from '../engine.js';
import { type Ask, classes, type EngineLoad, type Refusal, type Work } from './ask.js';
import type { FairTurns } from './fair-turns.js';
import type { Forecast } from './speed.js';

/** Assumes that nothing else comes and that tenants keep taking turns: what is known when it is asked. O(tenants + slots x log(slots)). */
export class Outlook {
  constructor(
    private readonly turns: Readonly<Record<Priority, FairTurns<unknown>>>,
    private readonly speed: Forecast,
    private readonly load: () => EngineLoad,
  ) {}

  /** Refuses what would be too late; else says how long the answer takes from its beginning (0 without a deadline). */
  of(ask: Ask, own: Work, weight: number): { readonly ownMs: number; readonly refusal: Refusal | null } {
    const { deadlineMs } = ask;
    if (deadlineMs === null) return { ownMs: 0, refusal: null };
    const load = this.load();
    const { waitMs, finishMs } = this.speed.predict(this.ahead(ask, own, weight), load, own);
    const ownMs = finishMs - waitMs;
    if (finishMs <= deadlineMs) return { ownMs, refusal: null };
    const idleMs = this.speed.predict(new Sum(), { running: [], slots: load.slots }, own).finishMs;
    const refusal = { reason: 'deadline' as const, retryAfterMs: finishMs - Math.max(idleMs, deadlineMs), needMs: finishMs };
    return { ownMs, refusal: idleMs > deadlineMs ? { ...refusal, hopeless: true } : refusal };
  }

  /** Until that many of the queued tokens have been taken, or all. */
  drainMs(tokens: number): number {
    const queuedTokens = classes.reduce((sum, priority) => sum + this.turns[priority].tokens, 0);
    if (queuedTokens === 0) return 0;
    const work = new Sum();
    for (const priority of classes) {
      for (const line of this.turns[priority].lines.values()) work.add(line, Math.min(1, tokens / queuedTokens));
    }
    return this.speed.waitMs(work, this.load());
  }

  /** Served before the ask: higher classes whole, in its own class each tenant's part by weight until its turn. */
  private ahead(ask: Ask, own: Work, weight: number): Work {
    const work = new Sum();
    for (const priority of classes.slice(0, classes.indexOf(ask.priority))) {
      for (const line of this.turns[priority].lines.values()) work.add(line, 1);
    }
    const { lines } = this.turns[ask.priority];
    const ownTokens = (lines.get(ask.tenant)?.tokens ?? 0) + own.inputTokens + own.outputTokens;
    for (const line of lines.values()) {
      const turnTokens = (ownTokens * line.weight) / weight;
      work.add(line, line.tenant === ask.tenant ? 1 : Math.min(1, turnTokens / line.tokens));
    }
    return work;
  }
}

class Sum implements Work {
  sequences = 0;
  inputTokens = 0;
  outputTokens = 0;

  add(line: { readonly sequences: number; readonly tokens: number; readonly outputTokens: number }, part: number): void {
    this.sequences += part * line.sequences;
    this.inputTokens += part * (line.tokens - line.outputTokens);
    this.outputTokens += part * line.outputTokens;
  }
}
