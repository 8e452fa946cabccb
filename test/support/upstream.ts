// An OpenAI-compatible server without a model: speaks every family's wire format, and breaks it on demand.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { wholeBody } from './upstream-whole.js';
import {
  type FakeDialect,
  type FakeToken,
  finishChunk,
  mostTop,
  pagesOf,
  refusalBody,
  roleChunk,
  tokenChunk,
  toolChunk,
  usageChunk,
  usageOf,
  type Wire,
} from './upstream-wire.js';

/** What goes wrong with the next generations. `after`: tokens that come before it. */
export type UpstreamFault =
  | { readonly kind: 'status'; readonly status: number; readonly body?: string; readonly headers?: Readonly<Record<string, string>> }
  /** Reads the request and answers nothing, or no more. */
  | { readonly kind: 'silent'; readonly after: 'request' | 'headers' | number }
  /** Cuts the connection. */
  | { readonly kind: 'cut'; readonly after: 'request' | number }
  /** Ends the body in good order, without a finish reason. */
  | { readonly kind: 'endEarly'; readonly after: number }
  | { readonly kind: 'noEndMark' }
  | { readonly kind: 'noUsage' }
  | { readonly kind: 'goesOn' }
  /** Finishes with this reason. */
  | { readonly kind: 'finish'; readonly reason: string }
  | { readonly kind: 'error'; readonly after: number; readonly as: 'data' | 'event' | 'field'; readonly error: unknown }
  /** Puts these bytes into the stream. */
  | { readonly kind: 'garbage'; readonly after: number; readonly bytes: string | Uint8Array }
  /** Answers with this instead of a stream. */
  | { readonly kind: 'instead'; readonly type: string; readonly body: string }
  | { readonly kind: 'redirect'; readonly to: string }
  | { readonly kind: 'compressed' }
  | { readonly kind: 'noHttp' }
  | { readonly kind: 'endless'; readonly piece: string }
  | { readonly kind: 'toolCall' }
  | { readonly kind: 'neverCloses' };

export interface UpstreamRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Record<string, unknown>;
  /** The body as it came. */
  readonly text: string;
  /** Requests with the same number came over the same connection. */
  readonly connection: number;
}

export const fakeTokens: readonly FakeToken[] = ['Hello', ' there', ', you', ' two', '.'].map((text, position) => ({
  text,
  distribution: [
    [text, 0.5 + position / 20] as const,
    ...Array.from({ length: 31 }, (_, rank) => [` w${rank}`, (0.5 - position / 20) / 31] as const),
  ],
}));

export type { FakeDialect };

export class FakeUpstream {
  readonly requests: UpstreamRequest[] = [];
  fault: UpstreamFault | null = null;
  tokens: readonly FakeToken[] = fakeTokens;
  /** Text of an answer by its request, in place of `tokens`; null: those. */
  says: (body: Readonly<Record<string, unknown>>) => string | null = () => null;
  /** Functions that an answer calls by its request, in place of text; null: none. */
  calls: (body: Readonly<Record<string, unknown>>) => readonly { readonly name: string; readonly arguments: string }[] | null = () => null;
  models: readonly string[] = ['fake-model'];
  /** Log probabilities after temperature. */
  tempered = false;
  /** Most likely tokens that it takes; undefined: the family's. */
  top: number | null | undefined = undefined;
  /** False: the endpoint is not there. */
  chat = true;
  completions = true;
  embeddings: readonly (readonly number[])[] | null = null;
  /** Text of the page /metrics. */
  metrics: string | null = null;
  /** Fields that it refuses, with the words it uses. */
  refuses: Readonly<Record<string, string>> = {};
  cachedTokens = 3;
  /** Generations from now that end with their very first token, of which nothing is said. */
  mute = 0;
  /** Answers no page either, as a process that is stopped. */
  hangs = false;
  /** Pause before each token. */
  tokenMs = 0;
  /** Generations whose client left before their end. */
  abandoned = 0;
  /** Generations in progress. */
  open = 0;
  credential: string | null = null;
  /** The next request over a connection that has served before finds it closed, as idle ones are. */
  closeNext = false;
  private server: Server | null = null;
  private readonly connections = new Map<Socket, number>();
  private readonly stopping = new AbortController();

