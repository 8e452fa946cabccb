// The client's end of a request: whether it is there, whether it reads, and the bytes of its answer on their way to it.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Seated } from '#libs/base';
import { errorEvent, type OpenAiError } from '#libs/openai';
import { ownSocket, takeHead, writeChunk, writePlain } from './framing.js';
import type { Patience } from './patience.js';
import { sendError } from './send.js';

/** What an answer says of itself in its headers. */
export interface AnswerNames {
  readonly requestId: string;
  /** Label of the version that answers. */
  version: string | null;
  rollout: string | null;
  /** `hit`, `miss` or `bypass`; null: the client did not ask. */
  cache: string | null;
}

/** Gets what the client gets. */
export interface AnswerTap {
  begin(kind: 'whole' | 'stream'): void;
  take(bytes: Buffer): void;
}

export type Leaving = 'gone' | 'stopped';

const done = Buffer.from('[DONE]\n\n');

export class Client implements Seated {
  /** Among all that run. */
  seat = -1;
  /** Why nobody waits for an answer any more: the client left, or the gateway stops and gives no more time. */
  left: Leaving | null = null;
  /** Told of an answer of status 200 as it is written; null: nobody is. */
  tap: AnswerTap | null = null;
  private onLeave: (() => void) | null = null;
  private onDrain: (() => void) | null = null;
  private kind: 'whole' | 'stream' = 'whole';
  private length: number | null = null;
  private chunked = false;
  private socket: Socket | null = null;
  private kept: Buffer[] = [];

  constructor(
    readonly request: IncomingMessage,
    readonly response: ServerResponse,
    readonly names: AnswerNames,
    private readonly patience: Patience,
    /** How much of an answer's beginning is kept for the request log. */
    private keepBytes = 0,
  ) {
    response.once('close', () => {
      if (!response.writableFinished) this.leave('gone');
    });
  }

  /** True once the client may have seen a byte of an answer. */
  get begun(): boolean {
    return this.response.headersSent;
  }

  /** The beginning of the answer as it was sent. Null: nothing was to be kept. */
  get answer(): Buffer | null {
    return this.kept.length === 0 ? null : Buffer.concat(this.kept);
  }

  /** Calls `listener` at once or later, at most once, when nobody waits any more. Null: nobody listens. */
  whenLeft(listener: (() => void) | null): void {
    this.onLeave = listener;
    if (this.left !== null) this.tell();
  }

  /** The gateway stops: what runs is to end now. */
  stop(): void {
    this.leave('stopped');
  }

  /** Gives the response its names, for answers that Node writes. */
  nameResponse(): void {
    const { response, names } = this;
    if (response.headersSent) return;
    response.setHeader('x-request-id', names.requestId);
    response.setHeader('x-content-type-options', 'nosniff');
    if (names.version !== null) response.setHeader('x-serin-version', names.version);
    if (names.rollout !== null) response.setHeader('x-serin-rollout', names.rollout);
    if (names.cache !== null) response.setHeader('x-serin-cache', names.cache);
  }

  /** What follows is an answer of status 200. Nothing is sent before its first bytes. `length` null: unknown, or a stream. */
  begin(kind: 'whole' | 'stream', length: number | null): void {
    this.kind = kind;
    this.length = length;
    this.tap?.begin(kind);
  }

  /** False: the client has not read what it was sent. `whenDrained` tells when it has. */
  write(bytes: Buffer): boolean {
    const { response } = this;
    if (bytes.length === 0 || response.destroyed) return true;
    if (this.keepBytes > 0) this.keep(bytes);
    this.tap?.take(bytes);
    const head = response.headersSent ? '' : this.openHead();
    const { socket } = this;
    let open: boolean;
    if (socket === null) open = response.write(bytes);
    else {
      if (this.chunked && endsWith(bytes, done)) {
        // The end of the body follows in this very turn: both leave in one piece.
        socket.cork();
        process.nextTick(() => socket.uncork());
      }
      open = this.chunked ? writeChunk(socket, head, bytes) : writePlain(socket, head, bytes);
    }
    if (!open) this.patience.wait(response, this.kind === 'stream');
    return open;
  }

  /** Calls `listener` once, when the client has read what was written, or has left. After a `write` that said false. */
  whenDrained(listener: () => void): void {
    const waits = this.onDrain !== null;
    this.onDrain = listener;
    if (waits) return;
    (this.socket ?? this.response).once('drain', () => {
      this.patience.read(this.response);
      this.drained();
    });
  }

  /** The answer is whole. */
  end(): void {
    const { response } = this;
    if (response.destroyed) return;
    if (!response.headersSent) response.writeHead(200, headOf(this.kind, this.length, this.names));
    // Otherwise the connection's next answers would pile up behind bytes that nobody reads.
    if (this.socket?.writableNeedDrain) this.whenDrained(() => response.end());
    else response.end();
  }

  /**
   * The answer is an error, or has broken off: then a stream says so by `event`, without its end mark, and a body that came in part is cut. What
   * must not happen is that it looks whole.
   */
  fail(error: OpenAiError, event = errorEvent(error)): void {
    const { response, request } = this;
    if (response.destroyed || response.writableEnded) return;
    if (!response.headersSent) {
      this.nameResponse();
      sendError(response, error, !request.complete);
    } else if (this.kind === 'stream') {
      this.write(Buffer.from(event, 'utf8'));
      this.end();
    } else response.destroy();
  }

  private keep(bytes: Buffer): void {
    // A copy: what came from an upstream is a part of something larger.
    const beginning = Buffer.from(bytes.subarray(0, this.keepBytes));
    this.keepBytes -= beginning.length;
    this.kept.push(beginning);
  }

  private openHead(): string {
    const { request, response } = this;
    response.writeHead(200, headOf(this.kind, this.length, this.names));
    this.chunked = response.chunkedEncoding;
    this.socket = ownSocket(request, response);
    return this.socket ? takeHead(response) : '';
  }

  private leave(why: Leaving): void {
    this.left ??= why;
    this.tell();
    this.drained();
  }

  private drained(): void {
    const listener = this.onDrain;
    this.onDrain = null;
    listener?.();
  }

  private tell(): void {
    const listener = this.onLeave;
    this.onLeave = null;
    listener?.();
  }
}

function headOf(kind: 'whole' | 'stream', length: number | null, { requestId, version, rollout, cache }: AnswerNames): string[] {
  const head = ['x-request-id', requestId, 'x-content-type-options', 'nosniff'];
  if (kind === 'stream')
    head.push('content-type', 'text/event-stream; charset=utf-8', 'cache-control', 'no-cache', 'x-accel-buffering', 'no');
  else head.push('content-type', 'application/json; charset=utf-8');
  if (length !== null && kind === 'whole') head.push('content-length', String(length));
  if (version !== null) head.push('x-serin-version', version);
  if (rollout !== null) head.push('x-serin-rollout', rollout);
  if (cache !== null) head.push('x-serin-cache', cache);
  return head;
}

function endsWith(bytes: Buffer, end: Buffer): boolean {
  const from = bytes.length - end.length;
  return from >= 0 && bytes[from] === end[0] && bytes.compare(end, 0, end.length, from) === 0;
}
