// A port that several processes may share must be theirs: whoever shares it gets a part of the connections, also by mistake.
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { type Fault, fail, type Outcome, ok } from '#libs/base';

/**
 * Looks whether nobody listens at the port yet; a server that shares it counts as somebody. `port` 0: finds a free one. The port is let go of
 * again, for the processes to share. Faults: `port.busy`, `port.not-shared` (this system cannot), `port.unusable`.
 */
export async function findPort(host: string, port: number): Promise<Outcome<number>> {
  const alone = await listen(host, port, false);
  if (!alone.ok) return alone;
  const found = alone.value.port;
  await close(alone.value.server);
  // Tried where nobody connects: on the port itself a client could meet a server that only tries.
  const first = await listen('127.0.0.1', 0, true);
  if (!first.ok) return notShared(first.fault);
  const second = await listen('127.0.0.1', first.value.port, true);
  await close(first.value.server);
  if (!second.ok) return notShared(second.fault);
  await close(second.value.server);
  return ok(found);
}

async function listen(host: string, port: number, reusePort: boolean): Promise<Outcome<{ server: Server; port: number }>> {
  const server = createServer((socket) => socket.destroy());
  try {
    server.listen({ host, port, reusePort });
    await once(server, 'listening');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'EADDRINUSE') return fail({ code: 'port.unusable', message: `Nobody can listen at ${host}:${port}: ${message}.` });
    return fail({
      code: 'port.busy',
      message: `Somebody listens at ${host}:${port} already.`,
      remedy: 'Stop it, or set SERIN_GATEWAY_PORT to a free port.',
    });
  }
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port');
  return ok({ server, port: address.port });
}

async function close(server: Server): Promise<void> {
  server.close();
  await once(server, 'close');
}

function notShared({ code, message }: Fault): Outcome<never> {
  const why = code === 'port.busy' ? 'the second that tries is refused' : message.replace(/\.$/, '');
  return fail({
    code: 'port.not-shared',
    message: `Several processes cannot share a port here: ${why}.`,
    remedy:
      'That needs Linux, FreeBSD or another system with SO_REUSEPORT that balances, and Node 22.12 or newer. Set SERIN_GATEWAY_PROCESSES to 1.',
  });
}
