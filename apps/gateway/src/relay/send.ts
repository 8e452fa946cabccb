// Answers that are whole when they begin: errors, and JSON that is not streamed.
import type { ServerResponse } from 'node:http';
import { errorBody, type OpenAiError } from '#libs/openai';

/** Sends an error as the whole answer. */
export function sendError(response: ServerResponse, error: OpenAiError, close = false): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(error.status, {
    'content-type': 'application/json; charset=utf-8',
    ...(error.retryAfterS === undefined ? {} : { 'retry-after': String(error.retryAfterS) }),
    ...(close ? { connection: 'close' } : {}),
  });
  response.end(errorBody(error));
}

export function sendJson(response: ServerResponse, text: string): void {
  if (response.destroyed) return;
  const body = Buffer.from(text, 'utf8');
  response.writeHead(200, { 'content-type': 'application/json; charset=utf-8', 'content-length': body.length });
  response.end(body);
}
