// Aborts when the client leaves before its answer is whole.
import type { ServerResponse } from 'node:http';

export function clientGone(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) gone.abort();
  });
  return gone.signal;
}
