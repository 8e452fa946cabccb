// Three of a relay's four deadlines (the fourth, connecting, is the pool's), as one entry of the process's wheel.
import type { EngineFault } from '../../engine.js';
import { faultOf } from '../faults.js';
import type { HttpDeadlines } from '../watch.js';
import { type TimerWheel, WheelEntry } from './timer-wheel.js';

/** How long an upstream may take to close an answer that has ended before we close the connection. */
const settleMs = 500;

type Step = 'waiting' | 'firstToken' | 'betweenTokens' | 'settling';

export type RelayLimits = Pick<HttpDeadlines, 'firstTokenMs' | 'betweenTokensMs' | 'totalMs'>;

export class RelayDeadlines extends WheelEntry {
  private readonly totalDueMs: number;
  private step: Step = 'waiting';

  /** `late` is called at most once, with null when an answer that was whole was never closed. */
  constructor(
    private readonly wheel: TimerWheel,
    private readonly limits: RelayLimits,
    nowMs: number,
    private readonly late: (fault: EngineFault | null) => void,
  ) {
    super();
    this.totalDueMs = nowMs + limits.totalMs;
    wheel.set(this, this.totalDueMs, nowMs);
  }

  /** The request goes to the upstream, for the first or second time. */
  sent(nowMs: number): void {
    this.enter('firstToken', this.limits.firstTokenMs, nowMs);
  }

  /** The upstream gave a token, or a piece of a body that comes whole. */
  token(nowMs: number): void {
    this.enter('betweenTokens', this.limits.betweenTokensMs, nowMs);
  }

  /** Our reader has enough for now: what the upstream does not send is not its fault. */
  pause(nowMs: number): void {
    this.wheel.set(this, this.totalDueMs, nowMs);
  }

  /** Our reader is back: the upstream's turn. */
  resume(nowMs: number): void {
    if (this.step === 'betweenTokens') this.token(nowMs);
    else this.sent(nowMs);
  }

  /** The answer is whole; only its connection is left. */
  settle(nowMs: number): void {
    this.step = 'settling';
    this.wheel.set(this, nowMs + settleMs, nowMs);
  }

  done(): void {
    this.wheel.clear(this);
  }

  override due(nowMs: number): void {
    if (this.step === 'settling') return this.late(null);
    const { firstTokenMs, betweenTokensMs, totalMs } = this.limits;
    if (nowMs >= this.totalDueMs) return this.late(timeout(`the upstream took longer than ${totalMs} ms for its answer`));
    this.late(
      timeout(
        this.step === 'betweenTokens'
          ? `the upstream fell silent for ${betweenTokensMs} ms in its answer`
          : `the upstream sent no token within ${firstTokenMs} ms`,
      ),
    );
  }

  private enter(step: Step, limitMs: number, nowMs: number): void {
    this.step = step;
    this.wheel.set(this, Math.min(nowMs + limitMs, this.totalDueMs), nowMs);
  }
}

function timeout(message: string): EngineFault {
  return faultOf('engine.timeout', message, { retryable: true });
}
