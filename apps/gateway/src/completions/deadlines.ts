// First-token, between-token and total deadlines of all running requests, on the one timer of the process: a token moves a number, not a timer.
import type { Clock } from '#libs/base';
import { WheelEntry, wheelOf } from '#libs/engine';

/** Milliseconds. */
export interface DeadlineSettings {
  readonly firstTokenMs: number;
  /** Between tokens, and from the last to the end. Time in which the client does not read does not count. */
  readonly betweenTokensMs: number;
  readonly totalMs: number;
}

export const defaultDeadlines: DeadlineSettings = { firstTokenMs: 120_000, betweenTokensMs: 60_000, totalMs: 900_000 };

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

class Entry extends WheelEntry implements Watched {
  private passed: Expiry | null = null;
  private begun = false;
  private over = false;

  constructor(
    private readonly deadlines: Deadlines,
    private readonly totalDueMs: number,
    private readonly expire: () => void,
  ) {
    super();
  }

  get expired(): Expiry | null {
    // Engines watch the total too, and may be quicker.
    return this.passed ?? (this.deadlines.nowMs() >= this.totalDueMs ? 'timeoutTotal' : null);
  }

  token(): void {
    const nowMs = this.deadlines.nowMs();
    this.wait(nowMs, nowMs + this.deadlines.betweenTokensMs);
  }

  pause(): void {
    this.wait(this.deadlines.nowMs(), this.totalDueMs);
  }

  done(): void {
    this.over = true;
    this.deadlines.wheel.clear(this);
  }

  override due(nowMs: number): void {
    this.over = true;
    this.passed = nowMs >= this.totalDueMs ? 'timeoutTotal' : this.begun ? 'timeoutBetweenTokens' : 'timeoutFirstToken';
    this.expire();
  }

  private wait(nowMs: number, dueMs: number): void {
    this.begun = true;
    if (!this.over) this.deadlines.wheel.set(this, Math.min(dueMs, this.totalDueMs), nowMs);
  }
}

export class Deadlines {
  /** With those of relays, one for the process. */
  readonly wheel: ReturnType<typeof wheelOf>;

  constructor(
    private readonly clock: Clock,
    private readonly settings: DeadlineSettings = defaultDeadlines,
  ) {
    this.wheel = wheelOf(clock);
  }

  /** `live`: users wait. Others wait behind them, as long as their whole deadline allows. */
  limits(askedMs: number | null, live: boolean): Limits {
    const totalMs = Math.min(askedMs ?? this.settings.totalMs, this.settings.totalMs);
    return { totalMs, firstTokenMs: live ? Math.min(this.settings.firstTokenMs, totalMs) : totalMs };
  }

  /** `expire` is called at most once, up to 100 ms late, and never after `done`. It must not throw. */
  watch({ totalMs, firstTokenMs }: Limits, expire: () => void): Watched {
    const nowMs = this.clock.monotonicMs();
    const entry = new Entry(this, nowMs + totalMs, expire);
    this.wheel.set(entry, nowMs + Math.min(firstTokenMs, totalMs), nowMs);
    return entry;
  }

  nowMs(): number {
    return this.clock.monotonicMs();
  }

  get betweenTokensMs(): number {
    return this.settings.betweenTokensMs;
  }
}
