// A client that speaks bytes: what a careful library would never send, and exactly what comes back.
import { connect, type Socket } from 'node:net';
import { until } from './gateway.js';

export class RawClient {
  received = Buffer.alloc(0);
  closed = false;
  readonly socket: Socket;

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.socket = connect(Number(port), hostname);
    this.socket.on('data', (bytes) => {
      this.received = Buffer.concat([this.received, bytes]);
    });
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      this.closed = true;
    });
  }

  get text(): string {
    return this.received.toString('latin1');
  }

  send(bytes: Buffer | string): this {
    this.socket.write(bytes);
    return this;
  }

  async untilReceived(what: string | RegExp, limitMs = 10_000): Promise<void> {
    await until(
      () => (typeof what === 'string' ? this.text.includes(what) : what.test(this.text)),
      `"${what}", got "${this.text.slice(-500)}"`,
      limitMs,
    );
  }

  async untilClosed(limitMs = 10_000): Promise<void> {
    await until(() => this.closed, `the connection's end, got "${this.text.slice(-500)}"`, limitMs);
  }

  close(): void {
    this.socket.destroy();
  }
}

/** A POST of JSON as bytes. */
export function rawPost(
  key: string,
  body: unknown,
  headers: readonly string[] = [],
  path = '/v1/chat/completions',
  version = '1.1',
): string {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const head = [
    `POST ${path} HTTP/${version}`,
    'host: test',
    `authorization: Bearer ${key}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(text)}`,
    ...headers,
  ];
  return `${head.join('\r\n')}\r\n\r\n${text}`;
}
