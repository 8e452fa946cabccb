// One request on one connection of an upstream: undici's calls in, an answer's pieces or one fault out. No streams, no promises, no timers of its own.
import type { Dispatcher } from 'undici';
import type { EngineFault } from '../../engine.js';
import type { RelaySummary } from '../../relay.js';
import { type Connection, compressed, isEventStream, NotAStream, one } from '../connection.js';
import { errorIn, faultOf, refusalFault, reportedFault, transportFault } from '../faults.js';
import { json } from '../identify.js';
import { isStale } from '../stale.js';
import { BoundedBytes } from './bounded-bytes.js';
import { type AnswerWishes, type Passed, StreamReader } from './stream-reader.js';
import { readWhole } from './whole-scan.js';

type Headers = Parameters<NonNullable<Dispatcher.DispatchHandler['onResponseStart']>>[2];

export interface RelayQuestion {
  /** Under the API's path. */
  readonly endpoint: string;
  readonly stream: boolean;
  readonly body: Buffer;
  readonly wishes: AnswerWishes;
}

/** Whom an attempt tells. After `whole` only `closed` comes, after `broke` nothing. */
export interface AttemptOwner {
  readonly question: RelayQuestion;
  nowMs(): number;
  /** Wall clock, for dates in Retry-After. */
  wallMs(): number;
  /** Bytes for the client. `length`: of a body that comes whole. False: read no more until `resume`. */
  give(bytes: Buffer, length: number | null): boolean;
  /** There was a token, or a piece of a body that comes whole. */
  progress(nowMs: number): void;
  /** Not read any more, by the client's wish. */
  paused(nowMs: number): void;
  whole(summary: RelaySummary, nowMs: number): void;
  /** The upstream has closed an answer that was whole: its connection serves again. */
  closed(): void;
  /** Takes the right to send it once more over a fresh connection. */
  mayResend(): boolean;
  broke(fault: EngineFault): void;
}

/** The first kilobytes of a refusal. */
const keptErrorBytes = 4 << 10;
/** Given to undici for the socket's end; nobody sees it. */
const givenUp = new Error('the request was given up');
const noBytes = Buffer.alloc(0);

export class RelayAttempt implements Dispatcher.DispatchHandler {
  private controller: Dispatcher.DispatchController | null = null;
  private reader: StreamReader | null = null;
  private kept: BoundedBytes | null = null;
  private status = 0;
  private retryAfter: string | undefined;
  private type = '';
  private heard = false;
  private sentAgain = false;
  private state: 'open' | 'whole' | 'over' = 'open';

  constructor(
    private readonly owner: AttemptOwner,
    private readonly connection: Connection,
    /** Which endpoint of the version it is, for the summary. */
    private readonly upstream: string,
  ) {}

  send(): void {
    const { endpoint, stream, body } = this.owner.question;
    this.connection.dispatch(endpoint, { body, stream, fresh: this.sentAgain }, this);
  }

  /** Closes the connection within this turn; tells the owner nothing. */
  abort(): void {
    this.state = 'over';
    this.controller?.abort(givenUp);
  }

  resume(): void {
    this.controller?.resume();
  }

  /** What has passed so far; null: nothing that could be read. */
  summary(): RelaySummary | null {
    return this.reader?.summary(this.upstream) ?? null;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
    // Given up while it waited for its connection.
    if (this.state === 'over') controller.abort(givenUp);
  }

  onResponseStarted(): void {
    this.heard = true;
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: Headers): void {
    if (status < 200 || this.state !== 'open') return;
    this.status = status;
    const fault = compressed(headers);
    if (fault !== null) return this.broke(fault);
    this.retryAfter = one(headers['retry-after']);
    this.type = one(headers['content-type']) ?? '';
    const { stream, wishes } = this.owner.question;
    if (status !== 200) this.kept = new BoundedBytes(keptErrorBytes);
    else if (!stream) this.kept = new BoundedBytes(wishes.mostBytes);
    else if (isEventStream(this.type)) this.reader = new StreamReader(wishes);
    else this.kept = new BoundedBytes(keptErrorBytes);
  }

  onResponseData(controller: Dispatcher.DispatchController, bytes: Buffer): void {
    if (this.state !== 'open') return;
    const nowMs = this.owner.nowMs();
    if (this.reader !== null) return this.passed(controller, this.reader.push(bytes, nowMs), nowMs);
    if (this.kept?.take(bytes) === false) {
      const { mostBytes } = this.owner.question.wishes;
      return this.comesWhole()
        ? this.broke(faultOf('engine.upstream-error', `the upstream sent more than ${mostBytes} bytes`, { retryable: true }))
        : this.refused();
    }
    if (this.comesWhole()) this.owner.progress(nowMs);
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.state === 'over') return;
    if (this.state === 'whole') return this.owner.closed();
    const nowMs = this.owner.nowMs();
    if (this.reader !== null) {
      this.passed(controller, this.reader.end(nowMs), nowMs);
      // The body has ended as well.
      if (this.isWhole()) this.owner.closed();
      return;
    }
    if (!this.comesWhole()) return this.refused();
    const { output, fault, summary } = readWhole(this.kept?.bytes() ?? noBytes, this.owner.question.wishes, this.upstream);
    if (fault !== null) return this.broke(fault);
    this.state = 'whole';
    this.owner.give(output, output.length);
    this.owner.whole(summary, nowMs);
    this.owner.closed();
  }

  onResponseError(_: Dispatcher.DispatchController | null, error: Error): void {
    if (this.state === 'over') return;
    if (this.state === 'whole') return this.owner.closed();
    if (!this.heard && !this.sentAgain && isStale(error) && this.owner.mayResend()) {
      // The upstream closed an idle connection while we wrote to it. Nobody's failure, and no other endpoint's affair.
      this.sentAgain = true;
      this.controller = null;
      return this.send();
    }
    this.broke(transportFault(error, this.status !== 0));
  }

  private passed(controller: Dispatcher.DispatchController, { output, tokenSeen, whole, fault }: Passed, nowMs: number): void {
    const more = output === null || this.owner.give(output, null);
    if (fault !== null) return this.broke(fault);
    if (tokenSeen) this.owner.progress(nowMs);
    if (whole) {
      this.state = 'whole';
      return this.owner.whole(this.reader?.summary(this.upstream) as RelaySummary, nowMs);
    }
    // Giving may have ended it: the client can be gone by then.
    if (more || this.state !== 'open') return;
    controller.pause();
    this.owner.paused(nowMs);
  }

  private comesWhole(): boolean {
    return this.status === 200 && !this.owner.question.stream;
  }

  private isWhole(): boolean {
    return this.state === 'whole';
  }

  /** The answer is none: a status that says so, or an error in disguise. */
  private refused(): void {
    const text = this.kept?.bytes().toString('utf8') ?? '';
    const { secret } = this.owner.question.wishes;
    const { status, retryAfter } = this;
    if (status !== 200) return this.broke(refusalFault({ status, retryAfter, text }, this.owner.wallMs(), secret));
    const reported = errorIn(json(text));
    const { message } = new NotAStream(this.type.slice(0, 80), text);
    this.broke(reported ? reportedFault(reported, secret) : faultOf('engine.upstream-error', message, { retryable: true }));
  }

  /** The connection serves no one else; where it has ended by itself this does nothing. */
  private broke(fault: EngineFault): void {
    this.abort();
    this.owner.broke(fault);
  }
}
