// Whether an endpoint may be given requests: by how its requests end, by its health page, and by one request at a time after a fall.
import type { EndpointState } from '../../engine.js';

/** Failures in a row. */
const mostConsecutive = 5;
/** Failures among the requests of the last 5 to 10 seconds. */
const windowMs = 5_000;
const leastInWindow = 20;
const mostFailing = 0.5;
const firstEjectionMs = 1_000;
const longestEjectionMs = 60_000;
/** Up for so long: the next ejection is a first one again. */
const forgiveMs = 60_000;
/** Probes in a row. */
const mostSilent = 2;
/** Refusals one after the other (a burst at once is one) without an answer between. */
const mostRefusals = 5;

interface Tally {
  ok: number;
  failed: number;
}

/** Told the time, keeps none. Whether an ejection is allowed is the fleet's to say: it knows who is left. */
export class Health {
  state: EndpointState = 'up';
  /** Why it is not up; null when it is. */
  reason: string | null = null;
  private consecutive = 0;
  private silent = 0;
  private refusals = 0;
  private refusedAtMs = Number.NEGATIVE_INFINITY;
  private ejections = 0;
  private untilMs = 0;
  private upSinceMs = 0;
  private windowEndsMs = 0;
  private now: Tally = { ok: 0, failed: 0 };
  private before: Tally = { ok: 0, failed: 0 };

  /** Requests failed since the last that did not. */
  get suspicious(): boolean {
    return this.consecutive > 0;
  }

  /** When the ejection ends, as `monotonicMs`; null when there is none. */
  get ejectedUntilMs(): number | null {
    return this.state === 'ejected' ? this.untilMs : null;
  }

  /** A request had its first byte, or its answer. An ejection stays: it was judged by many. */
  answered(nowMs: number): void {
    this.consecutive = 0;
    this.silent = 0;
    this.refusals = 0;
    if (this.state === 'trial' || this.state === 'down') this.rise(nowMs);
  }

  /** An answer was whole. */
  succeeded(nowMs: number): void {
    this.turn(nowMs);
    this.now.ok += 1;
    this.answered(nowMs);
  }

  /** True: it ought to be ejected. */
  failed(nowMs: number): boolean {
    this.turn(nowMs);
    this.now.failed += 1;
    this.consecutive += 1;
    if (this.state === 'trial') return true;
    if (this.state !== 'up') return false;
    const failed = this.now.failed + this.before.failed;
    const all = failed + this.now.ok + this.before.ok;
    return this.consecutive >= mostConsecutive || (all >= leastInWindow && failed >= mostFailing * all);
  }

  /** It said that it is full. True: it says nothing else, which is no matter of load any more, and ought to be ejected. */
  refused(sentAtMs: number, nowMs: number): boolean {
    if (sentAtMs < this.refusedAtMs) return false;
    this.refusedAtMs = nowMs;
    this.refusals += 1;
    return this.state === 'trial' || (this.state === 'up' && this.refusals >= mostRefusals);
  }

  /** For a time that doubles with each ejection in a row. `jitter`: 0 to 1, so that gateways do not all come back at once. */
  eject(nowMs: number, reason: string, jitter: number): void {
    this.ejections += 1;
    this.untilMs = nowMs + Math.min(longestEjectionMs, firstEjectionMs * 2 ** (this.ejections - 1)) * (0.8 + 0.4 * jitter);
    this.state = 'ejected';
    this.reason = reason;
    this.refusals = 0;
  }

  /** Ends an ejection whose time has come. */
  tick(nowMs: number): void {
    if (this.state === 'ejected' && nowMs >= this.untilMs) this.state = 'trial';
    if (this.state === 'up' && this.ejections > 0 && nowMs - this.upSinceMs >= forgiveMs) this.ejections = 0;
  }

  /** The health page answered. That says less than requests do: it ends no ejection. */
  probed(): void {
    this.silent = 0;
    if (this.state === 'down') this.state = 'trial';
  }

  /** It did not. `certain`: the connection was refused, and requests fail as well. */
  unanswered(reason: string, certain: boolean): void {
    this.silent += 1;
    if (this.state === 'down' || (this.silent < mostSilent && !certain)) return;
    this.state = 'down';
    this.reason = reason;
  }

  /** From the start: it was down when the version was loaded. */
  fall(reason: string): void {
    this.state = 'down';
    this.reason = reason;
  }

  private rise(nowMs: number): void {
    this.state = 'up';
    this.reason = null;
    this.upSinceMs = nowMs;
    // What it did before its fall was judged.
    this.now = { ok: 0, failed: 0 };
    this.before = { ok: 0, failed: 0 };
  }

  private turn(nowMs: number): void {
    if (nowMs < this.windowEndsMs) return;
    const gone = nowMs >= this.windowEndsMs + windowMs;
    this.before = gone ? { ok: 0, failed: 0 } : this.now;
    this.now = { ok: 0, failed: 0 };
    this.windowEndsMs = nowMs + windowMs;
  }
}
