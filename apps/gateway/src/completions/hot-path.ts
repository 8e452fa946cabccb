// `/v1/*` without Nest and without Fastify: the requests that pay for everything else go straight from the socket to their handler.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock, Ids } from '#libs/base';
import { modelList, openAiError } from '#libs/openai';
import type { Log } from '#libs/telemetry';
import type { EmbeddingsEndpoint } from '../embeddings/embeddings.js';
import { type Ending, stateByStatus } from '../observe/end-state.js';
import type { RequestBook } from '../observe/request-book.js';
import type { Feedback } from '../quality/feedback.js';
import type { Patience } from '../relay/patience.js';
import { sendError } from '../relay/send.js';
import type { RequestLog } from '../request-log/request-log.js';
import { responsesEndpoint } from '../responses/responses-endpoint.js';
import type { RoutingFeed } from '../routing/feed.js';
import type { Scoring } from '../scoring/scoring.js';
import { authorise } from './authorise.js';
import { chatEndpoint } from './chat-endpoint.js';
import type { Completions } from './completions.js';
import { bodyLimitBytes } from './read-body.js';
import { textEndpoint } from './text-endpoint.js';

const prefix = '/v1/';
const requestIdPattern = /^[A-Za-z0-9._-]{8,128}$/;

type Generates = (request: IncomingMessage, response: ServerResponse, requestId: string) => Promise<Ending>;
type Post = (request: IncomingMessage, response: ServerResponse, requestId: string) => Promise<void>;

export class HotPath {
  private readonly startedS: number;
  private draining = false;
  /** Name their answers themselves, head and all. */
  private readonly generating: Readonly<Record<string, Generates>>;
  private readonly posts: Readonly<Record<string, Post>>;

  constructor(
    private readonly parts: {
      readonly feed: RoutingFeed;
      readonly completions: Completions;
      readonly embeddings: EmbeddingsEndpoint;
      readonly scoring: Scoring;
      readonly feedback: Feedback;
      readonly book: RequestBook;
      readonly patience: Patience;
      readonly requestLog: RequestLog | null;
      readonly clock: Clock;
      readonly ids: Ids;
      readonly log: Log;
    },
  ) {
    this.startedS = Math.floor(parts.clock.now() / 1000);
    const { completions, embeddings, scoring, feedback } = parts;
    this.generating = byPath({
      '/v1/chat/completions': completions.handle.bind(completions, chatEndpoint),
      '/v1/completions': completions.handle.bind(completions, textEndpoint),
      '/v1/responses': completions.handle.bind(completions, responsesEndpoint),
    });
    this.posts = byPath({
      '/v1/embeddings': embeddings.handle.bind(embeddings),
      '/v1/score': scoring.handle.bind(scoring),
      '/v1/feedback': feedback.handle.bind(feedback),
    });
  }

  /** Requests that have not been answered yet. */
  get inFlight(): number {
    return this.parts.book.inFlight;
  }

  /** Answers from now on end their connections, so that clients find another gateway. */
  drain(): void {
    this.draining = true;
  }

  /** Whether a client that waits for leave to send its body gets it: not when it would be refused by its head alone. */
  wantsBody(request: IncomingMessage): boolean {
    if (!pathOf(request.url ?? '').startsWith(prefix)) return true;
    if (Number(request.headers['content-length'] ?? 0) > bodyLimitBytes) return false;
    return !('error' in authorise(request, this.parts.feed.current, this.parts.clock.now(), 'inference:invoke'));
  }

  /** True when it took the request. Errors of our own become 500 in OpenAI's shape; the cause stays in the log. */
  take(request: IncomingMessage, response: ServerResponse): boolean {
    const path = pathOf(request.url ?? '');
    if (!path.startsWith(prefix) && path !== '/v1') return false;
    const asked = request.headers['x-request-id'];
    const requestId = typeof asked === 'string' && requestIdPattern.test(asked) ? asked : this.parts.ids.uuid();
    if (this.draining) response.shouldKeepAlive = false;
    // A client that resets its connection ends its own request, not the process.
    response.on('error', () => response.destroy());
    request.on('error', ignore);
    this.parts.book.begin();
    void this.serve(path, request, response, requestId);
    return true;
  }

