// What a request holds of an endpoint: one place, from its grant to its one end.
import type { EngineFault, Ticket } from '../../engine.js';
import type { Connection } from '../connection.js';

export interface LeaseRequest {
  /**
   * Requests with equal keys share a beginning: they go to the same endpoint while its load allows. Null: to the least loaded. Asked only where there is a
   * choice: making the key means reading the prompt.
   */
  readonly affinity: (() => string | null) | null;
  /** Input and expected output over all choices: what the request counts for while it waits, and what its duration is measured by. */
  readonly tokens: number;
  /** Null: live, of nobody in particular, without a deadline. */
  readonly ticket: Ticket | null;
}

/** Nobody waits for it. */
export function isShadow({ ticket }: LeaseRequest): boolean {
  return ticket?.priority === 'shadow';
}

/**
 * `ok`: the endpoint did its part, which includes a well-founded refusal (a malformed request, a prompt that does not fit). `failed`: it did not:
 * the connection, a status 5xx, a deadline, a broken or cut answer. `refused`: it is full (429, 503, 529). `cancelled`: we left, which tells nothing.
 */
export type LeaseResult = 'ok' | 'failed' | 'cancelled' | 'refused';

export interface Lease {
  readonly connection: Connection;
  /** Host, port and, where it is not `/v1/`, path: for logs and figures. */
  readonly name: string;
  /** Before the grant. 0 when there was room. */
  readonly waitedMs: number;
  /**
   * Called at most once, when the endpoint is found dead before this request had its first byte: waiting for the deadline is in vain. The
   * holder gives up the connection and calls `retry` or `done`.
   */
  lost: (() => void) | null;
  /** Milliseconds from the grant to the first byte that the client can be given. Call once. */
  firstByte(ttftMs: number): void;
  /** The one end; calls after it do nothing. */
  done(result: LeaseResult): void;
  /**
   * Takes the right to send the request once more to the same endpoint, because the idle connection that it went out on was closed: not after the
   * first byte, not twice, and within the share of retries. The lease goes on, and nothing is held against the endpoint.
   */
  resend(): boolean;
  /**
   * Ends this lease and gives another at another endpoint of the version, at once or not at all: null after the first byte, for a second time,
   * when no other endpoint has room, or when retries have used up their share of the requests.
   */
  retry(result: 'failed' | 'refused'): Lease | null;
}

/** How a fault of a request counts for its endpoint; null: there was none. */
export function resultOf(fault: EngineFault | null): LeaseResult {
  switch (fault?.code) {
    case undefined:
    case 'engine.bad-request':
    case 'engine.context-overflow':
      return 'ok';
    case 'engine.cancelled':
      return 'cancelled';
    case 'engine.overloaded':
      return 'refused';
    default:
      return 'failed';
  }
}

/** Another endpoint may do better with the same request. A deadline that has passed has passed there as well. */
export function isWorthRetrying({ code, retryable }: EngineFault): boolean {
  return retryable === true && code !== 'engine.timeout' && code !== 'engine.cancelled';
}
