// The wire to one upstream: a bounded keep-alive pool that follows no redirect, takes no compression, and gives up a connection when its request is cancelled.
import { buildConnector, Client, type Dispatcher, Pool } from 'undici';
import { EngineError, type EngineFault } from '../engine.js';
import { guardedLookup } from './address.js';
import { faultOf } from './faults.js';
import { isStale, markingReuse } from './stale.js';
import type { Target } from './target.js';

/** Requests in flight at most, as the fleet grants them. */
export const maxConnections = 1_024;
/** undici would queue what is beyond its connections, without bound and unseen: it has some to spare, for health pages and answers that are still being closed. */
const spareConnections = 128;
const largestHeaderBytes = 32 << 10;
const keptErrorBytes = 4 << 10;
/** Below the 5 s after which Node, uvicorn and llama-server close an idle connection: a request must not meet a closing one. */
const keepAliveMs = 4_000;

export interface Page {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** At most the asked bytes; more is cut off. */
  readonly text: string;
}

export type Body = Dispatcher.ResponseData['body'];

interface Question {
  readonly path: string;
  readonly body: string;
  readonly accept: string;
  readonly signal: AbortSignal;
  readonly mayResend: () => boolean;
}

const always = (): boolean => true;

export class Connection {
  private readonly pool: Pool;
  private readonly settings: Client.Options;
  /** Connections of one request each, beside the pool. */
  private readonly single = new Set<Client>();
  /** Flat, as undici takes them fastest. */
  private readonly wholeHeaders: readonly string[];
  private readonly streamHeaders: readonly string[];

  constructor(
    readonly target: Target,
    private readonly credential: string | undefined,
    connectMs: number,
  ) {
    this.settings = {
      pipelining: 1,
      allowH2: false,
      headersTimeout: 0,
      bodyTimeout: 0,
      maxHeaderSize: largestHeaderBytes,
      keepAliveTimeout: keepAliveMs,
      connect: markingReuse(buildConnector({ allowH2: false, timeout: connectMs, lookup: guardedLookup })),
    };
    this.pool = new Pool(target.origin, { ...this.settings, connections: maxConnections + spareConnections });
    const headers = [...Object.entries(this.headers()).flat(), 'content-type', 'application/json', 'accept'];
    this.wholeHeaders = [...headers, 'application/json'];
    this.streamHeaders = [...headers, 'text/event-stream'];
  }

  /**
   * An answer piece by piece, without streams and promises. `endpoint`: under the API's path. `fresh`: over a connection that has served nobody. Failures
   * reach the handler, those of the connection as well.
   */
  dispatch(
    endpoint: string,
    { body, stream, fresh = false }: { readonly body: Buffer; readonly stream: boolean; readonly fresh?: boolean },
    handler: Dispatcher.DispatchHandler,
  ): void {
    const headers = stream ? this.streamHeaders : this.wholeHeaders;
    const request = { method: 'POST', path: `${this.target.apiPath}${endpoint}`, headers: headers as string[], body } as const;
    if (fresh) this.overFresh((client) => client.dispatch(request, handler));
    else this.pool.dispatch(request, handler);
  }

  /** A page by its whole path. Rejects with what the transport rejects with, or the signal's reason. */
  async get(path: string, signal: AbortSignal, mostBytes: number): Promise<Page> {
    const response = plain(await this.pool.request({ method: 'GET', path, headers: this.headers(), signal }));
    return { status: response.statusCode, headers: response.headers, text: await readText(response.body, mostBytes) };
  }

  /** A small JSON answer to a JSON body. `mayResend`: asked when an idle connection turns out to be closed. */
  async exchange(path: string, body: string, signal: AbortSignal, mostBytes: number, mayResend = always): Promise<Page> {
    const response = await this.send({ path, body, accept: 'application/json', signal, mayResend });
    return { status: response.statusCode, headers: response.headers, text: await readText(response.body, mostBytes) };
  }

  /**
   * A streamed answer, or the refusal with the first 4 KiB of its body. Throws EngineError for an answer in a form that we do not take. The
   * caller reads the body to its end or destroys it. `mayResend`: as in `exchange`.
   */
  async stream(
    path: string,
    body: string,
    signal: AbortSignal,
    mayResend = always,
  ): Promise<{ readonly body: Body } | { readonly refusal: { status: number; retryAfter: string | undefined; text: string } }> {
    const { statusCode, headers, body: answer } = await this.send({ path, body, accept: 'text/event-stream', signal, mayResend });
    if (statusCode !== 200) {
      return { refusal: { status: statusCode, retryAfter: one(headers['retry-after']), text: await readText(answer, keptErrorBytes) } };
    }
    const type = one(headers['content-type']) ?? '';
    if (isEventStream(type)) return { body: answer };
    const text = await readText(answer, keptErrorBytes);
    throw new NotAStream(type.slice(0, 80), text);
  }

  /** Ends every connection, those in use as well. */
  async close(): Promise<void> {
    await Promise.all([this.pool, ...this.single].map(async (one) => await one.destroy()));
  }

  private async send({ path, body, accept, signal, mayResend }: Question): Promise<Dispatcher.ResponseData> {
    const headers = { ...this.headers(), 'content-type': 'application/json', accept };
    const request = { method: 'POST', path, headers, body, signal } as const;
    try {
      return plain(await this.pool.request(request));
    } catch (error) {
      if (!isStale(error) || signal.aborted || !mayResend()) throw error;
      return plain(await this.overFresh(async (client) => await client.request(request)));
    }
  }

  /** The pool would take the next idle connection, which the upstream may have closed as well. This one ends with its request. */
  private overFresh<T>(ask: (client: Client) => T): T {
    const client = new Client(this.target.origin, this.settings);
    this.single.add(client);
    const asked = ask(client);
    // Waits for what was asked.
    client.close(() => this.single.delete(client));
    return asked;
  }

  private headers(): Record<string, string> {
    return { 'accept-encoding': 'identity', ...(this.credential ? { authorization: `Bearer ${this.credential}` } : {}) };
  }
}

/** Status 200 and no event stream: an error in disguise, or a server that does not stream. */
export class NotAStream extends Error {
  override readonly name = 'NotAStream';
  constructor(
    readonly type: string,
    readonly text: string,
  ) {
    super(`the upstream answered with ${type === '' ? 'no content type' : type} instead of an event stream`);
  }
}

export function isEventStream(contentType: string): boolean {
  return /^text\/event-stream\b/i.test(contentType);
}

/** We ask for no compression: what comes compressed all the same has no bound that we could hold it to. Null: it is not. */
export function compressed(headers: Readonly<Record<string, string | string[] | undefined>>): EngineFault | null {
  const encoding = one(headers['content-encoding']);
  if (encoding === undefined || encoding.toLowerCase() === 'identity') return null;
  return faultOf('engine.upstream-error', `the upstream compressed its answer (${encoding.slice(0, 40)}) although we take none`, {
    remedy: 'Switch compression off at the upstream or the proxy before it.',
  });
}

function plain(response: Dispatcher.ResponseData): Dispatcher.ResponseData {
  const fault = compressed(response.headers);
  if (fault === null) return response;
  response.body.on('error', () => undefined).destroy();
  throw new EngineError(fault);
}

/** At most `mostBytes`; the connection is given up when there is more. */
async function readText(body: Body, mostBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    // Leaving the loop destroys the body.
    if (size >= mostBytes) break;
  }
  return Buffer.concat(chunks).subarray(0, mostBytes).toString('utf8');
}

export function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}
