// First-token, between-token and total deadlines of all running requests, watched by one timer instead of one per token.
import type { Clock } from '#libs/base';

/** Milliseconds. */
export interface DeadlineSettings {
  readonly firstTokenMs: number;
  readonly betweenTokensMs: number;
  readonly totalMs: number;
}

export const defaultDeadlines: DeadlineSettings = { firstTokenMs: 120_000, betweenTokensMs: 60_000, totalMs: 900_000 };

const everyMs = 100;

/** What a request may take at most, where it is not the gateway's own limit. Milliseconds. */
export interface Limits {
  readonly totalMs: number;
  readonly firstTokenMs: number;
}

/** One request under watch. */
export interface Watched {
  /** A token came: the next one is due later. */
  token(): void;
  readonly expired: boolean;
  done(): void;
}

interface Entry {
  dueMs: number;
  readonly totalDueMs: number;
  readonly abort: AbortController;
  expired: boolean;
}

export class Deadlines {
  private readonly entries = new Set<Entry>();
  private timer: NodeJS.Timeout | null = null;

  constructor(
    private readonly clock: Clock,
    private readonly settings: DeadlineSettings = defaultDeadlines,
  ) {}

  /** `live`: users wait. Others wait behind them, as long as their whole deadline allows. */
  limits(askedMs: number | null, live: boolean): Limits {
    const totalMs = Math.min(askedMs ?? this.settings.totalMs, this.settings.totalMs);
    return { totalMs, firstTokenMs: live ? Math.min(this.settings.firstTokenMs, totalMs) : totalMs };
  }

  watch(abort: AbortController, { totalMs, firstTokenMs }: Limits): Watched {
    const now = this.clock.monotonicMs();
    const { betweenTokensMs } = this.settings;
    const entry: Entry = { dueMs: now + firstTokenMs, totalDueMs: now + totalMs, abort, expired: false };
    this.entries.add(entry);
    this.timer ??= setInterval(() => this.check(), everyMs);
    return {
      token: () => {
        entry.dueMs = this.clock.monotonicMs() + betweenTokensMs;
      },
      get expired() {
        return entry.expired;
      },
      done: () => {
        this.entries.delete(entry);
        if (this.entries.size > 0 || !this.timer) return;
        clearInterval(this.timer);
        this.timer = null;
      },
    };
  }

  private check(): void {
    const now = this.clock.monotonicMs();
    for (const entry of this.entries) {
      if (entry.expired || (now < entry.dueMs && now < entry.totalDueMs)) continue;
      entry.expired = true;
      entry.abort.abort();
    }
  }
}
