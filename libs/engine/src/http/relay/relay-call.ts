// One relayed request from its first to its last turn: a place at an endpoint, at most two attempts, four deadlines, and exactly one ending.
import type { Clock } from '#libs/base';
import type { EngineFault } from '../../engine.js';
import type { RelayHandle, RelaySink, RelaySummary } from '../../relay.js';
import { faultOf } from '../faults.js';
import type { Fleet } from '../fleet/fleet.js';
import { isWorthRetrying, type Lease, type LeaseRequest, resultOf } from '../fleet/lease.js';
import { type AttemptOwner, RelayAttempt, type RelayQuestion } from './relay-attempt.js';
import { RelayDeadlines, type RelayLimits } from './relay-deadlines.js';
import { wheelOf } from './timer-wheel.js';

export interface RelayRoute {
  readonly clock: Clock;
  readonly fleet: Fleet;
  readonly place: LeaseRequest;
  readonly limits: RelayLimits;
  readonly question: RelayQuestion;
  /** Told once, after the sink. */
  readonly ended: (summary: RelaySummary) => void;
}

/** A summary before anything has passed. */
export const nothingPassed: RelaySummary = {
  usage: null,
  tokens: 0,
  finishReason: null,
  firstTokenAtMs: null,
  lastTokenAtMs: null,
  longestGapMs: null,
  uncertainty: null,
  queueWaitMs: null,
  upstream: null,
};

export class RelayCall implements RelayHandle, AttemptOwner {
  private readonly deadlines: RelayDeadlines;
  private waiting: { cancel(): void } | null = null;
  private lease: Lease | null = null;
  private attempt: RelayAttempt | null = null;
  private sentAtMs = 0;
  /** `begin` was called: the client may have seen something, so there is no second try. */
  private begun = false;
  private hasProgress = false;
  private isPaused = false;
  private over = false;

  constructor(
    private readonly route: RelayRoute,
    private readonly sink: RelaySink,
  ) {
    this.deadlines = new RelayDeadlines(wheelOf(route.clock), route.limits, this.nowMs(), (fault) => this.late(fault));
  }

  /** May call the sink before it returns. */
  start(): void {
    const waiting = this.route.fleet.acquire(
      this.route.place,
      (lease) => this.tryAt(lease),
      (fault) => this.finish(fault, nothingPassed),
    );
    if (this.lease === null && !this.over) this.waiting = waiting;
  }

  cancel(): void {
    if (this.over) return;
    this.waiting?.cancel();
    this.giveUp(faultOf('engine.cancelled', 'the request was cancelled'));
  }

  resume(): void {
    if (this.over || !this.isPaused) return;
    this.isPaused = false;
    this.deadlines.resume(this.nowMs());
    this.attempt?.resume();
  }

  get question(): RelayQuestion {
    return this.route.question;
  }

  nowMs(): number {
    return this.route.clock.monotonicMs();
  }

  wallMs(): number {
    return this.route.clock.now();
  }

  give(bytes: Buffer, length: number | null): boolean {
    if (this.over) return false;
    if (!this.begun) {
      this.begun = true;
      this.sink.begin(this.question.stream ? 'stream' : 'whole', length);
    }
    return this.sink.write(bytes);
  }

  progress(nowMs: number): void {
    if (this.over) return;
    this.deadlines.token(nowMs);
    if (this.hasProgress) return;
    this.hasProgress = true;
    // A body that comes whole begins when it is nearly over: no figure to compare first tokens by.
    if (this.question.stream) this.lease?.firstByte(nowMs - this.sentAtMs);
  }

  paused(nowMs: number): void {
    if (this.over) return;
    this.isPaused = true;
    this.deadlines.pause(nowMs);
  }

  whole(summary: RelaySummary, nowMs: number): void {
    if (this.over) return;
    this.finish(null, summary);
    this.deadlines.settle(nowMs);
  }

  closed(): void {
    this.attempt = null;
    this.deadlines.done();
  }

  mayResend(): boolean {
    return this.lease?.resend() ?? false;
  }

  broke(fault: EngineFault): void {
    if (this.over) return;
    if (!this.begun && isWorthRetrying(fault)) {
      const next = this.lease?.retry(resultOf(fault) === 'refused' ? 'refused' : 'failed');
      if (next) return this.tryAt(next);
    }
    this.finish(fault, this.passed());
  }

  private tryAt(lease: Lease): void {
    this.waiting = null;
    this.lease = lease;
    this.hasProgress = false;
    this.sentAtMs = this.nowMs();
    this.deadlines.sent(this.sentAtMs);
    this.attempt = new RelayAttempt(this, lease.connection, lease.name);
    lease.lost = () => {
      this.attempt?.abort();
      this.broke(faultOf('engine.upstream-unreachable', 'the endpoint was found dead before it answered', { retryable: true }));
    };
    this.attempt.send();
  }

  private late(fault: EngineFault | null): void {
    if (fault !== null) return this.giveUp(fault);
    // Whole, but never closed: this connection serves no one else.
    this.attempt?.abort();
    this.closed();
  }

  private giveUp(fault: EngineFault): void {
    const summary = this.passed();
    this.attempt?.abort();
    this.finish(fault, summary);
  }

  private passed(): RelaySummary {
    return this.attempt?.summary() ?? { ...nothingPassed, upstream: this.lease?.name ?? null };
  }

  private finish(fault: EngineFault | null, summary: RelaySummary): void {
    this.over = true;
    this.waiting = null;
    if (fault === null) this.sink.end(summary);
    else {
      this.attempt = null;
      this.deadlines.done();
      this.sink.fail(fault, summary);
    }
    this.lease?.done(resultOf(fault));
    this.route.ended(summary);
  }
}
