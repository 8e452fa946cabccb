// A try that failed: in which state the request is by it, and whose failure it is.
import type { EngineFault } from '#libs/engine';
import { type EndState, outcomeOf } from '../observe/end-state.js';
import type { Leaving } from '../relay/client.js';
import type { Attempt } from './attempt.js';
import type { Expiry } from './deadlines.js';

export interface FailureSeen {
  readonly fault: EngineFault;
  readonly left: Leaving | null;
  readonly expired: Expiry | null;
  /** The client has seen a byte. */
  readonly begun: boolean;
  /** A server was reached; true for engines that are none. */
  readonly reached: boolean;
}

export function failureOf(seen: FailureSeen): Pick<Attempt, 'state' | 'outcome' | 'fault'> {
  const state = stateOf(seen);
  // What the gateway stops by itself is nobody's failure.
  const outcome = seen.left === null ? outcomeOf(state) : 'clientGone';
  if (outcome !== 'timeout') return { state, outcome, fault: seen.fault };
  return { state, outcome, fault: { code: 'engine.timeout', message: `the version did not answer in time (${state})`, retryable: true } };
}

function stateOf({ fault, left, expired, begun, reached }: FailureSeen): EndState {
  if (left === 'gone') return 'clientGone';
  if (left === 'stopped') return begun ? 'cut' : 'shed';
  if (expired !== null) return expired;
  if (fault.code === 'engine.timeout') return reached ? (begun ? 'timeoutBetweenTokens' : 'timeoutFirstToken') : 'timeoutConnect';
  if (begun) return 'cut';
  switch (fault.code) {
    // Load, and the request's own fault: neither is held against the version.
    case 'engine.overloaded':
      return 'shed';
    case 'engine.bad-request':
    case 'engine.context-overflow':
      return 'rejected';
    default:
      return 'upstreamError';
  }
}