  private async serve(path: string, request: IncomingMessage, response: ServerResponse, requestId: string): Promise<void> {
    const { requestLog, clock, book, patience } = this.parts;
    const beganAtMs = requestLog === null ? 0 : clock.monotonicMs();
    let ending: Ending | null;
    try {
      ending = await this.route(path, request, response, requestId);
    } catch (error) {
      ending = { version: null, state: 'gatewayError' };
      this.parts.log.error({ err: error, requestId }, 'a request broke');
      if (response.headersSent) response.destroy();
      else sendError(response, openAiError('internal_error', `The gateway failed (request ${requestId}). Try again.`), true);
    }
    const ended = ending ?? { version: null, state: stateByStatus(response) };
    book.end(ended);
    patience.handedOver(response);
    if (requestLog === null) return;
    const totalMs = clock.monotonicMs() - beganAtMs;
    const status = response.headersSent ? response.statusCode : null;
    requestLog.take({ at: clock.now() - totalMs, totalMs, requestId, path, ending: ended, status });
  }

  private async route(path: string, request: IncomingMessage, response: ServerResponse, requestId: string): Promise<Ending | null> {
    const generates = this.generating[path];
    if (generates && request.method === 'POST') return await generates(request, response, requestId);
    response.setHeader('x-request-id', requestId);
    response.setHeader('x-content-type-options', 'nosniff');
    await this.other(path, request, response, requestId);
    // No version is to blame for these: their status tells how they ended.
    return null;
  }

  private async other(path: string, request: IncomingMessage, response: ServerResponse, requestId: string): Promise<void> {
    const post = this.posts[path];
    if (post || this.generating[path]) {
      if (!post || request.method !== 'POST') return this.wrongMethod(response, path, 'POST');
      return await post(request, response, requestId);
    }
    if (path === '/v1/models' || path.startsWith('/v1/models/')) {
      if (request.method !== 'GET') return this.wrongMethod(response, path, 'GET');
      return this.models(request, response, path === '/v1/models' ? null : decoded(path.slice('/v1/models/'.length)));
    }
    const served = ['/v1/models', ...Object.keys(this.generating), ...Object.keys(this.posts)].join(', ');
    sendError(response, openAiError('unknown_url', `There is no ${path.slice(0, 200)}. Serin serves ${served}.`), true);
  }

  private wrongMethod(response: ServerResponse, path: string, allowed: string): void {
    response.setHeader('allow', allowed);
    sendError(response, openAiError('method_not_allowed', `${path} takes ${allowed} only.`), true);
  }

  private models(request: IncomingMessage, response: ServerResponse, name: string | null): void {
    const snapshot = this.parts.feed.current;
    const who = authorise(request, snapshot, this.parts.clock.now(), 'inference:invoke');
    if ('error' in who || !snapshot)
      return sendError(response, 'error' in who ? who.error : openAiError('not_ready', 'No routing table yet.'));
    // A model without a version in service cannot answer, so it is not offered.
    const models = snapshot.table.routes
      .filter((route) => route.stable !== null && (name === null || route.model === name))
      .map((route) => ({ name: route.model, createdS: this.startedS }));
    if (name !== null && models.length === 0) {
      return sendError(
        response,
        openAiError('model_not_found', `There is no model "${name.slice(0, 200)}". GET /v1/models lists them.`, { param: 'model' }),
      );
    }
    response.writeHead(200, { 'content-type': 'application/json; charset=utf-8' });
    response.end(name === null ? modelList(models) : JSON.stringify((JSON.parse(modelList(models)) as { data: unknown[] }).data[0]));
  }
}

function ignore(): void {}

function pathOf(url: string): string {
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}

/** Without a prototype: no path finds a method of objects. */
function byPath<Handler>(handlers: Record<string, Handler>): Record<string, Handler> {
  return Object.assign(Object.create(null) as Record<string, Handler>, handlers);
}

/** A name as it stands in a path; a malformed escape is taken literally and names nothing. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