  constructor(readonly dialect: FakeDialect = 'vllm') {}

  /** Resolves to the base URL. `port`: one that another had before; 0: any. */
  async start(port = 0): Promise<string> {
    const server = createServer((request, response) => {
      this.handle(request, response).catch(() => response.destroy());
    });
    this.server = server;
    server.on('connection', (socket) => this.connections.set(socket, this.connections.size));
    await new Promise<void>((done) => server.listen(port, '127.0.0.1', done));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    this.server?.closeAllConnections();
    await new Promise<void>((done) => (this.server ? this.server.close(() => done()) : done()));
  }

  /** Connections that were ever made. */
  get accepted(): number {
    return this.connections.size;
  }

  /** The newest generation. */
  get last(): UpstreamRequest {
    const found = this.requests.findLast(({ method }) => method === 'POST');
    if (!found) throw new Error('nothing was generated yet');
    return found;
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.closeNext) {
      this.closeNext = false;
      return void request.socket.destroy();
    }
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const path = request.url ?? '/';
    const text = Buffer.concat(chunks).toString('utf8');
    const body = JSON.parse(text || '{}') as Record<string, unknown>;
    this.requests.push({
      method: request.method ?? '',
      path,
      headers: request.headers,
      body,
      text,
      connection: this.connections.get(request.socket) ?? -1,
    });
    response.setHeader('server', this.dialect === 'llama-server' ? 'llama.cpp' : 'uvicorn');
    if (this.credential !== null && request.headers.authorization !== `Bearer ${this.credential}`) {
      return this.refuse(response, 401, `Incorrect API key provided: ${String(request.headers.authorization)}`);
    }
    if (request.method === 'GET' && this.hangs) return await delay(60_000, undefined, { signal: this.stopping.signal });
    if (request.method === 'GET') return this.page(path, response);
    if (path === '/v1/embeddings') return this.embed(body, response);
    const chat = path === '/v1/chat/completions';
    if (!(chat ? this.chat : path === '/v1/completions' && this.completions)) return this.refuse(response, 404, 'Not Found');
    return await this.generate(chat, body, request, response);
  }

  private page(path: string, response: ServerResponse): void {
    if (path === '/metrics' && this.metrics !== null) {
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(this.metrics);
      return;
    }
    const vocabularySize = this.tokens[0]?.distribution.length ?? 0;
    const page = pagesOf(this.dialect, this.models, { contextSize: 4_096, vocabularySize })[path.replace('/v1/', '')];
    if (!page) return this.refuse(response, 404, 'Not Found');
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(page));
  }

  private embed(body: Record<string, unknown>, response: ServerResponse): void {
    const vectors = this.embeddings;
    if (vectors === null) return this.refuse(response, 404, 'Not Found');
    const data = [body['input']].flat().map((_, index) => ({ object: 'embedding', index, embedding: vectors[index] }));
    // Nobody promises an order.
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ object: 'list', data: data.reverse(), usage: { prompt_tokens: 7, total_tokens: 7 } }));
  }

  private refuse(response: ServerResponse, status: number, message: string): void {
    response.writeHead(status, { 'content-type': 'application/json' }).end(refusalBody(this.dialect, status, message));
  }

  private async generate(chat: boolean, body: Record<string, unknown>, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { fault } = this;
    const refused = Object.keys(body).find((name) => this.refuses[name] !== undefined);
    if (refused !== undefined) return this.refuse(response, 400, this.refuses[refused] ?? '');
    const most = this.top === undefined ? mostTop(this.dialect, chat) : this.top;
    const asked = chat
      ? body['logprobs'] === true
        ? Number(body['top_logprobs'] ?? 0)
        : null
      : ((body['logprobs'] as number | undefined) ?? null);
    // Ollama of old does not know the field and says nothing; the others say no.
    if (asked !== null && this.dialect !== 'ollama' && (most === null || asked > most))
      return this.refuse(response, this.dialect === 'tgi' ? 422 : 400, `top_logprobs must be at most ${most ?? 'absent'}, got ${asked}.`);
    if (fault?.kind === 'status') {
      response.writeHead(fault.status, { 'content-type': 'application/json', ...fault.headers });
      response.end(fault.body ?? refusalBody(this.dialect, fault.status, 'no'));
      return;
    }
    if (fault?.kind === 'redirect') return void response.writeHead(307, { location: fault.to }).end();
    if (fault?.kind === 'instead') return void response.writeHead(200, { 'content-type': fault.type }).end(fault.body);
    if (fault?.kind === 'noHttp') return void request.socket.end('SSH-2.0-OpenSSH_9.2\r\n');
    if (fault?.kind === 'cut' && fault.after === 'request') return void request.socket.destroy();
    const wire: Wire = {
      dialect: this.dialect,
      model: String(body['model']),
      chat,
      top: most === null || (asked === 0 && this.dialect === 'llama-server') ? null : asked,
      temperature: this.tempered ? Number(body['temperature'] ?? 1) : 1,
    };
    this.open += 1;
    response.once('close', () => {
      this.open -= 1;
      if (!response.writableFinished) this.abandoned += 1;
    });
    if (body['stream'] === true) await this.stream(wire, body, response);
    else await this.whole(wire, body, response);
  }

  /** An answer before it is cut by its length. */
  private allTokens(body: Record<string, unknown>): readonly FakeToken[] {
    const said = this.says(body);
    return said === null ? this.tokens : [{ text: said, distribution: [[said, 1]] }];
  }

  /** `after` a number: a part of the body has gone out. */
  private async whole(wire: Wire, body: Record<string, unknown>, response: ServerResponse): Promise<void> {
    const { fault } = this;
    const silence = async (): Promise<void> => await delay(60_000, undefined, { signal: this.stopping.signal });
    if (fault?.kind === 'silent' && fault.after === 'request') return await silence();
    const most = Number(body['max_tokens'] ?? body['max_completion_tokens'] ?? 16);
    const calls = this.calls(body);
    const all = this.allTokens(body);
    const tokens = calls === null ? all.slice(0, most) : [];
    const choices = Number(body['n'] ?? 1);
    await delay(this.tokenMs * tokens.length, undefined, { signal: this.stopping.signal });
    const finishReason =
      fault?.kind === 'finish' ? fault.reason : calls !== null ? 'tool_calls' : tokens.length < all.length ? 'length' : 'stop';
    const usage = fault?.kind === 'noUsage' ? null : usageOf(wire, 9, tokens.length * choices, this.cachedTokens);
    const text = wholeBody(wire, { tokens, choices, calls, finishReason, usage });
    if (fault?.kind === 'compressed') {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' });
      return void response.end(gzipSync(text));
    }
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    if (fault?.kind === 'silent' && fault.after === 'headers') return await silence();
    if (fault?.kind === 'endless') {
      while (!response.destroyed) {
        response.write(fault.piece);
        await delay(0);
      }
      return;
    }
    if (fault?.kind === 'error') return void response.end(JSON.stringify(fault.error));
    if (fault?.kind === 'garbage') return void response.end(fault.bytes);
    if (fault?.kind === 'endEarly') return void response.end(text.slice(0, text.length / 2));
    if (fault?.kind === 'silent' || fault?.kind === 'cut') {
      response.write(text.slice(0, text.length / 2));
      if (fault.kind === 'silent') return await silence();
      await delay(20);
      return void response.destroy();
    }
    response.end(text);
  }

  private async stream(wire: Wire, body: Record<string, unknown>, response: ServerResponse): Promise<void> {
    const { fault } = this;
    const silence = async (): Promise<void> => await delay(60_000, undefined, { signal: this.stopping.signal });
    if (fault?.kind === 'silent' && fault.after === 'request') return await silence();
    if (fault?.kind === 'compressed') {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' });
      return void response.end(gzipSync(`data: ${tokenChunk(wire, 0, fakeTokens[0] as FakeToken)}\n\ndata: [DONE]\n\n`));
    }
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
    response.flushHeaders();
    const send = (data: string | null): void => {
      if (data !== null) response.write(`data: ${data}\n\n`);
    };
    const choices = Number(body['n'] ?? 1);
    const most = Number(body['max_tokens'] ?? body['max_completion_tokens'] ?? 16);
    const mute = this.mute > 0;
    if (mute) this.mute -= 1;
    const calls = this.calls(body);
    const all = this.allTokens(body);
    const tokens = mute || calls !== null ? [] : all.slice(0, most);
    for (let index = 0; index < choices; index += 1) send(roleChunk(wire, index));
    if (fault?.kind === 'silent' && fault.after === 'headers') return await silence();
    if (fault?.kind === 'endless') {
      while (!response.destroyed) {
        response.write(fault.piece);
        await delay(0);
      }
      return;
    }
    for (const [position, token] of tokens.entries()) {
      if (this.tokenMs > 0) await delay(this.tokenMs, undefined, { signal: this.stopping.signal });
      if (fault && 'after' in fault && fault.after === position) {
        if (fault.kind === 'silent') return await silence();
        if (fault.kind === 'endEarly') return void response.end();
        if (fault.kind === 'cut') {
          // What was written is on its way before the connection ends.
          await delay(20);
          return void response.destroy();
        }
        if (fault.kind === 'error') {
          const error = JSON.stringify(fault.error);
          const form = { data: `data: ${error}`, event: `event: error\ndata: ${error}`, field: `error: ${error}` }[fault.as];
          return void response.end(`${form}\n\n`);
        }
        if (fault.kind === 'garbage') response.write(fault.bytes);
      }
      for (let index = 0; index < choices; index += 1) send(tokenChunk(wire, index, token));
    }
    if (fault?.kind === 'toolCall') {
      send(toolChunk(wire, { tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { name: 'look_up', arguments: '' } }] }));
      send(toolChunk(wire, { tool_calls: [{ index: 0, function: { arguments: '{"order":' } }] }));
      send(toolChunk(wire, { tool_calls: [{ index: 0, function: { arguments: '7}' } }] }));
    }
    for (const [index, { name, arguments: given }] of (calls ?? []).entries()) {
      // A name first, then the arguments in pieces that split wherever they split.
      send(toolChunk(wire, { tool_calls: [{ index, id: `call_${index + 1}`, type: 'function', function: { name, arguments: '' } }] }));
      const half = Math.ceil(given.length / 2);
      for (const piece of [given.slice(0, half), given.slice(half)])
        send(toolChunk(wire, { tool_calls: [{ index, function: { arguments: piece } }] }));
    }
    const counts = usageOf(wire, 9, tokens.length * choices, this.cachedTokens);
    const withUsage =
      fault?.kind !== 'noUsage' && (body['stream_options'] as { include_usage?: boolean } | undefined)?.include_usage === true;
    const reason =
      fault?.kind === 'finish'
        ? fault.reason
        : fault?.kind === 'toolCall' || calls !== null
          ? 'tool_calls'
          : tokens.length < all.length
            ? 'length'
            : 'stop';
    for (let index = 0; index < choices; index += 1) send(finishChunk(wire, index, reason, withUsage ? counts : null));
    if (fault?.kind === 'goesOn') send(tokenChunk(wire, 0, tokens[0] as FakeToken));
    if (withUsage) send(usageChunk(wire, counts));
    if (fault?.kind !== 'noEndMark') send('[DONE]');
    if (fault?.kind === 'neverCloses') return await silence();
    response.end();
  }
}
