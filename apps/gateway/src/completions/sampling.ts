// The version's sampling under the client's own wishes, and what is forwarded to another server as it came.
import type { VersionSpec } from '#libs/contract';
import type { Constraint, Sampling } from '#libs/engine';
import type { SamplingWishes } from '#libs/openai';

export function samplingOf(
  body: SamplingWishes,
  { sampling }: VersionSpec,
  { maxTokens, usualMaxTokens }: { readonly maxTokens: number | null | undefined; readonly usualMaxTokens: number },
): Sampling {
  const seed = body.seed ?? sampling.seed;
  const bias = Object.entries(body.logit_bias ?? {}).map(([token, value]) => [Number(token), value] as const);
  return {
    temperature: body.temperature ?? sampling.temperature ?? 1,
    topP: body.top_p ?? sampling.topP ?? 1,
    topK: body.top_k ?? sampling.topK ?? 0,
    minP: body.min_p ?? sampling.minP ?? 0,
    maxTokens: maxTokens ?? sampling.maxTokens ?? usualMaxTokens,
    ...(seed === undefined ? {} : { seed }),
    stop: body.stop === null || body.stop === undefined ? (sampling.stop ?? []) : typeof body.stop === 'string' ? [body.stop] : body.stop,
    ...(body.frequency_penalty ? { frequencyPenalty: body.frequency_penalty } : {}),
    ...(body.presence_penalty ? { presencePenalty: body.presence_penalty } : {}),
    ...(body.repeat_penalty && body.repeat_penalty !== 1 ? { repeatPenalty: body.repeat_penalty } : {}),
    ...(bias.length === 0 ? {} : { logitBias: bias }),
  };
}

export function grammarOf(body: SamplingWishes): Constraint | null {
  return body.grammar ? { kind: 'gbnf', grammar: body.grammar } : null;
}

/** Fields of the transport, and those that a GenerateRequest says itself: a body can set neither address, headers nor credential. */
const own = new Set([
  'model',
  'messages',
  'prompt',
  'stream',
  'stream_options',
  'max_tokens',
  'max_completion_tokens',
  'n',
  'logprobs',
  'top_logprobs',
  'metadata',
  'store',
  'user',
]);

export function forwarded(body: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(body).filter(([name, value]) => !own.has(name) && value !== null && value !== undefined));
}
