// A streamed answer from its request to its close, for answers that are made from tokens.
import type { Clock } from '#libs/base';
import { EngineError } from '../engine.js';
import { type Body, NotAStream } from './connection.js';
import type { EventReader } from './events.js';
import { errorIn, faultOf, refusalFault, reportedFault } from './faults.js';
import type { Lease } from './fleet/lease.js';
import { json } from './identify.js';
import type { PreparedRequest } from './request-body.js';

/** How long an upstream may take to close an answer that has ended before we close the connection. */
const settleMs = 500;

/** Throws EngineError when the upstream refuses, or answers something else than a stream. `secret` is cut out of what it says; `now`: wall clock. */
export async function openStream(
  lease: Lease,
  { endpoint, body }: PreparedRequest,
  { secret, now }: { readonly secret: string | undefined; readonly now: number },
  signal: AbortSignal,
): Promise<Body> {
  const { connection } = lease;
  try {
    const answer = await connection.stream(`${connection.target.apiPath}${endpoint}`, body, signal, () => lease.resend());
    if ('refusal' in answer) throw new EngineError(refusalFault(answer.refusal, now, secret));
    // A connection that is given up must not end the process by an error that nobody reads.
    answer.body.on('error', () => undefined);
    return answer.body;
  } catch (error) {
    if (!(error instanceof NotAStream)) throw error;
    const reported = errorIn(json(error.text));
    throw new EngineError(
      reported ? reportedFault(reported, secret) : faultOf('engine.upstream-error', error.message, { retryable: true }),
    );
  }
}

/** Lets a finished answer close, so that its connection can serve again; closes it otherwise. Never rejects. */
export async function settle(events: EventReader, given: AbortController, clock: Clock): Promise<void> {
  const ended = new AbortController();
  const late = clock.sleep(settleMs, ended.signal).then(() => given.abort());
  await Promise.race([events.settle(), late]).catch(() => given.abort());
  ended.abort();
  await late.catch(() => undefined);
}
