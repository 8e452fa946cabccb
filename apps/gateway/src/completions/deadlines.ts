// First-token, between-token and total deadlines of all running requests, watched by one timer instead of one per token.
import type { Clock } from '#libs/base';

/** Milliseconds. */
export interface DeadlineSettings {
  readonly firstTokenMs: number;
  /** Between tokens, and from the last to the end. Time in which the client does not read does not count. */
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

export type Expiry = 'timeoutFirstToken' | 'timeoutBetweenTokens' | 'timeoutTotal';

/** One request under watch. */
export interface Watched {
  /** A token came: the next one is due later. */
  token(): void;
  /** The client does not read: until the next token only the total counts. */
  pause(): void;
  /** Which deadline has passed; null while none has. */
  readonly expired: Expiry | null;
  done(): void;
}

class Entry implements Watched {
  private passed: Expiry | null = null;
  private begun = false;

  constructor(
    private readonly deadlines: Deadlines,
    private readonly totalDueMs: number,
    private dueMs: number,
    private readonly expire: () => void,
  ) {}

  get expired(): Expiry | null {
    // Engines watch the total too, and may be quicker.
    return this.passed ?? (this.deadlines.nowMs() >= this.totalDueMs ? 'timeoutTotal' : null);
  }

  token(): void {
    this.begun = true;
    this.dueMs = this.deadlines.nextTokenDueMs();
  }

  pause(): void {
    this.begun = true;
    this.dueMs = Number.POSITIVE_INFINITY;
  }

  done(): void {
    this.deadlines.forget(this);
  }

  check(nowMs: number): void {
    if (this.passed !== null || (nowMs < this.dueMs && nowMs < this.totalDueMs)) return;
    this.passed = nowMs >= this.totalDueMs ? 'timeoutTotal' : this.begun ? 'timeoutBetweenTokens' : 'timeoutFirstToken';
    this.expire();
  }
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

  /** `expire` is called at most once, up to 100 ms late. */
  watch({ totalMs, firstTokenMs }: Limits, expire: () => void): Watched {
    const now = this.clock.monotonicMs();
    const entry = new Entry(this, now + totalMs, now + firstTokenMs, expire);
    this.entries.add(entry);
    this.timer ??= setInterval(() => this.check(), everyMs);
    return entry;
  }

  nowMs(): number {
    return this.clock.monotonicMs();
  }

  nextTokenDueMs(): number {
    return this.clock.monotonicMs() + this.settings.betweenTokensMs;
  }

  forget(entry: Entry): void {
    this.entries.delete(entry);
    if (this.entries.size > 0 || !this.timer) return;
    clearInterval(this.timer);
    this.timer = null;
  }

  private check(): void {
    const now = this.clock.monotonicMs();
    for (const entry of this.entries) entry.check(now);
  }
}
