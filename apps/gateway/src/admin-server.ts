// A second address for /livez and /readyz alone: of one process among several on a port, and while a gateway drains.
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';

/** Rejects when the port is taken. `handler` is everything but `/v1`. */
export async function listenAdmin(handler: RequestListener, host: string, port: number): Promise<Server> {
  const server = createServer({ headersTimeout: 5_000, requestTimeout: 5_000, connectionsCheckingInterval: 1_000 }, handler);
  server.listen({ host, port });
  await once(server, 'listening');
  return server;
}
