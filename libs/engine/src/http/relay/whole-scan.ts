// A body that came in one piece: what it says, what is wrong with it, and what the client gets of it.
import type { EngineFault } from '../../engine.js';
import type { RelaySummary } from '../../relay.js';
import type { AnswerWishes } from './stream-reader.js';

export interface WholeAnswer {
  /** For the client: its length is the Content-Length. The very bytes that came where nothing had to change. Empty beside a fault. */
  readonly output: Buffer;
  readonly fault: EngineFault | null;
  /** Times of tokens are unknown: null. */
  readonly summary: RelaySummary;
}

/** Reads a body of status 200, decoded and whole. `upstream`: which endpoint of the version answers. */
export function readWhole(_bytes: Buffer, _wishes: AnswerWishes, _upstream: string | null): WholeAnswer {
  throw new Error('to come');
}
