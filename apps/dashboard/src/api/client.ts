// Calls to the controller that served this page. What it refuses comes out as ApiError with its title, detail and remedy.
import type { Problem } from '#libs/contract';

const deadlineMs = 15_000;

/** Status 0: there was no answer at all. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  constructor(readonly problem: Problem) {
    super(problem.detail);
  }
}

const unreachable: Problem = {
  type: 'about:blank',
  title: 'No answer',
  status: 0,
  detail: 'The controller does not answer.',
  code: 'client.unreachable',
  remedy: 'Traffic is not affected: gateways serve on without it. This page tries again by itself.',
};

export interface Call {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** A status beyond 2xx whose body is an answer too. */
  readonly answersWith?: number;
}

/** The JSON answer. Throws ApiError; gives up after 15 s. */
export async function call<T>(path: string, { method = 'GET', body, headers = {}, signal, answersWith }: Call = {}): Promise<T> {
  const timeout = AbortSignal.timeout(deadlineMs);
  let response: Response;
  let text: string;
  try {
    response = await fetch(`/api/v1${path}`, {
      method,
      headers: { accept: 'application/json', ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      body: body === undefined ? null : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      credentials: 'same-origin',
    });
    text = await response.text();
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiError(unreachable);
  }
  if (response.ok || response.status === answersWith) return (text === '' ? undefined : JSON.parse(text)) as T;
  throw new ApiError(problemOf(response.status, text));
}

/** Proxies in between answer with anything: what is not problem details is said as such. */
function problemOf(status: number, text: string): Problem {
  if (text.startsWith('{')) {
    try {
      const parsed = JSON.parse(text) as Partial<Problem>;
      if (typeof parsed.title === 'string' && typeof parsed.detail === 'string') return { ...unreachable, ...parsed, status };
    } catch {
      // Cut off in the middle: told below like any other foreign answer.
    }
  }
  if (status >= 500) return { ...unreachable, status, detail: `The controller answered HTTP ${status}.` };
  return { type: 'about:blank', title: 'Refused', status, detail: `The server answered HTTP ${status}.`, code: 'client.foreign-answer' };
}

/** Any error as a problem that can be shown. */
export function toProblem(error: unknown): Problem {
  if (error instanceof ApiError) return error.problem;
  return {
    type: 'about:blank',
    title: 'Something went wrong in this page',
    status: 0,
    detail: error instanceof Error ? error.message : String(error),
    code: 'client.unexpected',
    remedy: 'Load the page again. If it stays, the serin command shows the same facts.',
  };
}
