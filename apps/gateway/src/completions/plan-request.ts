// From a checked body to what an engine is asked: the version's sampling and system prompt under the client's own wishes.
import { fail, type Outcome } from '#libs/base';
import type { VersionSpec } from '#libs/contract';
import type { ChatMessage, GenerateRequest, Sampling } from '#libs/engine';
import { type ChatBody, type OpenAiError, openAiError, textOf } from '#libs/openai';

const defaultMaxTokens = 1_024;

type Refusal = { readonly code: string; readonly message: string; readonly retryable: boolean; readonly error: OpenAiError };

function unsupported(param: string, what: string): { readonly ok: false; readonly fault: Refusal } {
  const error = openAiError('unsupported_parameter', `'${param}': ${what} Leave it out.`, { param });
  return { ok: false, fault: { ...fail({ code: error.code, message: error.message }).fault, error } };
}

/**
 * Refuses what would silently change the answer. `native`: a GGUF version may answer; its engine has no penalties, grammar or tools. Both arms
 * of a rollout are asked about, so that the coin never decides whether a request is valid.
 */
export function checkSupported(body: ChatBody, native: boolean): Outcome<void, Refusal> {
  if ((body.n ?? 1) !== 1) return unsupported('n', 'only one choice per request is served.');
  if (body.logprobs) return unsupported('logprobs', 'log probabilities are not served.');
  if (body.tools && body.tools.length > 0) return unsupported('tools', 'tool calls are not served.');
  if (native && body.frequency_penalty) return unsupported('frequency_penalty', 'the engine has no penalties.');
  if (native && body.presence_penalty) return unsupported('presence_penalty', 'the engine has no penalties.');
  if (native && body.logit_bias && Object.keys(body.logit_bias).length > 0) return unsupported('logit_bias', 'the engine has no bias.');
  if (native && body.response_format && body.response_format.type !== 'text') {
    return unsupported('response_format', `the engine does not enforce "${body.response_format.type}".`);
  }
  return { ok: true, value: undefined };
}

export function samplingOf(body: ChatBody, { sampling }: VersionSpec): Sampling {
  const seed = body.seed ?? sampling.seed;
  return {
    temperature: body.temperature ?? sampling.temperature ?? 1,
    topP: body.top_p ?? sampling.topP ?? 1,
    topK: body.top_k ?? sampling.topK ?? 0,
    minP: body.min_p ?? sampling.minP ?? 0,
    maxTokens: body.max_completion_tokens ?? body.max_tokens ?? sampling.maxTokens ?? defaultMaxTokens,
    ...(seed === undefined || seed === null ? {} : { seed }),
    stop: body.stop === null || body.stop === undefined ? (sampling.stop ?? []) : typeof body.stop === 'string' ? [body.stop] : body.stop,
  };
}

function messagesOf(body: ChatBody, { systemPrompt }: VersionSpec): ChatMessage[] {
  const messages = body.messages.map(({ role, content }): ChatMessage => ({ role, content: textOf(content) }));
  if (systemPrompt === undefined) return messages;
  const [first, ...rest] = messages;
  // Templates know one system message: the version's words come first, the client's after them.
  return first?.role === 'system'
    ? [{ role: 'system', content: `${systemPrompt}\n\n${first.content}` }, ...rest]
    : [{ role: 'system', content: systemPrompt }, ...messages];
}

/** Fields of ours and of the transport are not forwarded; a body can set neither address, headers nor credential. */
function forwarded(body: ChatBody): Record<string, unknown> {
  const own = new Set([
    'model',
    'messages',
    'stream',
    'stream_options',
    'max_tokens',
    'max_completion_tokens',
    'metadata',
    'store',
    'user',
  ]);
  return Object.fromEntries(Object.entries(body).filter(([name, value]) => !own.has(name) && value !== null && value !== undefined));
}

export function engineRequest(id: string, body: ChatBody, spec: VersionSpec): GenerateRequest {
  return { id, prompt: { kind: 'chat', messages: messagesOf(body, spec) }, sampling: samplingOf(body, spec), body: forwarded(body) };
}
