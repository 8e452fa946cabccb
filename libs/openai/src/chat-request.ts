// `POST /v1/chat/completions`: what a client may ask, checked field by field, with the field's name in every refusal.
import { z } from 'zod';
import type { Outcome } from '#libs/base';
import { invalidField, modelField, mostLikelyTokens, parseBody, type RequestFault, samplingFields, streamFields } from './fields.js';
import { messageContent } from './message-content.js';
import { responseFormat } from './response-format.js';
import { chatToolChoice, chatTools, choiceFault } from './tools.js';

/** Of earlier turns: as the client got them, and not judged again. */
const pastCall = z.object({
  id: z.string().max(256),
  type: z.literal('function').nullish(),
  function: z.object({ name: z.string().max(256), arguments: z.string().max(1_048_576) }),
});

const message = z
  .object({
    role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
    content: messageContent.nullish(),
    name: z.string().max(256).nullish(),
    tool_call_id: z.string().max(256).nullish(),
    tool_calls: z.array(pastCall).max(128).nullish(),
  })
  .superRefine(({ role, content, tool_call_id, tool_calls }, context) => {
    const refuse = (field: string, text: string): void => context.addIssue({ code: 'custom', path: [field], message: text });
    if (role === 'tool' && !tool_call_id) refuse('tool_call_id', 'must name the call that this message answers');
    if (tool_calls?.length && role !== 'assistant') refuse('tool_calls', 'belong to messages of the assistant only');
    // An assistant's turn may be empty: clients send back what they got.
    if (role !== 'assistant' && (content === null || content === undefined)) refuse('content', 'is missing');
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
  tools: chatTools.nullish(),
  tool_choice: chatToolChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  response_format: responseFormat.nullish(),
  metadata: z.record(z.string(), z.string()).nullish(),
  store: z.boolean().nullish(),
  service_tier: z.string().nullish(),
  reasoning_effort: z.string().nullish(),
  verbosity: z.string().nullish(),
  modalities: z.array(z.literal('text', { error: 'must be ["text"]: audio is not served' })).nullish(),
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
  const { top_logprobs, logprobs, grammar, response_format, tools, tool_choice } = parsed.value;
  if (typeof top_logprobs === 'number' && logprobs !== true) {
    return invalidField('top_logprobs', 'needs "logprobs": true');
  }
  if (typeof grammar === 'string' && response_format && response_format.type !== 'text') {
    return invalidField('grammar', 'cannot stand beside "response_format"; send one of them');
  }
  const wrongChoice = choiceFault(tool_choice, tools ?? []);
  if (wrongChoice !== null) return invalidField('tool_choice', wrongChoice);
  if (typeof grammar === 'string' && tools?.length) return invalidField('grammar', 'cannot stand beside "tools"; send one of them');
  return parsed;
}
