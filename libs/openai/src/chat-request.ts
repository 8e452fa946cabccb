// `POST /v1/chat/completions`: what a client may ask, checked field by field, with the field's name in every refusal.
import { z } from 'zod';
import { fail, type Outcome, ok } from '#libs/base';
import { type OpenAiError, openAiError } from './errors.js';

const textPart = z.object({ type: z.literal('text'), text: z.string() });
const content = z.union([z.string(), z.array(textPart).min(1)], { error: 'must be a string or an array of text parts' });

const message = z.object({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
  content: content.nullish(),
  name: z.string().max(256).optional(),
  tool_call_id: z.string().max(256).optional(),
  tool_calls: z.array(z.unknown()).max(128).optional(),
});

/** Fields of OpenAI's API. Those that an engine cannot honour are refused by the gateway when they would change the answer. */
const chatBody = z.strictObject({
  model: z.string().min(1).max(256),
  messages: z.array(message).min(1).max(4_096),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().optional(), include_obfuscation: z.boolean().optional() }).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  max_tokens: z.int().min(1).max(1_048_576).nullish(),
  max_completion_tokens: z.int().min(1).max(1_048_576).nullish(),
  n: z.int().min(1).max(128).nullish(),
  seed: z.int().nullish(),
  stop: z.union([z.string().min(1).max(256), z.array(z.string().min(1).max(256)).max(4)]).nullish(),
  user: z.string().max(512).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  logit_bias: z.record(z.string(), z.number().min(-100).max(100)).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  tools: z.array(z.unknown()).max(128).nullish(),
  tool_choice: z.unknown().optional(),
  parallel_tool_calls: z.boolean().nullish(),
  response_format: z.object({ type: z.string() }).loose().nullish(),
  metadata: z.record(z.string(), z.string()).nullish(),
  store: z.boolean().nullish(),
  service_tier: z.string().nullish(),
  reasoning_effort: z.string().nullish(),
  verbosity: z.string().nullish(),
  modalities: z.array(z.string()).nullish(),
  prediction: z.unknown().optional(),
  prompt_cache_key: z.string().nullish(),
  safety_identifier: z.string().nullish(),
  // Common extensions of self-hosted servers.
  top_k: z.int().min(0).max(1_000).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
});

export type ChatBody = z.infer<typeof chatBody>;
type RequestFault = { readonly code: string; readonly message: string; readonly retryable: boolean; readonly error: OpenAiError };

/** Checks a parsed body. The fault carries the OpenAI error with `param` set. */
export function parseChatBody(value: unknown): Outcome<ChatBody, RequestFault> {
  const parsed = chatBody.safeParse(value);
  if (parsed.success) return ok(parsed.data);
  const issue = parsed.error.issues[0];
  const path = issue?.path.map(String).join('.') ?? '';
  const error =
    issue?.code === 'unrecognized_keys'
      ? openAiError('unknown_parameter', `Unknown parameter: '${[path, issue.keys[0]].filter(Boolean).join('.')}'. Remove it.`, {
          param: issue.keys[0] ?? null,
        })
      : openAiError('invalid_value', `${path === '' ? 'The body' : `'${path}'`}: ${issue?.message ?? 'is not valid'}.`, {
          param: path === '' ? null : path,
        });
  return { ok: false, fault: { ...fail({ code: error.code, message: error.message }).fault, error } };
}

/** Plain text of a message's content: parts joined, nothing for null (an assistant turn that only called tools). */
export function textOf(value: ChatBody['messages'][number]['content']): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'string' ? value : value.map((part) => part.text).join('');
}
