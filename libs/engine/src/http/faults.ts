// From what an upstream did wrong to a fault with a stable code: HTTP refusals, error bodies, failures of the connection.
import { errors } from 'undici';
import { EngineError, type EngineFault, type EngineFaultCode } from '../engine.js';

const longestReason = 300;
const longestRetryAfterMs = 3_600_000;

export const faultOf = (
  code: EngineFaultCode,
  message: string,
  more: Partial<Pick<EngineFault, 'retryable' | 'field' | 'remedy' | 'retryAfterMs'>> = {},
): EngineFault => ({ code, message, retryable: false, ...more });

/** The upstream broke the protocol or failed: another try may succeed. */
export const broken = (what: string): EngineError => new EngineError(faultOf('engine.upstream-error', what, { retryable: true }));

/** Milliseconds of a Retry-After header (seconds or an HTTP date), an hour at most; undefined when there is none that can be read. */
export function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  const text = header.trim();
  const waitMs = /^\d{1,9}(?:\.\d{1,6})?$/.test(text) ? Math.ceil(Number(text) * 1_000) : Date.parse(text) - nowMs;
  return Number.isNaN(waitMs) ? undefined : Math.min(Math.max(0, waitMs), longestRetryAfterMs);
}

/** What every dialect calls a prompt that does not fit, by code or by words. */
const overflow =
  /context_length_exceeded|exceed_context_size|maximum context length|context (?:length|size|window)|longer than the (?:model|maximum)|max_new_tokens` must be/i;

interface ErrorBody {
  readonly message: string;
  readonly kind: string;
}

/**
 * The error in a body of any dialect: `{error: {message, code, type}}` (OpenAI, vLLM, llama-server), `{error: "..."}` (TGI, Ollama),
 * `{object: "error", message}` (older vLLM, SGLang), `{detail}` (FastAPI). Null when it holds none.
 */
export function errorIn(value: unknown): ErrorBody | null {
  if (typeof value !== 'object' || value === null) return null;
  const body = value as Readonly<Record<string, unknown>>;
  const inner = body['error'] ?? (body['object'] === 'error' ? body : null) ?? body['detail'];
  if (inner === null || inner === undefined) return null;
  if (typeof inner === 'string') return { message: inner, kind: String(body['error_type'] ?? '') };
  const { message, code, type } = inner as { message?: unknown; code?: unknown; type?: unknown };
  return { message: typeof message === 'string' ? message : JSON.stringify(inner), kind: `${code ?? ''} ${type ?? ''}` };
}

export interface Refusal {
  readonly status: number;
  readonly retryAfter: string | undefined;
  /** The first kilobytes of the body. */
  readonly text: string;
}

/** The fault of an answer whose status is not 200. `secret` is cut out of what the upstream wrote. */
export function refusalFault({ status, retryAfter, text }: Refusal, nowMs: number, secret: string | undefined): EngineFault {
  const error = errorIn(parsed(text)) ?? { message: text, kind: '' };
  const reason = plain(error.message, secret);
  if (status >= 300 && status < 400) {
    return faultOf('engine.upstream-error', `the upstream answers with a redirect (HTTP ${status}), which is not followed`, {
      field: 'spec.engine.baseUrl',
      remedy: 'Name the address that the redirect leads to.',
    });
  }
  if (status === 401 || status === 403) {
    return faultOf('engine.upstream-error', `the upstream refuses our credential (HTTP ${status})`, {
      field: 'spec.engine.credentialEnv',
      remedy: 'Set the variable to a key that the upstream knows.',
    });
  }
  if (status === 429 || status === 503 || status === 529) {
    const waitMs = retryAfterMs(retryAfter, nowMs);
    return faultOf('engine.overloaded', `the upstream is busy (HTTP ${status})`, {
      retryable: true,
      ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }),
    });
  }
  if (status === 408 || status === 504) return faultOf('engine.timeout', `the upstream gave up (HTTP ${status})`, { retryable: true });
  if (status === 404 || status === 405) {
    return faultOf('engine.upstream-error', `the upstream does not know what it was asked for (HTTP ${status}): ${reason}`, {
      field: 'spec.engine.model',
      remedy: 'Compare spec.engine.model and spec.engine.baseUrl with what the upstream serves.',
    });
  }
  if (status >= 400 && status < 500) {
    if (overflow.test(`${error.kind} ${error.message}`))
      return faultOf('engine.context-overflow', `the upstream says that the prompt does not fit: ${reason}`);
    return faultOf('engine.bad-request', `the upstream refused the request (HTTP ${status}): ${reason}`);
  }
  return faultOf('engine.upstream-error', `the upstream answered HTTP ${status}`, { retryable: status >= 500 });
}

/** The fault of an error that came inside an answer of status 200. Its own code may say that the upstream is full. */
export function reportedFault({ message, kind }: ErrorBody, secret: string | undefined): EngineFault {
  const reason = plain(message, secret);
  if (overflow.test(`${kind} ${message}`))
    return faultOf('engine.context-overflow', `the upstream says that the prompt does not fit: ${reason}`);
  if (/\b(?:429|503)\b|overload|rate.?limit|unavailable/i.test(kind))
    return faultOf('engine.overloaded', `the upstream is busy: ${reason}`, { retryable: true });
  if (/\b4\d\d\b|invalid_request|BadRequest|validation/i.test(kind))
    return faultOf('engine.bad-request', `the upstream refused the request: ${reason}`);
  return faultOf('engine.upstream-error', `the upstream reported an error in its answer: ${reason}`, { retryable: true });
}

/** The fault of a connection that failed. `begun`: the upstream had started to answer. */
export function transportFault(error: unknown, begun: boolean): EngineFault {
  const { code = '' } = error as { code?: string };
  const message = error instanceof Error ? error.message || code || error.name : String(error);
  if (code === 'UND_ERR_HEADERS_OVERFLOW')
    return faultOf('engine.upstream-error', "the upstream's headers are larger than we take", { retryable: true });
  if (error instanceof errors.HTTPParserError)
    return faultOf('engine.upstream-error', `the upstream does not speak HTTP: ${message}`, { retryable: true });
  if (begun || code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'EPIPE')
    return faultOf('engine.upstream-error', `the upstream closed the connection: ${message}`, { retryable: true });
  return faultOf('engine.upstream-unreachable', `the upstream cannot be reached: ${message}`, {
    retryable: true,
    field: 'spec.engine.baseUrl',
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

/** One bounded line without control characters and without our credential: it reaches logs and, for refusals, clients. */
function plain(message: string, secret: string | undefined): string {
  const safe = secret === undefined || secret === '' ? message : message.replaceAll(secret, '[credential]');
  const line = safe.replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ').trim();
  return line.length > longestReason ? `${line.slice(0, longestReason)}...` : line;
}
