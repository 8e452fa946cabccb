// Collects a request body under a byte limit and a deadline: neither a huge nor an endless body may hold memory.
import type { IncomingMessage } from 'node:http';
import { fail, type Outcome, ok } from '#libs/base';
import { type OpenAiError, openAiError } from '#libs/openai';

export const bodyLimitBytes = 8 * 1_048_576;

export type BodyFault = { readonly code: string; readonly message: string; readonly retryable: boolean; readonly error: OpenAiError };

function refuse(error: OpenAiError): { readonly ok: false; readonly fault: BodyFault } {
  return { ok: false, fault: { ...fail({ code: error.code, message: error.message }).fault, error } };
}

/** The body as text. Faults: `body_too_large` (by declared or by counted length), `invalid_value` when it is not UTF-8, `invalid_json` when it is cut off. */
export async function readBody(request: IncomingMessage): Promise<Outcome<string, BodyFault>> {
  const tooLarge = refuse(openAiError('body_too_large', `The body is larger than ${bodyLimitBytes} bytes. Send a shorter conversation.`));
  if (Number(request.headers['content-length'] ?? 0) > bodyLimitBytes) return tooLarge;
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > bodyLimitBytes) return tooLarge;
      chunks.push(chunk);
    }
  } catch {
    return refuse(openAiError('invalid_json', 'The body ended before it was complete.'));
  }
  try {
    return ok(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)));
  } catch {
    return refuse(openAiError('invalid_value', 'The body is not valid UTF-8.'));
  }
}
