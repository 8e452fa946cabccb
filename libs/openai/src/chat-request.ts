// `POST /v1/chat/completions`: what a client may ask, checked field by field, with the field's name in every refusal.
import { z } from 'zod';
import type { Outcome } from '#libs/base';
import { type MessagesOutline, outlineMessages } from './body/messages-outline.js';
import { fieldRules, readFields } from './body/read-fields.js';
import type { ScannedBody } from './body/scanned-body.js';
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

const mostMessages = 4_096;
export const chatMessages = z.array(message).min(1).max(mostMessages);

/** Fields of OpenAI's API. Those that an engine cannot honour are refused by the gateway when they would change the answer. */
const chatShape = {
  ...modelField,
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
} as const;
const chatRules = fieldRules(chatShape);
const chatFields = z.strictObject(chatShape);
const chatBody = z.strictObject({ ...chatShape, messages: chatMessages });

/** All but the messages. */
export type ChatFields = z.infer<typeof chatFields>;
export type ChatBody = z.infer<typeof chatBody>;
/** Names of all fields that are known. */
export const chatFieldNames: readonly string[] = Object.keys(chatBody.shape);
export type WireMessage = ChatBody['messages'][number];

/** Checks a parsed body. The fault carries the OpenAI error with `param` set. */
export function parseChatBody(value: unknown): Outcome<ChatBody, RequestFault> {
  const parsed = parseBody(chatBody, value);
  return parsed.ok ? (faultBetween(parsed.value) ?? parsed) : parsed;
}

/** A body that is known to be good, with its messages by their places alone. */
export interface OutlinedChat {
  readonly fields: ChatFields;
  readonly messages: MessagesOutline;
}

/** The same verdict on a scanned body, without reading its messages, when they are plain texts; null: for `parseChatBody` to judge. */
export function outlineChat(body: ScannedBody): OutlinedChat | null {
  const member = body.member('messages');
  const messages = member ? outlineMessages(body, member, mostMessages) : null;
  if (messages === null) return null;
  const fields = readFields(body, chatRules, 'messages') as ChatFields | null;
  return fields?.model === undefined || faultBetween(fields) ? null : { fields, messages };
}

/** What is wrong between fields that are good each by itself. */
function faultBetween({ top_logprobs, logprobs, grammar, response_format, tools, tool_choice }: ChatFields) {
  if (typeof top_logprobs === 'number' && logprobs !== true) {
    return invalidField('top_logprobs', 'needs "logprobs": true');
  }
  if (typeof grammar === 'string' && response_format && response_format.type !== 'text') {
    return invalidField('grammar', 'cannot stand beside "response_format"; send one of them');
  }
  const wrongChoice = choiceFault(tool_choice, tools ?? []);
  if (wrongChoice !== null) return invalidField('tool_choice', wrongChoice);
  if (typeof grammar === 'string' && tools?.length) return invalidField('grammar', 'cannot stand beside "tools"; send one of them');
  return null;
}
