// Calls to the admin API. Every one has a deadline; a lost answer is asked for again under the same idempotency key.
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { problem } from '#libs/contract';
import { CliError, type ExitCode, exitCodes } from './exit-codes.js';
import type { Io } from './io.js';
import type { Settings } from './settings.js';

const callDeadlineMs = 15_000;
const retryWaitMs = 500;
const tries = 3;

/** No answer that can be used: the controller is down, starting or overloaded. Asking again later may help. */
export class Unreachable extends CliError {}

export class Client {
  constructor(
    private readonly settings: Settings,
    private readonly io: Io,
  ) {}

  async get<T extends z.ZodType>(path: string, schema: T): Promise<z.output<T>> {
    return await this.send('GET', path, undefined, schema);
  }

  /** Safe to repeat by itself: all tries carry one idempotency key. */
  async post<T extends z.ZodType>(path: string, body: unknown, schema: T): Promise<z.output<T>> {
    return await this.send('POST', path, body, schema);
  }

  /** Safe to repeat: what is gone stays gone. */
  async delete<T extends z.ZodType>(path: string, schema: T): Promise<z.output<T>> {
    return await this.send('DELETE', path, undefined, schema);
  }

  private async send<T extends z.ZodType>(method: 'GET' | 'POST' | 'DELETE', path: string, body: unknown, schema: T): Promise<z.output<T>> {
    const headers: Record<string, string> = { authorization: `Bearer ${this.settings.key}`, accept: 'application/json' };
    if (method === 'POST') Object.assign(headers, { 'content-type': 'application/json', 'idempotency-key': randomUUID() });
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.once(method, path, headers, body, schema);
      } catch (error) {
        if (!(error instanceof Unreachable) || attempt === tries) throw error;
        await this.io.clock.sleep(retryWaitMs * attempt, this.io.signal);
      }
    }
  }

  private async once<T extends z.ZodType>(
    method: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    body: unknown,
    schema: T,
  ): Promise<z.output<T>> {
    const { url } = this.settings;
    let status: number;
    let text: string;
    try {
      const response = await fetch(`${url}/api/v1${path}`, {
        method,
        headers,
        body: body === undefined ? null : JSON.stringify(body),
        // The key goes where it was meant to go and not where an answer points to.
        redirect: 'manual',
        signal: AbortSignal.any([this.io.signal, AbortSignal.timeout(callDeadlineMs)]),
      });
      status = response.status;
      text = await response.text();
    } catch (cause) {
      this.io.signal.throwIfAborted();
      throw new Unreachable(
        exitCodes.unreachable,
        `The controller at ${url} does not answer (${causeOf(cause)}).`,
        'Is it running? Give its address as --url or SERIN_CONTROLLER_URL.',
      );
    }
    if (status < 200 || status > 299) throw refusal(url, status, text);
    const parsed = schema.safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    throw new CliError(
      exitCodes.unexpected,
      `${url} answered something this command does not understand: ${z.prettifyError(parsed.error).split('\n')[0]}`,
      'Is that the controller (not the gateway), and of the same version as this command?',
    );
  }
}

function refusal(url: string, status: number, text: string): CliError {
  const parsed = problem.safeParse(parseJson(text));
  const transient = status >= 500 || status === 429;
  if (!parsed.success) {
    const message = `${url} answered HTTP ${status} without saying why.`;
    return transient
      ? new Unreachable(exitCodes.unreachable, message)
      : new CliError(exitOf(status), message, 'Is that the address of the controller?');
  }
  const { detail, errors = [], remedy } = parsed.data;
  const fields = errors.filter((error) => error.detail !== detail).map((error) => `\n  ${error.pointer}: ${error.detail}`);
  const message = `${detail}${fields.join('')}`;
  return transient ? new Unreachable(exitCodes.unreachable, message, remedy) : new CliError(exitOf(status), message, remedy);
}

function exitOf(status: number): ExitCode {
  if (status === 401 || status === 403) return exitCodes.notAuthorised;
  return status === 404 ? exitCodes.notFound : exitCodes.refused;
}

/** Undefined for what is no JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function causeOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  if (cause.name === 'TimeoutError') return `no answer within ${callDeadlineMs / 1000} s`;
  const { code } = (cause.cause ?? {}) as NodeJS.ErrnoException;
  return code ?? cause.message;
}
