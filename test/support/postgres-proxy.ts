// What lies between a gateway and Postgres and fails on demand: a path that drops packets, cut connections, a pooler that keeps notices to itself.
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { targetOf } from '#libs/storage';

export interface PostgresProxyOptions {
  /** As behind a pooler in transaction mode: LISTEN is answered, and nothing is ever heard. */
  readonly keepsNotices?: boolean;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/** Postgres as it is reached through it: `url`. */
export class PostgresProxy {
  private readonly pairs = new Set<Pair>();
  private readonly listening: Server;
  private silent: 'not' | 'both ways' | 'answers' = 'not';
  /** Connections that were accepted so far. */
  accepted = 0;

  private constructor(
    private readonly target: string,
    private readonly options: PostgresProxyOptions,
  ) {
    this.listening = createServer((client) => this.accept(client));
  }

  static async to(url: string, options: PostgresProxyOptions = {}): Promise<PostgresProxy> {
    const proxy = new PostgresProxy(url, options);
    await new Promise<void>((done) => proxy.listening.listen(0, '127.0.0.1', done));
    return proxy;
  }

  get url(): string {
    const { user, password, database } = targetOf(this.target);
    const who = password === undefined ? user : `${user}:${encodeURIComponent(password)}`;
    return `postgres://${who}@127.0.0.1:${(this.listening.address() as AddressInfo).port}/${database}`;
  }

  /**
   * Nothing gets through and nothing is refused, as where packets are dropped: connections look whole. With 'answers' only what Postgres says is
   * lost, so its statements run. What was sent arrives after `heal`, late.
   */
  silence(what: 'both ways' | 'answers' = 'both ways'): void {
    this.silent = what;
    for (const pair of this.pairs) this.steer(pair);
  }

  heal(): void {
    this.silent = 'not';
    for (const pair of this.pairs) this.steer(pair);
  }

  /** Ends every connection. The next one is accepted. */
  cut(): void {
    for (const { client, server } of this.pairs) {
      client.destroy();
      server.destroy();
    }
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise<void>((done) => this.listening.close(() => done()));
  }

  private accept(client: Socket): void {
    this.accepted += 1;
    const { host, port } = targetOf(this.target);
    const server = host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host);
    const pair = { client, server };
    this.pairs.add(pair);
    const pass = this.options.keepsNotices ? withoutNotices() : (bytes: Buffer) => bytes;
    client.on('data', (bytes) => server.write(bytes));
    server.on('data', (bytes) => client.write(pass(bytes)));
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      one.on('error', () => undefined);
      one.on('close', () => {
        this.pairs.delete(pair);
        other.destroy();
      });
    }
    this.steer(pair);
  }

  private steer({ client, server }: Pair): void {
    if (this.silent === 'both ways') client.pause();
    else client.resume();
    if (this.silent === 'not') server.resume();
    else server.pause();
  }
}

const notificationResponse = 'A'.charCodeAt(0);
const headBytes = 5;

/** Takes NotificationResponse out of what a server says: each message is a type, a length that counts itself, and a body. */
function withoutNotices(): (bytes: Buffer) => Buffer {
  let waiting = Buffer.alloc(0);
  return (bytes) => {
    waiting = Buffer.concat([waiting, bytes]);
    const passed: Buffer[] = [];
    while (waiting.length >= headBytes && waiting.length > waiting.readUInt32BE(1)) {
      const end = 1 + waiting.readUInt32BE(1);
      if (waiting[0] !== notificationResponse) passed.push(waiting.subarray(0, end));
      waiting = waiting.subarray(end);
    }
    return Buffer.concat(passed);
  };
}
