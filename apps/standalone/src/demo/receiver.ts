// The demo's on-call receiver: an outside judge of the webhooks. Signatures are checked by the public `standardwebhooks` package, not by our own code.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';

export interface ReceivedEvent {
  readonly id: string;
  readonly type: string;
  readonly subject: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** How often this id came; the sender promises at least once, a healthy run shows exactly once. */
  times: number;
}

const maxBodyBytes = 1_000_000;

/** Listens on loopback; counts every event by id and every signature that did not verify. */
export class DemoReceiver {
  readonly events = new Map<string, ReceivedEvent>();
  badSignatures = 0;
  private secret: string | null = null;
  private server: Server | null = null;

  /** The endpoint's secret, known only after the endpoint was registered. */
  trust(secret: string): void {
    this.secret = secret;
  }

  async start(): Promise<string> {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      request.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > maxBodyBytes) request.destroy();
        else chunks.push(chunk);
      });
      request.on('end', () => {
        response.statusCode = this.accept(Buffer.concat(chunks).toString('utf8'), request.headers) ? 204 : 401;
        response.end();
      });
    });
    server.requestTimeout = 10_000;
    this.server = server;
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/alerts`;
  }

  private accept(body: string, headers: NodeJS.Dict<string | string[]>): boolean {
    try {
      if (!this.secret) throw new Error('no secret yet');
      new Webhook(this.secret).verify(body, headers as Record<string, string>);
    } catch {
      this.badSignatures += 1;
      return false;
    }
    const event = JSON.parse(body) as { id: string; type: string; subject?: string; data: Record<string, unknown> };
    const id = String(headers['webhook-id']);
    const seen = this.events.get(id);
    if (seen) seen.times += 1;
    else this.events.set(id, { id, type: event.type, subject: event.subject ?? '', data: event.data, times: 1 });
    return true;
  }

  /** Events of one type about one rollout. */
  about(rolloutId: string, type: string): ReceivedEvent[] {
    return [...this.events.values()].filter(
      (event) => event.type.endsWith(type) && JSON.stringify([event.subject, event.data]).includes(rolloutId),
    );
  }

  async stop(): Promise<void> {
    const server = this.server;
    if (!server) return;
    server.closeAllConnections();
    await new Promise<void>((done) => server.close(() => done()));
  }
}
