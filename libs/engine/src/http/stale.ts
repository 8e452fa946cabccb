// Which failures are those of an idle connection that the upstream closed just as we wrote to it: the request may go out again, over a fresh one.
import type { buildConnector } from 'undici';

/**
 * Why sending it again is right although it is a POST (RFC 9110, section 9.2.2): a generation changes nothing at the upstream, so asked twice it means
 * what it means once; and a connection that had served and ends without one byte of this answer was almost surely closed before
 * the request was read. At worst the upstream does the work twice, which is why the right to it comes out of the retry budget.
 */

/** Errors of connections that had brought an answer before; the system's own errors do not tell. */
const ofReused = new WeakSet<object>();

/** Notes of each error whether its connection had served before. Wraps what opens connections. */
export function markingReuse(connect: buildConnector.connector): buildConnector.connector {
  return (options, opened) => {
    connect(options, (...result) => {
      const [, socket] = result;
      // Before undici's own listener, which ends the request.
      socket?.on('error', (error) => {
        if (socket.bytesRead > 0) ofReused.add(error);
      });
      opened(...result);
    });
  };
}

/** Closed, reset or broken by the other side, after it had served. Whether this answer has begun is the caller's to know. */
export function isStale(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, socket } = error as { code?: string; socket?: { bytesRead?: number } };
  if (code === 'UND_ERR_SOCKET') return (socket?.bytesRead ?? 0) > 0;
  return (code === 'ECONNRESET' || code === 'EPIPE') && ofReused.has(error);
}
