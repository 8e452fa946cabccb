// A request is good so far, or its answer is known already.
import type { OpenAiError } from '#libs/openai';

export type Checked<T> = { readonly ok: true; readonly value: T } | Refused;
export type Refused = { readonly ok: false; readonly error: OpenAiError };

export function good<T>(value: T): Checked<T> {
  return { ok: true, value };
}

export function refuse(error: OpenAiError): Refused {
  return { ok: false, error };
}
