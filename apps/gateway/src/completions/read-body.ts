// Collects a request body into one buffer under a byte limit: no huge body may hold memory. An endless one ends by the server's own deadline.
import type { IncomingMessage } from 'node:http';
import { openAiError } from '#libs/openai';
import { type Checked, good, refuse } from './checked.js';

export const bodyLimitBytes = 8 * 1_048_576;
const nothing: Buffer = Buffer.alloc(0);

/**
 * The body as it came. Errors: `body_too_large` (by declared or by counted length), `invalid_json` when it is cut off. What is left of a
 * refused body is not read: the connection cannot be kept.
 */
export async function readBody(request: IncomingMessage): Promise<Checked<Buffer>> {
  if (Number(request.headers['content-length'] ?? 0) > bodyLimitBytes) return tooLarge();
  // Events and not async iteration, which costs four promises and a copy per piece.
  return await new Promise((done) => {
    let first: Buffer = nothing;
    let more: Buffer[] | null = null;
    let size = 0;
    const settle = (result: Checked<Buffer>): void => {
      request.off('data', take).off('end', end).off('error', broken).off('close', broken);
      done(result);
    };
    const take = (bytes: Buffer): void => {
      size += bytes.length;
      if (size > bodyLimitBytes) {
        request.pause();
        settle(tooLarge());
      } else if (first === nothing) first = bytes;
      else if (more) more.push(bytes);
      else more = [first, bytes];
    };
    const end = (): void => settle(good(more ? Buffer.concat(more, size) : first));
    const broken = (): void => settle(refuse(openAiError('invalid_json', 'The body ended before it was complete.')));
    request.on('data', take).on('end', end).on('error', broken).on('close', broken);
  });
}

function tooLarge() {
  return refuse(openAiError('body_too_large', `The body is larger than ${bodyLimitBytes} bytes. Send a shorter conversation.`));
}
