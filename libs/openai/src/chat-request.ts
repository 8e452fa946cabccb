// `POST /v1/chat/completions`: what a client may ask, checked field by field, with the field's name in every refusal.
import { z } from 'zod';
import type { Outcome } from '#libs/base';
import { invalidField, modelField, mostLikelyTokens, parseBody, type RequestFault, samplingFields, streamFields } from './fields.js';
import { responseFormat } from './response-format.js';

const textPart = z.object({ type: z.literal('text'), text: z.string() });
const content = z.union([z.string(), z.array(textPart).min(1)], { error: 'must be a string or an array of text parts' });

const message = z.object({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
  content: content.nullish(),
  name: z.string().max(256).optional(),
  tool_call_id: z.string().max(256).optional(),
  tool_calls: z.array(z.unknown()).max(128).optional(),
});

export const chatMessages = z.array(message).min(1).max(4_096);

/** Fields of OpenAI's API. Those that an engine cannot honour are refused by the gateway when they would change the answer. */
const chatBody = z.strictObject({
  ...modelField,
  messages: chatMessages,
  ...streamFields,
  ...samplingFields,
  max_completion_tokens: z.int().min(1).max(1_048_576).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(mostLikelyTokens).nullish(),
  tools: z.array(z.unknown()).max(128).nullish(),
  tool_choice: z.unknown().optional(),
  parallel_tool_calls: z.boolean().nullish(),
  response_format: responseFormat.nullish(),
  metadata: z.record(z.string(), z.string()).nullish(),
  store: z.boolean().nullish(),
  service_tier: z.string().nullish(),
  reasoning_effort: z.string().nullish(),
  verbosity: z.string().nullish(),
  modalities: z.array(z.string()).nullish(),
  prediction: z.unknown().optional(),
  prompt_cache_key: z.string().nullish(),
  safety_identifier: z.string().nullish(),
});

export type ChatBody = z.infer<typeof chatBody>;
export type WireMessage = ChatBody['messages'][number];

/** Checks a parsed body. The fault carries the OpenAI error with `param` set. */
export function parseChatBody(value: unknown): Outcome<ChatBody, RequestFault> {
  const parsed = parseBody(chatBody, value);
  if (!parsed.ok) return parsed;
  const { top_logprobs, logprobs, grammar, response_format } = parsed.value;
  if (typeof top_logprobs === 'number' && logprobs !== true) {
    return invalidField('top_logprobs', 'needs "logprobs": true');
  }
  if (typeof grammar === 'string' && response_format && response_format.type !== 'text') {
    return invalidField('grammar', 'cannot stand beside "response_format"; send one of them');
  }
  return parsed;
}

/** Plain text of a message's content: parts joined, nothing for null (an assistant turn that only called tools). */
export function textOf(value: WireMessage['content']): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'string' ? value : value.map((part) => part.text).join('');
}
