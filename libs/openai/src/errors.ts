// Every failure that an OpenAI client may see, in one table: status, type and code. The body is the shape that client libraries parse.

export interface OpenAiError {
  readonly status: number;
  readonly type: 'invalid_request_error' | 'authentication_error' | 'permission_error' | 'rate_limit_error' | 'server_error';
  readonly code: string;
  readonly message: string;
  readonly param: string | null;
  /** Seconds for `Retry-After`, when waiting helps. */
  readonly retryAfterS?: number;
}

const table = {
  invalid_http: [400, 'invalid_request_error'],
  invalid_json: [400, 'invalid_request_error'],
  invalid_value: [400, 'invalid_request_error'],
  unknown_parameter: [400, 'invalid_request_error'],
  unsupported_parameter: [400, 'invalid_request_error'],
  context_length_exceeded: [400, 'invalid_request_error'],
  vocabulary_mismatch: [400, 'invalid_request_error'],
  invalid_api_key: [401, 'authentication_error'],
  missing_scope: [403, 'permission_error'],
  model_not_found: [404, 'invalid_request_error'],
  version_not_found: [404, 'invalid_request_error'],
  answer_not_found: [404, 'invalid_request_error'],
  unknown_url: [404, 'invalid_request_error'],
  method_not_allowed: [405, 'invalid_request_error'],
  already_scored: [409, 'invalid_request_error'],
  request_timeout: [408, 'invalid_request_error'],
  body_too_large: [413, 'invalid_request_error'],
  unsupported_media_type: [415, 'invalid_request_error'],
  headers_too_large: [431, 'invalid_request_error'],
  rate_limit_exceeded: [429, 'rate_limit_error'],
  overloaded: [429, 'rate_limit_error'],
  internal_error: [500, 'server_error'],
  engine_failed: [502, 'server_error'],
  not_ready: [503, 'server_error'],
  model_not_ready: [503, 'server_error'],
  engine_unavailable: [503, 'server_error'],
  shutting_down: [503, 'server_error'],
  timeout: [504, 'server_error'],
} as const satisfies Record<string, readonly [number, OpenAiError['type']]>;

export type OpenAiErrorCode = keyof typeof table;

export function openAiError(
  code: OpenAiErrorCode,
  message: string,
  { param = null, retryAfterS }: { param?: string | null; retryAfterS?: number } = {},
): OpenAiError {
  const [status, type] = table[code];
  return { status, type, code, message, param, ...(retryAfterS === undefined ? {} : { retryAfterS }) };
}

export function errorBody(error: OpenAiError): string {
  return JSON.stringify({ error: { message: error.message, type: error.type, param: error.param, code: error.code } });
}

/** An error inside a stream that has begun. No end mark follows: a cut answer must not look whole. */
export function errorEvent(error: OpenAiError): string {
  return `data: ${errorBody(error)}\n\n`;
}
