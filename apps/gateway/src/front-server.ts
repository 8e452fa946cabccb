// The HTTP server in front of everything: its bounds against slow and malformed clients, and the fork between the hot path and Nest.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { HotPath } from './completions/hot-path.js';
import { refuseConnection } from './relay/refuse-connection.js';

/** Milliseconds, and bytes of all headers together. */
export interface ServerLimits {
  readonly headersMs: number;
  /** Head and body: a client that drips either holds its connection no longer than this. Answers are not limited by it. */
  readonly requestMs: number;
  readonly checkEveryMs: number;
  readonly headerBytes: number;
  readonly keepAliveMs: number;
  /** How long running requests may take to end when the gateway is stopped. */
  readonly drainMs: number;
}

export const usualServerLimits: ServerLimits = {
  headersMs: 15_000,
  requestMs: 60_000,
  checkEveryMs: 1_000,
  headerBytes: 32_768,
  // Longer than the pools of usual clients and load balancers keep theirs, or they would send into a connection that is just being closed.
  keepAliveMs: 65_000,
  drainMs: 25_000,
};

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** Requests per connection are not limited: Node would answer those that a client has pipelined beyond the limit with 503 by itself. */
export function frontServer(hot: HotPath, otherwise: Handler, limits: ServerLimits): Server {
  const handle: Handler = (request, response) => {
    if (!hot.take(request, response)) otherwise(request, response);
  };
  const server = createServer(
    {
      headersTimeout: limits.headersMs,
      requestTimeout: limits.requestMs,
      connectionsCheckingInterval: limits.checkEveryMs,
      maxHeaderSize: limits.headerBytes,
      keepAliveTimeout: limits.keepAliveMs,
    },
    handle,
  );
  // `Expect: 100-continue`: nobody is asked for a body that will be refused.
  server.on('checkContinue', (request, response) => {
    if (hot.wantsBody(request)) response.writeContinue();
    handle(request, response);
  });
  server.on('clientError', refuseConnection);
  return server;
}
