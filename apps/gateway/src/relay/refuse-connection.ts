// What a client gets whose bytes are no HTTP request, or took too long to become one: the reason, in the shape of every other error.
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { errorBody, type OpenAiError, openAiError } from '#libs/openai';

const reasons: Readonly<Record<number, string>> = { 400: 'Bad Request', 408: 'Request Timeout', 431: 'Request Header Fields Too Large' };

/** Listener of a server's `clientError`. Ends the connection whatever it says. */
export function refuseConnection(fault: NodeJS.ErrnoException, socket: Socket): void {
  const answering = (socket as { _httpMessage?: ServerResponse | null })._httpMessage;
  // Into an answer that has begun nothing may be written; a reset connection hears nothing.
  if (!socket.writable || fault.code === 'ECONNRESET' || answering?.headersSent) {
    socket.destroy();
    return;
  }
  const error = errorOf(fault.code);
  const body = errorBody(error);
  const head = [
    `HTTP/1.1 ${error.status} ${reasons[error.status] ?? 'Error'}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

function errorOf(code: string | undefined): OpenAiError {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return openAiError('request_timeout', 'The request did not arrive in time. Send it again, in one go.');
    case 'HPE_HEADER_OVERFLOW':
      return openAiError('headers_too_large', 'The headers are too large. Send fewer or shorter ones.');
    default:
      return openAiError('invalid_http', 'This is not an HTTP/1.1 request. Send one with either a content-length or chunks.');
  }
}
