// The compiled gateway as an operator starts it: one command, some environment, and whatever processes it makes of that.
import { type ChildProcess, fork } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './gateway.js';

const script = new URL('../../dist/apps/gateway/src/main.js', import.meta.url);

export interface Told {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

/** One request over a connection of its own: the kernel chooses anew who answers. Rejects when there is no whole answer. */
export async function askOnce(
  url: string,
  { headers = {}, body }: { headers?: Record<string, string>; body?: object } = {},
): Promise<Told> {
  return await new Promise((done, failed) => {
    const asked = request(url, { agent: false, method: body ? 'POST' : 'GET', headers, timeout: 20_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (piece: string) => {
        text += piece;
      });
      response.on('error', failed);
      response.on('end', () => done({ status: response.statusCode ?? 0, headers: response.headers, text }));
    });
    asked.on('timeout', () => asked.destroy(new Error('no answer within 20 s')));
    asked.on('error', failed);
    asked.end(body && JSON.stringify(body));
  });
}

/** `count` ports in a row that are free now. */
export async function freePorts(count: number): Promise<number> {
  for (;;) {
    const from = 20_000 + Math.floor(Math.random() * 10_000);
    const tries = Array.from({ length: count }, async (_, at) => await isFree(from + at));
    if ((await Promise.all(tries)).every(Boolean)) return from;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return await new Promise((done) => {
    server.once('error', () => done(false));
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
  });
}

/** A process that ended but was not yet waited for does not run. */
export async function runs(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => 'State: Z');
  return !/^State:\s+Z/m.test(status);
}

export class GatewayProcesses {
  readonly url: string;
  said = '';
  readonly ended: Promise<number | NodeJS.Signals>;
  private readonly child: ChildProcess;

  private constructor(
    readonly dataDir: string,
    readonly port: number,
    readonly adminPort: number,
    env: Record<string, string>,
  ) {
    this.url = `http://127.0.0.1:${port}`;
    this.child = fork(script, {
      execArgv: [],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: {
        PATH: process.env['PATH'],
        SERIN_GATEWAY_PORT: String(port),
        SERIN_GATEWAY_ADMIN_PORT: String(adminPort),
        SERIN_GATEWAY_ID: 'shared',
        SERIN_DATA_DIR: dataDir,
        SERIN_LOG_LEVEL: 'warn',
        ...env,
      },
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (text) => {
        this.said += text;
      });
    }
    this.ended = new Promise((done) => this.child.once('exit', (code, signal) => done(signal ?? code ?? -1)));
  }

  static async start(env: Record<string, string>): Promise<GatewayProcesses> {
    const first = await freePorts(4);
    return new GatewayProcesses(await mkdtemp(join(tmpdir(), 'serin-processes-')), first, first + 1, env);
  }

  get pid(): number {
    return this.child.pid ?? -1;
  }

  /** Process ids of its children, in the order in which they were started. */
  async children(): Promise<number[]> {
    const told = await readFile(`/proc/${this.pid}/task/${this.pid}/children`, 'utf8').catch(() => '');
    return told.split(' ').filter(Boolean).map(Number);
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** What the process at `place` says of itself at its admin address; null while it does not answer. */
  async readyz(place: number) {
    const told = await askOnce(`http://127.0.0.1:${this.adminPort + place - 1}/readyz?verbose`).catch(() => null);
    return told && (JSON.parse(told.text) as Ready).checks;
  }

  /** Until all places serve by the generation, or the lot has ended. */
  async serving(generation: number, places: readonly number[]): Promise<void> {
    const over = this.ended.then((how) => Promise.reject(new Error(`it ended with ${how}: ${this.said}`)));
    for (const place of places) {
      const serves = async () => {
        const checks = await this.readyz(place);
        return checks?.routingTable?.generation === generation && Object.values(checks.engines).every(({ state }) => state !== 'loading');
      };
      await Promise.race([until(serves, `process ${place} to serve`, 30_000), over]);
    }
    over.catch(() => undefined);
  }

  async remove(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
    await rm(this.dataDir, { recursive: true, force: true });
  }
}

interface Ready {
  readonly checks: {
    readonly gateway: string;
    readonly routingTable: { readonly generation: number } | null;
    readonly gateways: number | null;
    readonly requests: { readonly begun: number };
    readonly engines: Record<string, { readonly state: string; readonly reason: string | null }>;
  };
}
