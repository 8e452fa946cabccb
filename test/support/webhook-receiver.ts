// A receiver of webhooks on loopback, with faults on demand. Signatures are judged by the public `standardwebhooks` package, not by our own code.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Webhook } from 'standardwebhooks';

/** What the receiver does with one request. `hang`: reads and never answers. `reset`: cuts the connection; with `afterStatus` unset, before any answer. */
export type Reaction =
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string; readonly afterMs?: number }
  | 'hang'
  | 'reset';

export interface ReceivedWebhook {
  readonly id: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly event: {
    readonly id: string;
    readonly type: string;
    readonly subject: string;
    readonly data: Readonly<Record<string, unknown>>;
  };
  /** What `standardwebhooks` said. */
  readonly verified: boolean;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
}

const maxBodyBytes = 1_000_000;
const patienceMs = 20_000;

export class WebhookReceiver {
  readonly received: ReceivedWebhook[] = [];
  /** Requests being handled now, and the most there were at once. */
  open = 0;
  mostOpen = 0;
  secret: string | null = null;
  /** Decides per request; `count` is how often this id came before. */
  react: (webhook: ReceivedWebhook, count: number) => Reaction = () => ({ status: 204 });
  private server: Server | null = null;
  private readonly stopping = new AbortController();

  /** Resolves to the URL to register. */
  async start(host = '127.0.0.1'): Promise<string> {
    const server = createServer((request, response) => {
      this.handle(request, response).catch(() => response.destroy());
    });
    server.requestTimeout = 30_000;
    this.server = server;
    await new Promise<void>((done) => server.listen(0, host, done));
    const { port } = server.address() as AddressInfo;
    return `http://${host.includes(':') ? `[${host}]` : host}:${port}/hooks`;
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    const { server } = this;
    if (!server) return;
    server.closeAllConnections();
    await new Promise<void>((done) => server.close(() => done()));
  }

  /** Webhooks whose type ends in this, oldest first. */
  of(type: string): ReceivedWebhook[] {
    return this.received.filter((webhook) => webhook.event.type.endsWith(type));
  }

  /** Waits until the condition holds; throws with what came instead after 20 s. */
  async until(condition: () => boolean): Promise<void> {
    const giveUpAt = performance.now() + patienceMs;
    while (!condition()) {
      if (performance.now() > giveUpAt) {
        throw new Error(
          `not received in ${patienceMs / 1000} s; received: ${JSON.stringify(this.received.map(({ event }) => [event.type, event.subject]))}`,
        );
      }
      await delay(20);
    }
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.open += 1;
    this.mostOpen = Math.max(this.mostOpen, this.open);
    try {
      await this.answer(request, response);
    } finally {
      this.open -= 1;
    }
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > maxBodyBytes) throw new Error('too large');
      chunks.push(chunk);
    }
    const body = Buffer.concat(chunks).toString('utf8');
    const id = String(request.headers['webhook-id']);
    const count = this.received.filter((one) => one.id === id).length;
    const webhook: ReceivedWebhook = {
      id,
      headers: request.headers,
      body,
      event: JSON.parse(body || '{}') as ReceivedWebhook['event'],
      verified: this.judge(body, request.headers),
      at: Date.now(),
    };
    this.received.push(webhook);
    const reaction = this.react(webhook, count);
    if (reaction === 'reset') {
      request.socket.resetAndDestroy();
      return;
    }
    if (reaction === 'hang') {
      await delay(60_000, undefined, { signal: this.stopping.signal });
      return;
    }
    if (reaction.afterMs) await delay(reaction.afterMs, undefined, { signal: this.stopping.signal });
    response.writeHead(reaction.status, reaction.headers);
    response.end(reaction.body);
  }

  private judge(body: string, headers: IncomingMessage['headers']): boolean {
    if (!this.secret) return false;
    try {
      new Webhook(this.secret).verify(body, headers as Record<string, string>);
      return true;
    } catch {
      return false;
    }
  }
}
