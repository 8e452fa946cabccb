// Every error leaves as RFC 9457 problem details: faults, bad bodies, unknown routes, and what nobody expected (without its insides).
import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Clock, type Fault, FaultError } from '#libs/base';
import type { Problem } from '#libs/contract';
import { sqlState } from '#libs/storage';
import { type Log, QuietLog } from '#libs/telemetry';
import { InvalidInput } from './valid.js';

/** HTTP status of a fault by its code: exact codes first, then the ending, then the family. */
export function statusOf(fault: Fault): number {
  const exact = statusByCode[fault.code];
  if (exact) return exact;
  const [family = '', ...rest] = fault.code.split('.');
  const ending = rest.join('.');
  if (ending === 'not-found') return 404;
  if (/(^|-)(taken|known|exists|live|set|ended|pending|refused|conflict)$/.test(ending)) return 409;
  if (ending === 'revision-lost') return 412;
  if (family === 'plan') return 422;
  if (fault.retryable) return 503;
  return 422;
}

const statusByCode: Readonly<Record<string, number>> = {
  'auth.missing': 401,
  'auth.invalid': 401,
  'auth.forbidden': 403,
  'auth.foreign-origin': 403,
  'auth.too-many-streams': 429,
  'evidence.expired': 410,
  'hook.signature-missing': 401,
  'hook.signature-invalid': 401,
  'hook.timestamp-too-old': 401,
  'hook.timestamp-too-new': 401,
  'request.invalid': 400,
  'request.malformed': 400,
  'request.too-deep': 400,
  'request.too-large': 413,
  'request.unsupported-media-type': 415,
  'rollout.limit-reached': 409,
  'route.not-found': 404,
  'route.method-not-allowed': 405,
  'storage.unreachable': 503,
  internal: 500,
};

const titles: Readonly<Record<number, string>> = {
  400: 'Bad request',
  401: 'Not authenticated',
  403: 'Not allowed',
  404: 'Not found',
  405: 'Method not allowed',
  409: 'Conflict',
  412: 'Precondition failed',
  413: 'Too large',
  415: 'Unsupported media type',
  422: 'Not acceptable as it is',
  429: 'Too many requests',
  500: 'Internal error',
  503: 'Not available now',
};

/** `a.b[0].c` as the JSON pointer `/a/b/0/c`; a pointer stays as it is. */
export function pointerOf(field: string): string {
  if (field.startsWith('/') || field === '') return field;
  const parts = field.replaceAll(/\[(\d+)\]/g, '.$1').split('.');
  return `/${parts.map((part) => part.replaceAll('~', '~0').replaceAll('/', '~1')).join('/')}`;
}

/** The body for a fault. */
export function problemOf(fault: Fault): Problem {
  const status = statusOf(fault);
  return {
    type: `urn:serin:problem:${fault.code}`,
    title: titles[status] ?? 'Error',
    status,
    detail: fault.message,
    code: fault.code,
    ...(fault.field === undefined ? {} : { errors: [{ pointer: pointerOf(fault.field), detail: fault.message }] }),
    ...(fault.remedy === undefined ? {} : { remedy: fault.remedy }),
  };
}

/** What the filter must know about the server's routes. */
export interface RouteBook {
  /** Methods that the path answers to. */
  methodsOf(path: string): string[];
  /** True when a page of the dashboard should be sent for this request. */
  isPage(request: FastifyRequest): boolean;
  sendPage(reply: FastifyReply): void;
}

@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly quiet: QuietLog;

  constructor(
    private readonly routes: RouteBook,
    log: Log,
    clock: Clock,
  ) {
    this.quiet = new QuietLog(log, clock);
  }

  catch(exception: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    if (exception instanceof HttpException && exception.getStatus() === 404 && this.routes.isPage(request)) {
      this.routes.sendPage(reply);
      return;
    }
    const problem = this.describe(exception, request);
    if (problem.status === 405) void reply.header('allow', this.routes.methodsOf(pathOf(request)).join(', '));
    if (problem.status === 401) void reply.header('www-authenticate', 'Bearer realm="serin"');
    if (problem.status === 503) void reply.header('retry-after', '1');
    if (reply.sent || reply.raw.headersSent) return;
    void reply.status(problem.status).header('content-type', 'application/problem+json; charset=utf-8').send(JSON.stringify(problem));
  }

  private describe(exception: unknown, request: FastifyRequest): Problem {
    if (exception instanceof InvalidInput) return { ...problemOf(exception.fault), errors: [...exception.errors] };
    if (exception instanceof FaultError) return problemOf(exception.fault);
    const known = faultOf(exception, request, this.routes);
    if (known) return problemOf(known);
    this.quiet.warn(`${request.method} ${request.routeOptions.url ?? 'unknown route'} failed`, exception);
    return problemOf({
      code: 'internal',
      message: 'Something went wrong here; it was logged.',
      retryable: true,
      remedy: 'Try again; if it stays, look at the log of the controller.',
    });
  }
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? '/';
}

/** Errors of the frameworks and of the database in our words; null for what nobody expected. */
function faultOf(exception: unknown, request: FastifyRequest, routes: RouteBook): Fault | null {
  const state = sqlState(exception) ?? '';
  if (/^(08|53|57|ECONN|ENOENT|ETIMEDOUT|EPIPE)/.test(state) || isConnectionLoss(exception)) {
    return { code: 'storage.unreachable', message: 'The database does not answer.', retryable: true, remedy: 'Try again in a moment.' };
  }
  // What no schema saw: a part of the path, a header.
  if (state === '22021' || state === '22P05') {
    return {
      code: 'request.malformed',
      message: 'The request holds a character that cannot be stored.',
      retryable: false,
      field: '',
      remedy: 'Send text without NUL and without half surrogate pairs.',
    };
  }
  const code = (exception as { code?: unknown } | null)?.code;
  const status =
    exception instanceof HttpException ? exception.getStatus() : ((exception as { statusCode?: unknown } | null)?.statusCode ?? 0);
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE' || status === 415) {
    return {
      code: 'request.unsupported-media-type',
      message: `The content type "${request.headers['content-type'] ?? 'none'}" is not read here.`,
      retryable: false,
      field: 'Content-Type',
      remedy: 'Send application/json.',
    };
  }
  if (status === 413) {
    return {
      code: 'request.too-large',
      message: 'The body is too large.',
      retryable: false,
      field: '',
      remedy: 'Send at most 1 MiB (16 MiB for a test set).',
    };
  }
  if (status === 404) {
    const methods = routes.methodsOf(pathOf(request));
    return methods.length > 0
      ? {
          code: 'route.method-not-allowed',
          message: `${request.method} is not answered at ${pathOf(request)}.`,
          retryable: false,
          remedy: `Use ${methods.join(' or ')}.`,
        }
      : {
          code: 'route.not-found',
          message: `There is nothing at ${pathOf(request)}.`,
          retryable: false,
          remedy: 'The API begins with /api/v1.',
        };
  }
  if (status === 400) {
    const detail = exception instanceof Error ? exception.message : 'The request cannot be read.';
    return {
      code: 'request.malformed',
      message: `The request cannot be read: ${detail}`,
      retryable: false,
      field: '',
      remedy: 'Send well-formed JSON with content-type application/json.',
    };
  }
  return null;
}

function isConnectionLoss(exception: unknown): boolean {
  return (
    exception instanceof Error &&
    /connection terminated|timeout exceeded when trying to connect|query read timeout|is not established/i.test(exception.message)
  );
}
