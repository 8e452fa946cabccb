// How a request ended: exactly one state for each that began, so that the counters add up and nobody is blamed for another's failure.
import type { ServerResponse } from 'node:http';
import type { RequestOutcome } from '#libs/analysis';
import type { ServedVersion } from '#libs/rollout';
import type { Answered } from '../request-log/told.js';

export const endStates = [
  'ok',
  /** The client left, or read so slowly that it was cut. Never an error of the version. */
  'clientGone',
  /** The version failed before the first byte of its answer. */
  'upstreamError',
  /** The answer broke off after its first byte. */
  'cut',
  'timeoutConnect',
  'timeoutFirstToken',
  'timeoutBetweenTokens',
  'timeoutTotal',
  /** Refused for load: another try, later, is welcome. */
  'shed',
  /** The request's own fault, or nobody here to ask yet: no version was asked, or it refused. */
  'rejected',
  /** A fault of the gateway itself. */
  'gatewayError',
] as const;

export type EndState = (typeof endStates)[number];

export interface Ending {
  readonly state: EndState;
  /** Which version answered, or failed to, last; null when none was asked. */
  readonly version: ServedVersion | null;
  /** Of the error that it was refused with. */
  readonly code?: string;
  /** What a generating request has to tell; absent when no version was asked. */
  readonly answered?: Answered;
}

/** As the canary's statistics count it. `refused` leaves no observation. */
export function outcomeOf(state: EndState): RequestOutcome | 'refused' {
  switch (state) {
    case 'ok':
    case 'clientGone':
    case 'shed':
      return state;
    case 'upstreamError':
    case 'cut':
      return 'error';
    case 'timeoutConnect':
    case 'timeoutFirstToken':
    case 'timeoutBetweenTokens':
    case 'timeoutTotal':
      return 'timeout';
    case 'rejected':
    case 'gatewayError':
      return 'refused';
  }
}

/** Of a request whose handler does not say: by the status that the client was sent. */
export function stateByStatus(response: ServerResponse): EndState {
  if (!response.headersSent || (response.destroyed && !response.writableEnded)) return 'clientGone';
  const { statusCode } = response;
  if (statusCode < 400) return 'ok';
  if (statusCode === 429) return 'shed';
  if (statusCode === 504) return 'timeoutTotal';
  if (statusCode === 502) return 'upstreamError';
  return statusCode === 500 ? 'gatewayError' : 'rejected';
}
