// JSON from strangers: malformed text and absurd nesting get an answer that says where, before anything is built from them.
import { fail, type Outcome, ok } from '#libs/base';
import { type OpenAiError, openAiError } from './errors.js';

/** Levels of nesting, the outermost included. */
export const deepestJson = 64;

export type JsonFault = { readonly code: string; readonly message: string; readonly retryable: boolean; readonly error: OpenAiError };

/** A body that is not the JSON that is asked for. */
export function refuseJson(message: string): { readonly ok: false; readonly fault: JsonFault } {
  const error = openAiError('invalid_json', message);
  return { ...fail({ code: error.code, message }), fault: { code: error.code, message, retryable: false, error } };
}

/** Depth by a scan over the bytes: JSON.parse of a million brackets would cost a stack or seconds. */
export function depthOf(text: string): number {
  let depth = 0;
  let largest = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i += 1) {
    const character = text.charCodeAt(i);
    if (quoted) {
      if (character === 0x5c) i += 1;
      else if (character === 0x22) quoted = false;
    } else if (character === 0x22) quoted = true;
    else if (character === 0x7b || character === 0x5b) {
      depth += 1;
      largest = Math.max(largest, depth);
    } else if (character === 0x7d || character === 0x5d) depth -= 1;
  }
  return largest;
}

/** Parses a request body; the fault carries the OpenAI error. */
export function parseJson(text: string): Outcome<unknown, JsonFault> {
  if (text.trim() === '') return refuseJson('The body is empty; a JSON object is expected.');
  if (depthOf(text) > deepestJson) return refuseJson(`The body is nested more than ${deepestJson} levels deep.`);
  try {
    return ok(JSON.parse(text) as unknown);
  } catch (error) {
    return refuseJson(`The body is not valid JSON: ${error instanceof Error ? error.message.slice(0, 200) : 'it cannot be parsed'}.`);
  }
}
